import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { ActiveMarkets } from "../store/ActiveMarkets.ts"
import type { IncompleteMarket, MarketStage } from "../store/MarketCompletion.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { AccountCheck } from "./AccountCheck.ts"
import { bothPulls, nothingPulled } from "./CandleHistory.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { type CatchUpQuery, MarketCatchUp } from "./MarketCatchUp.ts"
import { MarketOutcomes } from "./MarketOutcomes.ts"

const passes = Metric.counter("closed_cleanup_passes", {
  description: "Complete passes over closed markets",
  incremental: true
})
const failures = Metric.counter("closed_cleanup_failures", {
  description: "Passes over closed markets in which a call failed",
  incremental: true
})
const worklist = Metric.gauge("markets_incomplete", {
  description: "Closed markets that were not complete at the start of the last pass over them"
})

const retrySeconds = 60

/**
 * Completes what has closed: result, settlement and its time, candles; and lets go of it then. A market that the exchange does not know
 * any more, or settles as neither yes nor no, is let go of as such.
 */
export const ClosedCleanup = Layer.effectDiscard(
  Effect.gen(function* () {
    const config = yield* Setting.read(IngestConfig.closedCleanup)
    if (config.cleanupSeconds === 0) return
    const loops = yield* Loops
    const health = yield* Health
    const account = yield* AccountCheck
    const active = yield* ActiveMarkets
    const outcomes = yield* MarketOutcomes
    const catchUp = yield* MarketCatchUp
    const time = yield* ExchangeTime
    const stages = config.cleanupStatuses as ReadonlyArray<MarketStage>
    const progress = { completedAt: yield* Clock.currentTimeMillis, detail: "no pass has completed yet" }

    const needsOutcome = ({ lacksOutcome, stage }: IncompleteMarket) => lacksOutcome || stage !== "settled"

    const pass = Effect.fn("ClosedCleanup.pass")(function* () {
      const closedBeforeMillis = (yield* time.now) - config.cleanupGraceMinutes * 60_000
      const pruned = yield* untilDatabaseAnswers(active.prune(closedBeforeMillis))
      const query: CatchUpQuery = { stages, includeMissing: true, closedBeforeMillis }
      const told = { pruned, markets: 0, vanished: 0, completed: 0, stillMissing: 0 }
      let problem: string | undefined
      const final = new Set<string>()
      yield* catchUp.pages(query).pipe(
        Stream.runForEach(
          Effect.fnUntraced(function* (markets) {
            told.markets += markets.length
            const read = yield* outcomes.read(markets.filter(needsOutcome).map(({ ticker }) => ticker))
            told.vanished += read.ended
            for (const ticker of read.final) final.add(ticker)
            problem ??= read.problem
          })
        )
      )
      yield* Metric.update(worklist, told.markets)
      let pulled = nothingPulled
      yield* catchUp.pages(query).pipe(
        Stream.runForEach(
          Effect.fnUntraced(function* (markets) {
            // What the exchange did not say of a final market it will not say any more.
            const found = yield* catchUp.catchUp(
              markets.map((market) => ({ ...market, lacksOutcome: market.lacksOutcome && !final.has(market.ticker) }))
            )
            pulled = bothPulls(pulled, found.pulled)
            told.completed += found.completed
            told.stillMissing += found.stillMissing
          })
        )
      )
      problem ??= pulled.problem
      if (problem === undefined) {
        progress.completedAt = yield* Clock.currentTimeMillis
        progress.detail = "last pass complete"
        yield* Metric.update(passes, 1)
        yield* Effect.logInfo("closed markets completed", { ...told, candles: pulled.added })
        return config.cleanupSeconds
      }
      progress.detail = problem
      yield* Metric.update(failures, 1)
      yield* Effect.logError("some closed markets could not be completed, they stay on the worklist", {
        ...told,
        reason: problem
      })
      return Math.min(retrySeconds, config.cleanupSeconds)
    })

    yield* health.register(
      "closed-cleanup",
      Effect.map(Clock.currentTimeMillis, (now) => {
        const ageSeconds = (now - progress.completedAt) / 1000
        return { ok: ageSeconds < Math.max(2 * config.cleanupSeconds, 600), detail: progress.detail, ageSeconds }
      })
    )
    yield* loops.cycle("closed-cleanup", {
      after: account.passed,
      pass: pass(),
      every: Duration.seconds
    })
  })
)
