import * as Effect from "effect/Effect"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { fromMillis, type Timestamp } from "../market/Timestamp.ts"
import { NotOurs } from "../runtime/Guardrails.ts"
import type { SettingError } from "../runtime/SettingError.ts"
import { sqlProblem } from "../store/SqlProblem.ts"
import { sqlState } from "../store/SqlState.ts"
import { AdminError } from "./AdminError.ts"

const insufficientPrivilege = "42501"

const explained = (error: SqlError) =>
  sqlState(error) === insufficientPrivilege
    ? new AdminError({
        reason: "Refused",
        problem: `the database does not let this program do it (${sqlProblem(error)})`,
        fix: "ask another program, or run the command with DATABASE_URL of the admin role"
      })
    : new AdminError({
        reason: "Unavailable",
        problem: `the database does not do it (${sqlProblem(error)})`,
        fix: "look at the database, then try again"
      })

const notOurs = ({ message }: NotOurs) =>
  new AdminError({
    reason: "Refused",
    problem: message,
    fix: "ask that program, or run the command with DATABASE_URL of the admin role"
  })

/** What the database answers, or why it does not. */
export const fromDatabase = <A, R>(effect: Effect.Effect<A, SqlError | NotOurs | AdminError, R>) =>
  Effect.mapError(effect, (error) =>
    isSqlError(error) ? explained(error) : error instanceof NotOurs ? notOurs(error) : error
  )

export const wrongSetting = ({ fix, problem }: SettingError) => new AdminError({ reason: "Invalid", problem, fix })

/** This program cannot; `programs` can. */
export const notHere = (call: string, service: string, programs: string) =>
  new AdminError({
    reason: "NotHere",
    problem: `${service} has nothing to do with ${call}`,
    fix: `ask ${programs}`
  })

export const instantOrNull = (millis: number | undefined): Timestamp | null =>
  millis === undefined ? null : fromMillis(millis)

/** An instant of a payload, as epoch milliseconds. */
export const instant = (name: string, text: string) =>
  Effect.suspend(() => {
    const millis = /([zZ]|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
    return Number.isNaN(millis)
      ? Effect.fail(
          new AdminError({
            reason: "Invalid",
            problem: `${name} is not an instant with its zone`,
            fix: "write it like 2026-11-24T14:00:00Z"
          })
        )
      : Effect.succeed(millis)
  })

/** The same, where it may be left out. */
export const optionalInstant = (name: string, text: string | undefined) =>
  text === undefined ? Effect.undefined : instant(name, text)
