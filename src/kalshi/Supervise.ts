import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/**
 * Keeps a session that never completes alive. A session that lived at least `healthyAfter` resets the back-off:
 * the next one starts at once. Fails only when the back-off schedule ends.
 */
export const supervise = <E, R, X, R2>(
  session: Effect.Effect<never, E, R>,
  options: { readonly backoff: Schedule.Schedule<X, E, never, R2>; readonly healthyAfter: Duration.Input }
): Effect.Effect<never, E, R | R2> => {
  const threshold = Duration.toMillis(Duration.fromInputUnsafe(options.healthyAfter))
  return Effect.gen(function* () {
    const started = yield* Clock.currentTimeMillis
    yield* Effect.catch(session, (error) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => (now - started >= threshold ? Effect.void : Effect.fail(error)))
    )
  }).pipe(Effect.retry(options.backoff), Effect.forever)
}

/** From a quarter of a second, doubling, at most 30 seconds, jittered. */
export const reconnectBackoff = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("30 seconds")]).pipe(
  Schedule.jittered
)
