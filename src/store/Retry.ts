import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { isSqlError } from "effect/sql/SqlError"
import { isTransient, sqlState } from "./SqlState.ts"

/** From a quarter of a second to five seconds, jittered, for ever. */
const backoff = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("5 seconds")]).pipe(Schedule.jittered)

/** Retries for ever what a missing or busy database made fail; any other failure passes through. */
export const untilDatabaseAnswers = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(
    effect,
    backoff.pipe(
      Schedule.setInputType<E>(),
      Schedule.while(({ input }) => isSqlError(input) && isTransient(input)),
      Schedule.tap(({ attempt, duration, input }) =>
        isSqlError(input)
          ? Effect.logWarning("database does not answer, retrying", {
              attempt,
              inMillis: Math.round(Duration.toMillis(duration)),
              reason: input.reason._tag,
              sqlState: sqlState(input)
            })
          : Effect.void
      )
    )
  )
