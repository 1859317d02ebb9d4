import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"

/**
 * What a write of results passes through. In the handler of a job: a transaction that checks that the job is still ours, and if it is
 * not, dies of `Fenced` and leaves nothing. Anywhere else: nothing.
 */
export const WriteGuard = Context.Reference<
  <A, E, R>(write: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
>("kalshi-ingestor/queue/WriteGuard", { defaultValue: () => (write) => write })
