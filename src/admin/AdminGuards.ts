import { createHash, timingSafeEqual } from "node:crypto"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import type { Headers } from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Instance } from "../runtime/Instance.ts"
import { AdminAudit, type AuditedCall, type AuditOutcome } from "../store/AdminAudit.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { AdminError } from "./AdminError.ts"
import { AdminGuard, Mutates } from "./AdminRpcs.ts"

/** The header in which a client says who runs it. */
export const actorHeader = "x-admin-actor"

const longestActor = 100

/** A call is not held up longer by the audit; then it is entered when the database answers again. */
const auditWithin = "2 seconds"

const digest = (text: string) => createHash("sha256").update(text).digest()

/** In a time that does not depend on the token. */
const bearerIs = (token: Redacted.Redacted<string>) => {
  const wanted = digest(`Bearer ${Redacted.value(token)}`)
  return (headers: Headers) => timingSafeEqual(digest(headers["authorization"] ?? ""), wanted)
}

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): AuditOutcome => {
  if (Exit.isSuccess(exit)) return { outcome: "done", detail: undefined }
  if (Cause.hasInterruptsOnly(exit.cause)) return { outcome: "interrupted", detail: undefined }
  const error = Cause.squash(exit.cause)
  return { outcome: "failed", detail: error instanceof Error ? error.message : String(error) }
}

const guard = (service: string, via: AuditedCall["via"], isAllowed: (headers: Headers) => boolean) =>
  Layer.effect(
    AdminGuard,
    Effect.gen(function* () {
      const audit = yield* AdminAudit
      const instance = yield* Instance
      const late = yield* FiberSet.make<void>()

      const begin = (call: AuditedCall) =>
        audit.begin(call).pipe(
          Effect.timeout(auditWithin),
          Effect.catch((error) =>
            Effect.as(
              Effect.logWarning("the audit cannot be written now, it will be when the database answers", {
                reason: error.message
              }),
              undefined
            )
          )
        )

      const end = Effect.fnUntraced(function* (
        call: AuditedCall,
        id: string | undefined,
        began: number,
        exit: Exit.Exit<unknown, unknown>
      ) {
        const outcome = outcomeOf(exit)
        const written =
          id === undefined
            ? Effect.flatMap(Clock.currentTimeMillis, (now) => audit.enter(call, outcome, (now - began) / 1000))
            : audit.end(id, outcome)
        if (id !== undefined) {
          const isWritten = yield* written.pipe(Effect.timeoutOption(auditWithin), Effect.isSuccess)
          if (isWritten) return
        }
        yield* FiberSet.run(late, Effect.orDie(untilDatabaseAnswers(written)))
      })

      return AdminGuard.of((effect, { headers, payload, rpc }) => {
        if (!isAllowed(headers))
          return Effect.fail(
            new AdminError({
              reason: "Refused",
              problem: "the token is not the one of SERVICE_ADMIN_TOKEN",
              fix: "set SERVICE_ADMIN_TOKEN to the token that the program has"
            })
          )
        if (!Context.get(rpc.annotations, Mutates)) return effect
        const call: AuditedCall = {
          actor: (headers[actorHeader] ?? "unknown").slice(0, longestActor),
          via,
          host: instance.host,
          service,
          instance: instance.id,
          call: rpc._tag,
          payload
        }
        return Effect.gen(function* () {
          const began = yield* Clock.currentTimeMillis
          yield* Effect.logInfo("admin call", { call: call.call, actor: call.actor, via })
          const id = yield* begin(call)
          return yield* Effect.onExit(effect, (exit) => end(call, id, began, exit))
        })
      })
    })
  )

/** Whoever can open the socket may: its directory is the user's alone. */
export const layerSocket = (service: string) => guard(service, "socket", () => true)

/** Whoever has the token may. */
export const layerPort = (service: string, token: Redacted.Redacted<string>) => guard(service, "port", bearerIs(token))

/** The command itself, on a database that it was given. */
export const layerCommand = guard("command", "command", () => true)
