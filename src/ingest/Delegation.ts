import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { KalshiRest } from "../kalshi/KalshiRest.ts"
import * as Timestamp from "../market/Timestamp.ts"
import type { JobRequest } from "../queue/Job.ts"
import * as QueueConfig from "../queue/QueueConfig.ts"
import * as RabbitWakeUp from "../queue/RabbitWakeUp.ts"
import { WorkQueue } from "../queue/WorkQueue.ts"
import type { ExchangeTime } from "../runtime/ExchangeTime.ts"
import * as Setting from "../runtime/Setting.ts"
import type { SettingError } from "../runtime/SettingError.ts"
import type { Catalog } from "../store/Catalog.ts"
import type { MarketCompletion } from "../store/MarketCompletion.ts"
import { QueueJobs } from "../store/QueueJobs.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { type CandleHistory, nothingPulled } from "./CandleHistory.ts"
import type { EventIntake } from "./EventIntake.ts"
import { GapPull, type Hole, spanOf } from "./GapPull.ts"
import { MarketCatchUp } from "./MarketCatchUp.ts"
import { MarketOutcomes, nothingRead, tickersPerCall } from "./MarketOutcomes.ts"
import type { TradeHistory } from "./TradeHistory.ts"

/** Less urgent than what a person waits for. */
const priority = 6

/** Most markets of one payload. */
const tickersPerJob = 1000

const batches = (tickers: ReadonlyArray<string>, most: number): ReadonlyArray<readonly [string, ...Array<string>]> =>
  Array.from({ length: Math.ceil(tickers.length / most) }, (_, n) => {
    const [first, ...others] = tickers.slice(n * most, (n + 1) * most)
    return [first!, ...others]
  })

/** The jobs that fill a hole: one list has the trades of all markets, so only the first job asks for it. */
const jobsOf = ({ candles, markets, trades }: Hole): ReadonlyArray<JobRequest> => {
  const { fromMillis, toMillis } = spanOf(markets)
  const span = { from_ts: Timestamp.fromMillis(fromMillis), to_ts: Timestamp.fromMillis(toMillis) }
  const tickers = markets.map(({ ticker }) => ticker)
  return batches(tickers, tickersPerJob)
    .slice(0, candles ? undefined : 1)
    .map((some, n): JobRequest => {
      const only = !candles ? "trades" : trades && n === 0 ? undefined : "candles"
      return {
        type: "repair_gap",
        payload: { tickers: some, ...span, ...(only === undefined ? {} : { only }) },
        key: `${span.from_ts} ${span.to_ts} ${only ?? "both"} ${n}`,
        priority
      }
    })
}

/**
 * Hands work to the queue instead of doing it. A market that an unfinished job names already is not handed in again, whichever pass
 * or process did.
 */
const make = Effect.gen(function* () {
  const jobs = yield* QueueJobs
  const queue = yield* WorkQueue

  const handIn = Effect.fnUntraced(function* (
    type: "backfill_market" | "cleanup_market",
    tickers: ReadonlyArray<string>
  ) {
    if (tickers.length === 0) return
    const busy = yield* jobs.named(["backfill_market", "cleanup_market"], tickers)
    const wanted = tickers.filter((ticker) => !busy.has(ticker))
    const { entered } = yield* queue.enqueue(
      batches(wanted, tickersPerCall).map((some) => ({ type, payload: { tickers: some }, key: some[0], priority }))
    )
    if (entered > 0) yield* Effect.logInfo("handed to workers", { type, jobs: entered, markets: wanted.length })
  }, untilDatabaseAnswers)

  return handIn
})

const delegated = Layer.mergeAll(
  Layer.effect(
    MarketCatchUp,
    Effect.gen(function* () {
      const catchUp = yield* MarketCatchUp
      const handIn = yield* make
      return MarketCatchUp.of({
        ...catchUp,
        catchUp: (markets) =>
          handIn(
            "backfill_market",
            markets.map(({ ticker }) => ticker)
          ).pipe(
            Effect.andThen(untilDatabaseAnswers(catchUp.settledMissing(markets))),
            Effect.map((stillMissing) => ({ pulled: nothingPulled, stillMissing, completed: 0 }))
          )
      })
    })
  ),
  Layer.effect(
    MarketOutcomes,
    Effect.gen(function* () {
      const handIn = yield* make
      return MarketOutcomes.of({
        read: (tickers) => Effect.as(handIn("cleanup_market", tickers), nothingRead)
      })
    })
  ),
  Layer.effect(
    GapPull,
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      return GapPull.of({
        pull: Effect.fnUntraced(function* (holes) {
          const { entered } = yield* queue.enqueue(holes.flatMap(jobsOf))
          if (entered > 0) yield* Effect.logInfo("handed to workers", { type: "repair_gap", jobs: entered })
          return { problem: undefined, unknown: new Set<string>() }
        })
      })
    })
  )
)

/** As WORK_QUEUE_ENABLE says: the heavy pulls are enqueued for workers, or done here. */
export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const { enable } = yield* Setting.read(QueueConfig.delegation)
    const chosen: Layer.Layer<
      GapPull | MarketCatchUp | MarketOutcomes,
      SettingError,
      | CandleHistory
      | Catalog
      | EventIntake
      | TradeHistory
      | ExchangeTime
      | KalshiRest
      | MarketCompletion
      | PgClient.PgClient
    > = enable
      ? delegated.pipe(
          Layer.provide(WorkQueue.layer),
          Layer.provide(RabbitWakeUp.layer),
          Layer.provide(QueueJobs.layer),
          Layer.provide(MarketCatchUp.layer)
        )
      : Layer.mergeAll(GapPull.layer, MarketCatchUp.layer, MarketOutcomes.layer)
    return chosen
  })
)
