import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"

/** A client that stops in a transaction loses it, and its locks, after this. */
const idleMillis = 10_000

/**
 * Runs in a transaction. Locks of a process that hangs, or that the network lost, go back soon: others wait for them. A connection that breaks inside it breaks its rollback, too, which the client takes for a defect: here it
 * stays the failure that it is.
 */
export const transaction =
  (sql: SqlClient.SqlClient) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> =>
    sql
      .withTransaction(
        Effect.andThen(sql`set local idle_in_transaction_session_timeout = ${sql.literal(String(idleMillis))}`, effect)
      )
      .pipe(Effect.catchDefect((defect) => (isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect))))
