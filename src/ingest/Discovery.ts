import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { type EventFilter, type EventsQuery, KalshiRest, type MarketFilter } from "../kalshi/KalshiRest.ts"
import { fromMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health, thresholds as Thresholds } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { ActiveMarkets } from "../store/ActiveMarkets.ts"
import { Catalog } from "../store/Catalog.ts"
import { IngestState } from "../store/IngestState.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { AccountCheck } from "./AccountCheck.ts"
import { EventIntake } from "./EventIntake.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { LifecycleResumed } from "./LifecycleResumed.ts"

const passes = Metric.counter("discovery_passes", { description: "Complete discovery passes", incremental: true })
const failures = Metric.counter("discovery_failures", {
  description: "Discovery passes that failed and left the cursor where it was",
  incremental: true
})
const found = Metric.counter("discovery_rows_changed", {
  description: "Events and markets that were new or changed",
  incremental: true
})

/** The exchange stamps updates a little after they happen; a pass reaches back over the start of the one before by this much. */
const overlapSeconds = 120
/** Tickers of one request for markets by name. */
const tickersPerCall = 100

/** Key of the instant, epoch seconds, until which all that the exchange updated is in the catalog. */
export const discoveredUntilKey = "discovery_updated_until"
const fullKey = "discovery_full_at"

/**
 * Finds the events and markets of the wanted strike periods: everything unopened and open at first and from time to time, in between
 * only what was updated, also as soon as the lifecycle feed is received again after a hole. A watermark moves only after every page of its pass was read and stored.
 */
export const Discovery = Layer.effectDiscard(
  Effect.gen(function* () {
    const loops = yield* Loops
    const health = yield* Health
    const rest = yield* KalshiRest
    const account = yield* AccountCheck
    const catalog = yield* Catalog
    const active = yield* ActiveMarkets
    const state = yield* IngestState
    const time = yield* ExchangeTime
    const resumed = yield* LifecycleResumed
    const intake = yield* EventIntake
    const config = yield* Setting.read(IngestConfig.discovery)
    const statuses = [...new Set(["unopened", ...config.statuses])] as ReadonlyArray<EventFilter>
    const progress = { completedAt: yield* Clock.currentTimeMillis, problem: "no pass has completed yet" }

    const readEvents = Effect.fnUntraced(function* (query: EventsQuery, frequencies: ReadonlyMap<string, string>) {
      const seen = new Set<string>()
      let changed = 0
      yield* rest.eventPages({ ...query, withNestedMarkets: true }).pipe(
        Stream.runForEach(
          Effect.fnUntraced(function* (page) {
            const saved = yield* untilDatabaseAnswers(intake.save(page, frequencies, yield* time.now))
            yield* Metric.update(found, saved.changed)
            changed += saved.changed
            for (const { ticker } of saved.markets) seen.add(ticker)
          })
        )
      )
      return { changed, seen }
    })

    /** Combos are not among the events, and are not to be had by what was updated. */
    const readMultivariate = Effect.fnUntraced(function* (status: MarketFilter) {
      const seen = new Set<string>()
      let changed = 0
      yield* rest.marketPages({ status, multivariate: "only" }).pipe(
        Stream.runForEach(
          Effect.fnUntraced(function* (page) {
            const saved = yield* untilDatabaseAnswers(intake.saveMultivariate(page, yield* time.now))
            yield* Metric.update(found, saved.changed)
            changed += saved.changed
            for (const { ticker } of saved.markets) seen.add(ticker)
          })
        )
      )
      return { changed, seen }
    })

    /** Markets that we hold for active but a full pass did not show: asked for by name. */
    const reconcile = Effect.fnUntraced(function* (seen: ReadonlySet<string>) {
      const missing = (yield* active.tickers).filter((ticker) => !seen.has(ticker))
      for (let at = 0; at < missing.length; at += tickersPerCall) {
        yield* rest
          .marketPages({ tickers: missing.slice(at, at + tickersPerCall), multivariate: "include" })
          .pipe(
            Stream.runForEach((page) =>
              Effect.flatMap(time.now, (now) => untilDatabaseAnswers(catalog.saveMarkets(page, fromMillis(now))))
            )
          )
      }
      return missing.length
    })

    const pass = Effect.fn("Discovery.pass")(function* () {
      const startedAt = Math.floor((yield* time.now) / 1000)
      yield* intake.refreshSeries
      const frequencies = yield* catalog.seriesFrequencies
      const until = Option.map(yield* state.get(discoveredUntilKey), Number)
      const fullAt = Option.map(yield* state.get(fullKey), Number)
      const full =
        Option.isNone(until) || Option.isNone(fullAt) || time.toWallSpan(startedAt - fullAt.value) >= config.fullSeconds
      let changed = 0
      const seen = new Set<string>()
      if (intake.includeMultivariate)
        for (const status of statuses) {
          const read = yield* readMultivariate(status)
          changed += read.changed
          for (const ticker of read.seen) seen.add(ticker)
        }
      if (full) {
        for (const status of statuses) {
          const read = yield* readEvents({ status }, frequencies)
          changed += read.changed
          for (const ticker of read.seen) seen.add(ticker)
        }
        yield* reconcile(seen)
        yield* state.set(fullKey, String(startedAt))
      } else {
        const read = yield* readEvents({ minUpdatedSeconds: until.value - overlapSeconds }, frequencies)
        changed += read.changed
      }
      const now = yield* time.now
      yield* active.advanceClock(now)
      yield* active.refresh(intake.strikePeriods, now)
      yield* state.set(discoveredUntilKey, String(startedAt))
      yield* Metric.update(passes, 1)
      progress.completedAt = yield* Clock.currentTimeMillis
      progress.problem = ""
      yield* Effect.logInfo("discovery pass complete", { full, changed })
    })

    const { staleSeconds = Math.max(2 * config.everySeconds, 600) } = yield* Setting.read({
      staleSeconds: Thresholds.discovery
    })
    yield* health.register(
      "discovery",
      Effect.map(Clock.currentTimeMillis, (now) => {
        const ageSeconds = (now - progress.completedAt) / 1000
        return {
          ok: ageSeconds < staleSeconds,
          detail: progress.problem === "" ? "last pass complete" : progress.problem,
          ageSeconds
        }
      })
    )
    yield* loops.cycle("discovery", {
      after: account.passed,
      pass: untilDatabaseAnswers(pass()).pipe(
        Effect.catchTag("KalshiRestError", (error) =>
          Effect.gen(function* () {
            progress.problem = error.message
            yield* Metric.update(failures, 1)
            yield* Effect.logError("discovery pass failed, its watermark stays", { reason: error.message })
            return yield* error
          })
        ),
        Effect.retry({
          schedule: Schedule.min([
            Schedule.exponential("1 second"),
            Schedule.spaced(`${Math.min(60, config.everySeconds)} seconds`)
          ]).pipe(Schedule.jittered),
          while: (error) => error._tag === "KalshiRestError"
        })
      ),
      every: `${config.everySeconds} seconds`,
      woken: resumed.next
    })
  })
)
