import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { normalize } from "../market/StrikePeriod.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { ActiveMarkets } from "../store/ActiveMarkets.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import * as IngestConfig from "./IngestConfig.ts"

const transitions = Metric.counter("market_clock_transitions", {
  description: "Markets opened or closed by our own clock",
  incremental: true
})

/** The longest nap: a market whose times change is noticed this late at most, wall milliseconds. */
const napMillis = 1_000

/**
 * Opens and closes markets on time: the exchange sends no message at either instant. Keeps active_markets in line.
 */
export const MarketClock = Layer.effectDiscard(
  Effect.gen(function* () {
    const loops = yield* Loops
    const time = yield* ExchangeTime
    const active = yield* ActiveMarkets
    const { periods } = yield* Setting.read(IngestConfig.strikePeriods)
    const wanted = periods.map((period) => normalize(period) ?? period)

    const pass = Effect.gen(function* () {
      const now = yield* time.now
      const changed = yield* active.advanceClock(now)
      if (changed > 0) {
        yield* Metric.update(transitions, changed)
        yield* active.refresh(wanted, now)
        yield* Effect.logDebug("markets opened or closed", { changed })
      }
      const next = yield* active.nextTransition(now)
      return next === undefined ? napMillis : Math.min(napMillis, Math.max(1, time.toWallSpan(next - now)))
    })
    yield* loops.cycle("market-clock", { pass: untilDatabaseAnswers(pass), every: Duration.millis })
  })
)
