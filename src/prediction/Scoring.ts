import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import { ForecastSchedule } from "../store/ForecastSchedule.ts"
import { ForecastScores } from "../store/ForecastScores.ts"
import { isTransient } from "../store/SqlState.ts"

const scored = Metric.counter("predictions_scored", { description: "Forecasts scored", incremental: true })

const batch = 5000
const everyMillis = 60_000
/** Between looks for values that were corrected after they were scored, our clock. */
const againMillis = 3_600_000

/** Scores forecasts once their market is final, and forgets the schedule of events that are over. */
export const Scoring = Layer.effectDiscard(
  Effect.gen(function* () {
    const loops = yield* Loops
    const time = yield* ExchangeTime
    const scores = yield* ForecastScores
    const schedule = yield* ForecastSchedule
    const pause = Duration.millis(Math.max(1000, time.toWallSpan(everyMillis)))
    const health = yield* Health
    let completedAt = yield* Clock.currentTimeMillis
    let againAt = yield* Clock.currentTimeMillis

    const pass = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const again = now >= againAt
      let round: number
      do {
        round = yield* scores.score(batch, again)
        yield* Metric.update(scored, round)
      } while (round === batch)
      completedAt = yield* Clock.currentTimeMillis
      if (!again) return
      yield* schedule.forget(yield* time.now)
      againAt = now + againMillis
    }).pipe(
      Effect.catchTag("SqlError", (error) =>
        isTransient(error) ? Effect.logWarning("scores wait for the database") : Effect.fail(error)
      )
    )
    const staleSeconds = Math.max(300, 3 * Duration.toSeconds(pause))
    yield* health.register(
      "scoring",
      Effect.map(Clock.currentTimeMillis, (now) => {
        const ageSeconds = (now - completedAt) / 1000
        return { ok: ageSeconds < staleSeconds, detail: "forecasts of settled markets scored", ageSeconds }
      })
    )
    yield* loops.cycle("scoring", { pass, every: pause })
  })
)
