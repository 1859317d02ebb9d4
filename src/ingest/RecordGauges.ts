import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Loops } from "../runtime/Loops.ts"
import { RecordFacts } from "../store/RecordFacts.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"

const newestTick = Metric.gauge("newest_tick_age_seconds", {
  description: "Age of the newest stored tick of all active markets, on our clock"
})
const activeMarkets = Metric.gauge("active_markets", { description: "Markets that are to be recorded live" })
const openGaps = Metric.gauge("gaps_open", { description: "Gaps of the ledger that are not closed yet" })
const gapsLastDay = Metric.gauge("gaps_last_day", { description: "Gaps of the ledger within the last 24 hours" })
const quarantined = Metric.gauge("quarantine_last_day", {
  description: "Frames in quarantine since 24 hours, by feed; counted up to 100,000"
})
const databaseBytes = Metric.gauge("database_bytes", { description: "Size of the database" })

/** Tells by metrics, for all programs together, how the record in the database stands. */
export const RecordGauges = Layer.effectDiscard(
  Effect.gen(function* () {
    const loops = yield* Loops
    const time = yield* ExchangeTime
    const facts = yield* RecordFacts
    /** What was in quarantine once is told until the end: 0 is a figure, too. */
    const feeds = new Set(["ticker"])

    const pass = Effect.gen(function* () {
      const found = yield* facts.read(yield* time.now)
      const now = time.fromWall(yield* Clock.currentTimeMillis)
      if (found.newestTickMillis !== null)
        yield* Metric.update(newestTick, Math.max(0, time.toWallSpan(now - found.newestTickMillis) / 1000))
      yield* Metric.update(activeMarkets, found.activeMarkets)
      yield* Metric.update(openGaps, found.openGaps)
      yield* Metric.update(gapsLastDay, found.gapsLastDay)
      for (const feed of Object.keys(found.quarantined)) feeds.add(feed)
      for (const feed of feeds)
        yield* Metric.update(Metric.withAttributes(quarantined, { feed }), found.quarantined[feed] ?? 0)
      yield* Metric.update(databaseBytes, found.databaseBytes)
    })
    yield* loops.cycle("record-gauges", { pass: untilDatabaseAnswers(pass), every: "10 seconds" })
  })
).pipe(Layer.provide(RecordFacts.layer))
