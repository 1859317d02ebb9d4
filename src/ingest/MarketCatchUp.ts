import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import type { CandleInterval } from "../market/Candle.ts"
import { endAtOrBefore, lifeOf } from "../market/CandlePeriod.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import type { NotOurs } from "../runtime/Guardrails.ts"
import * as Setting from "../runtime/Setting.ts"
import type { SettingError } from "../runtime/SettingError.ts"
import { type IncompleteMarket, type IncompleteQuery, MarketCompletion } from "../store/MarketCompletion.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { CandleHistory, type CandlePull } from "./CandleHistory.ts"
import type { CandleRequest } from "./CandlePlan.ts"
import { EventIntake } from "./EventIntake.ts"
import * as IngestConfig from "./IngestConfig.ts"

const completed = Metric.counter("markets_completed", {
  description: "Markets whose record is complete, or that ended otherwise",
  incremental: true
})

export type CatchUpQuery = Pick<IncompleteQuery, "stages" | "includeMissing" | "closedBeforeMillis">

export interface CatchUp {
  readonly pulled: CandlePull
  /** Ranges of these markets that had settled before the pull and are still not checked. */
  readonly stillMissing: number
  readonly completed: number
}

/** Markets that are planned, pulled and completed together. */
const pageSize = 2_000

/**
 * What the markets of the worklist lack of their candles, and its pulling. Planning (`pages`, `requestsOf`) is apart from
 * pulling (`CandleHistory.pull`), which others can do elsewhere.
 */
export class MarketCatchUp extends Context.Service<
  MarketCatchUp,
  {
    /** The worklist in pages, those that closed first first. */
    pages(query: CatchUpQuery): Stream.Stream<ReadonlyArray<IncompleteMarket>, SqlError>
    /** The candles of their whole lives. */
    requestsOf(markets: ReadonlyArray<IncompleteMarket>): ReadonlyArray<CandleRequest>
    /** How many ranges of these markets have settled and are not checked. */
    settledMissing(markets: ReadonlyArray<IncompleteMarket>): Effect.Effect<number, SqlError>
    /** Pulls what a page lacks, and lets go of those that are complete; one page at a time in this process. */
    catchUp(markets: ReadonlyArray<IncompleteMarket>): Effect.Effect<CatchUp, NotOurs | SqlError>
  }
>()("kalshi-ingestor/ingest/MarketCatchUp") {
  static readonly layer: Layer.Layer<
    MarketCatchUp,
    SettingError,
    MarketCompletion | CandleHistory | EventIntake | ExchangeTime
  > = Layer.effect(
    MarketCatchUp,
    Effect.gen(function* () {
      const completion = yield* MarketCompletion
      const history = yield* CandleHistory
      const { includeMultivariate, strikePeriods } = yield* EventIntake
      const time = yield* ExchangeTime
      const config = yield* Setting.read(IngestConfig.candles)
      const turn = yield* Semaphore.make(1)

      const pages = (query: CatchUpQuery) =>
        Stream.paginate(
          undefined as IncompleteMarket | undefined,
          Effect.fnUntraced(function* (after) {
            const page = yield* untilDatabaseAnswers(
              completion.page({ ...query, strikePeriods, includeMultivariate, after, limit: pageSize })
            )
            const next = page.length < pageSize ? Option.none() : Option.fromNullishOr(page.at(-1))
            return [page.length === 0 ? [] : [page], next] as const
          })
        )

      const intervalOf = (strikePeriod: string) =>
        Number(strikePeriod === "hour" ? config.minutesForHour : config.minutesForDay) as CandleInterval

      const requestsOf = (markets: ReadonlyArray<IncompleteMarket>) =>
        markets.flatMap(({ closeMillis, openMillis, seriesTicker, strikePeriod, ticker }) => {
          if (openMillis === undefined) return []
          const periodMinutes = intervalOf(strikePeriod)
          return [{ ticker, seriesTicker, periodMinutes, ...lifeOf(periodMinutes, openMillis, closeMillis) }]
        })

      const settledOf = (holes: ReadonlyArray<CandleRequest>, nowMillis: number) =>
        holes.filter(
          ({ fromMillis, periodMinutes }) =>
            fromMillis < endAtOrBefore(periodMinutes, nowMillis - config.candleSettleSeconds * 1000)
        ).length

      const settledMissing = Effect.fn("MarketCatchUp.settledMissing")(function* (
        markets: ReadonlyArray<IncompleteMarket>
      ) {
        return settledOf(yield* history.missing(requestsOf(markets)), yield* time.now)
      })

      const catchUp = Effect.fn("MarketCatchUp.catchUp")(function* (markets: ReadonlyArray<IncompleteMarket>) {
        const requests = requestsOf(markets)
        const began = yield* time.now
        const pulled = yield* history.pull(requests, "backfill")
        const now = yield* time.now
        const holes = yield* untilDatabaseAnswers(history.missing(requests))
        const settledMarkets = new Set(markets.flatMap(({ stage, ticker }) => (stage === "settled" ? [ticker] : [])))
        const unknown = pulled.unknown.filter((ticker) => settledMarkets.has(ticker))
        const without = yield* untilDatabaseAnswers(completion.missing(unknown, "without_candles", now))
        const incomplete = new Set([
          ...holes.map(({ ticker }) => ticker),
          ...requests.flatMap(({ ticker, toMillis }) => (toMillis > now ? [ticker] : []))
        ])
        const done = yield* untilDatabaseAnswers(
          completion.complete(
            markets.flatMap(({ lacksOutcome, openMillis, ticker }) =>
              openMillis === undefined || lacksOutcome || incomplete.has(ticker) ? [] : [ticker]
            )
          )
        )
        for (const [kind, count] of Object.entries({ ...done, without_candles: without }))
          if (count > 0) yield* Metric.update(Metric.withAttributes(completed, { kind }), count)
        const stillMissing = settledOf(holes, began)
        return { pulled, stillMissing, completed: done.settled + done.void + without }
      }, turn.withPermit)

      return MarketCatchUp.of({ pages, requestsOf, settledMissing, catchUp })
    })
  )
}
