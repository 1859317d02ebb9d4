import * as Predicate from "effect/Predicate"
import type { SqlError } from "effect/sql/SqlError"

/** Postgres' five-character code of an error, e.g. `22P05`; nothing when the error is not the server's. */
export const sqlState = (error: SqlError): string | undefined => {
  const { cause } = error.reason
  return Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : undefined
}

const startsWithAny = (state: string | undefined, classes: ReadonlyArray<string>) =>
  state !== undefined && classes.some((prefix) => state.startsWith(prefix))

/**
 * "Not now": the connection broke or was refused, the server starts, stops, is out of memory, disk or connections, a lock, a
 * deadlock or a serialization conflict stood in the way, or a transaction waited too long for us.
 */
export const isTransient = (error: SqlError): boolean =>
  error.isRetryable ||
  error.reason._tag === "ConnectionError" ||
  startsWithAny(sqlState(error), ["08", "25P03", "40", "53", "55P03", "57", "58"])

/** "Not these values": data, constraint or limit errors, and what the driver could not encode. */
export const isData = (error: SqlError): boolean => {
  const state = sqlState(error)
  return state === undefined ? !isTransient(error) : startsWithAny(state, ["22", "23", "54"])
}
