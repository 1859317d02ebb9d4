import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import type { KalshiRestError } from "../kalshi/KalshiRestError.ts"
import { toMillis } from "../market/Timestamp.ts"
import { JobFailed } from "../queue/Job.ts"
import { type Handlers, JobHandlers } from "../queue/JobHandlers.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Catalog } from "../store/Catalog.ts"
import { GapRepairs } from "../store/GapRepairs.ts"
import { MarketCompletion } from "../store/MarketCompletion.ts"
import { CandleHistory } from "./CandleHistory.ts"
import { EventIntake } from "./EventIntake.ts"
import { GapPull } from "./GapPull.ts"
import { MarketCatchUp } from "./MarketCatchUp.ts"
import { MarketOutcomes, tickersPerCall } from "./MarketOutcomes.ts"
import { Retention } from "./Retention.ts"

/** What a worker does for the jobs of history: what rest does itself without a queue. */
export const layer = Layer.effect(
  JobHandlers,
  Effect.gen(function* () {
    const rest = yield* KalshiRest
    const catalog = yield* Catalog
    const completion = yield* MarketCompletion
    const history = yield* CandleHistory
    const intake = yield* EventIntake
    const catchUp = yield* MarketCatchUp
    const outcomes = yield* MarketOutcomes
    const gaps = yield* GapPull
    const repairs = yield* GapRepairs
    const time = yield* ExchangeTime
    const retention = yield* Effect.serviceOption(Retention)

    const pulled = ({ failed, problem }: { readonly failed: number; readonly problem: string | undefined }) =>
      failed > 0 ? again(problem ?? "candles could not be read") : Effect.void

    const archiving: Handlers = Option.isNone(retention)
      ? {}
      : {
          archive_partition: ({ payload }) =>
            Effect.flatMap(retention.value.archiveOne(payload.table, payload.partition), (problem) =>
              problem === undefined ? Effect.void : again(problem)
            )
        }

    return JobHandlers.of({
      ...archiving,

      backfill_market: ({ payload }) =>
        Effect.gen(function* () {
          const markets = yield* completion.named(payload.tickers)
          if (payload.force_full === true) {
            const requests = catchUp.requestsOf(markets)
            yield* pulled(yield* history.pull(requests, "backfill", { force: true }))
          }
          const found = yield* catchUp.catchUp(markets)
          yield* pulled(found.pulled)
        }),

      cleanup_market: ({ payload }) =>
        Effect.gen(function* () {
          const read = yield* outcomes.read(payload.tickers)
          if (read.problem !== undefined) return yield* again(read.problem)
          const final = new Set(read.final)
          const markets = yield* completion.named(payload.tickers)
          // What the exchange did not say of a final market it will not say any more.
          const found = yield* catchUp.catchUp(
            markets.map((market) => ({ ...market, lacksOutcome: market.lacksOutcome && !final.has(market.ticker) }))
          )
          yield* pulled(found.pulled)
        }),

      discover_market: ({ payload }) =>
        Effect.gen(function* () {
          const events = new Set<string>()
          for (let at = 0; at < payload.tickers.length; at += tickersPerCall)
            for (const { eventTicker } of (yield* Stream.runCollect(
              rest.marketPages({ tickers: payload.tickers.slice(at, at + tickersPerCall), multivariate: "include" })
            )).flat())
              if (eventTicker !== undefined) events.add(eventTicker)
          yield* intake.refreshSeries
          const frequencies = yield* catalog.seriesFrequencies
          for (const ticker of events) {
            const readAt = yield* time.now
            const event = yield* rest.event(ticker)
            yield* intake.save([event], frequencies, readAt)
          }
        }).pipe(Effect.catchTag("KalshiRestError", refused)),

      repair_gap: ({ payload }) =>
        Effect.gen(function* () {
          const now = yield* time.now
          const markets = yield* repairs.within(payload.tickers, {
            fromMillis: payload.from_ts === undefined ? undefined : toMillis(payload.from_ts),
            toMillis: payload.to_ts === undefined ? now : Math.min(now, toMillis(payload.to_ts))
          })
          if (markets.length === 0) return
          const { only } = payload
          const { problem } = yield* gaps.pull([{ markets, candles: only !== "trades", trades: only !== "candles" }])
          if (problem !== undefined) return yield* again(problem)
        }).pipe(Effect.catchTag("KalshiRestError", refused))
    })
  })
)

const again = (problem: string) => Effect.fail(new JobFailed({ problem, retryable: true }))
const refused = (error: KalshiRestError) => again(error.message)
