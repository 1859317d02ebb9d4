import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health, thresholds as Thresholds } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { IngestState } from "../store/IngestState.ts"
import { MarketCompletion, type MarketStage } from "../store/MarketCompletion.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { AccountCheck } from "./AccountCheck.ts"
import { bothPulls, nothingPulled } from "./CandleHistory.ts"
import { EventScan } from "./EventScan.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { MarketCatchUp } from "./MarketCatchUp.ts"

const passes = Metric.counter("backfill_passes", { description: "Complete backfill passes", incremental: true })
const failures = Metric.counter("backfill_failures", {
  description: "Backfill passes in which a page or a call failed",
  incremental: true
})
const missing = Metric.gauge("candle_ranges_missing", {
  description: "Ranges of candles that had settled and were not checked after the last backfill pass"
})

/** A pass reaches back over the start of the one before by this much: what the exchange shows of a close may come late. */
const overlapSeconds = 3600
/** After a pass that failed in part. */
const retrySeconds = 60
const daySeconds = 86_400

/** Exchange time, epoch seconds, up to which every event that closed was read. */
export const backfillCursor = "backfill_closed_until"
/** Present: the next pass reads everything of the last BACKFILL_FIRST_DAYS again. */
export const backfillForceFull = "backfill_force_full"

/**
 * Fetches what live capture did not see: events that closed since the last pass, and the candles of every market that is known and
 * not complete. The cursor moves only after a whole scan; a range counts as checked only after its answer was stored.
 */
export const Backfill = Layer.effectDiscard(
  Effect.gen(function* () {
    const config = yield* Setting.read(IngestConfig.backfill)
    if (config.backfillSeconds === 0) return
    const loops = yield* Loops
    const health = yield* Health
    const account = yield* AccountCheck
    const scan = yield* EventScan
    const catchUp = yield* MarketCatchUp
    const completion = yield* MarketCompletion
    const state = yield* IngestState
    const time = yield* ExchangeTime
    const given = config.backfillStatuses as ReadonlyArray<MarketStage>
    // What closes while only settled events are read would be behind the cursor when it settles.
    const statuses: ReadonlyArray<MarketStage> = given.includes("settled")
      ? [...new Set([...given, "closed" as const])]
      : given
    const progress = { completedAt: yield* Clock.currentTimeMillis, detail: "no pass has completed yet" }
    const firstSeconds = config.backfillFirstDays * daySeconds

    /** Forgets what is known of the days that are to be read again; that done, an ordinary pass reads them. */
    const startAnew = Effect.gen(function* () {
      if (Option.isNone(yield* state.get(backfillForceFull))) return
      const markets = yield* completion.startAnew((yield* time.now) - firstSeconds * 1000)
      yield* state.remove(backfillCursor)
      yield* state.remove(backfillForceFull)
      yield* Effect.logInfo("everything is read again", { days: config.backfillFirstDays, markets })
    })

    const scanEvents = Effect.gen(function* () {
      const startedAt = Math.floor((yield* time.now) / 1000)
      const until = yield* untilDatabaseAnswers(state.get(backfillCursor))
      const read = yield* scan.read(
        Option.match(until, {
          onNone: () => Math.floor(startedAt - firstSeconds),
          onSome: (at) => Number(at) - overlapSeconds
        }),
        statuses
      )
      if (read.failures.length === 0) yield* untilDatabaseAnswers(state.set(backfillCursor, String(startedAt)))
      return read
    })

    const pass = Effect.fn("Backfill.pass")(function* () {
      yield* untilDatabaseAnswers(startAnew)
      const scanned = yield* scanEvents
      let pulled = nothingPulled
      let stillMissing = 0
      let completed = 0
      yield* catchUp.pages({ stages: statuses, includeMissing: false }).pipe(
        Stream.runForEach(
          Effect.fnUntraced(function* (markets) {
            const found = yield* catchUp.catchUp(markets)
            pulled = bothPulls(pulled, found.pulled)
            stillMissing += found.stillMissing
            completed += found.completed
          })
        )
      )
      yield* Metric.update(missing, stillMissing)
      const problem = scanned.failures[0]?.message ?? pulled.problem
      const told = {
        events: scanned.events,
        changed: scanned.changed,
        calls: pulled.calls,
        candles: pulled.added,
        revised: pulled.revised,
        completed,
        stillMissing
      }
      if (problem === undefined) {
        progress.completedAt = yield* Clock.currentTimeMillis
        progress.detail = "last pass complete"
        yield* Metric.update(passes, 1)
        yield* Effect.logInfo("backfill pass complete", told)
        return config.backfillSeconds
      }
      progress.detail = problem
      yield* Metric.update(failures, 1)
      yield* Effect.logError("backfill pass failed in part, what failed is read again", {
        ...told,
        failedScans: scanned.failures.length,
        failedCalls: pulled.failed,
        reason: problem
      })
      return Math.min(retrySeconds, config.backfillSeconds)
    })

    const { staleSeconds = Math.max(2 * config.backfillSeconds, 600) } = yield* Setting.read({
      staleSeconds: Thresholds.backfill
    })
    yield* health.register(
      "backfill",
      Effect.map(Clock.currentTimeMillis, (now) => {
        const ageSeconds = (now - progress.completedAt) / 1000
        return { ok: ageSeconds < staleSeconds, detail: progress.detail, ageSeconds }
      })
    )
    yield* loops.cycle("backfill", {
      after: Effect.andThen(
        account.passed,
        config.backfillForceFull ? untilDatabaseAnswers(state.set(backfillForceFull, "setting")) : Effect.void
      ),
      pass: pass(),
      every: Duration.seconds
    })
  })
)
