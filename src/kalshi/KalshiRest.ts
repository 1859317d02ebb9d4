import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Book } from "../market/Book.ts"
import type { Candle, CandleInterval } from "../market/Candle.ts"
import type { Event } from "../market/Event.ts"
import type { Market } from "../market/Market.ts"
import type { Series } from "../market/Series.ts"
import type { Trade } from "../market/Trade.ts"
import * as CandleWire from "./CandleWire.ts"
import * as ExchangeWire from "./ExchangeWire.ts"
import { KalshiHttp, type Query } from "./KalshiHttp.ts"
import { KalshiRestError } from "./KalshiRestError.ts"
import { RestCall } from "./RestCall.ts"
import * as RestWire from "./RestWire.ts"

export type EventFilter = "unopened" | "open" | "closed" | "settled"
export type MarketFilter = EventFilter | "paused"

/** Instants are epoch seconds. An event matches a status when one of its markets does. */
export interface EventsQuery {
  readonly status?: EventFilter
  readonly seriesTicker?: string
  readonly tickers?: ReadonlyArray<string>
  readonly minCloseSeconds?: number
  readonly minUpdatedSeconds?: number
  readonly withNestedMarkets?: boolean
  /** Events a page, at most and by default 200. */
  readonly limit?: number
}

/**
 * Instants are epoch seconds. The exchange refuses most combinations: created goes with unopened or open, close with closed,
 * settled with settled, updated with nothing but a series. Combos are left out unless asked for.
 */
export interface MarketsQuery {
  readonly status?: MarketFilter
  readonly eventTicker?: string
  readonly seriesTicker?: string
  readonly tickers?: ReadonlyArray<string>
  readonly minCreatedSeconds?: number
  readonly maxCreatedSeconds?: number
  readonly minCloseSeconds?: number
  readonly maxCloseSeconds?: number
  readonly minSettledSeconds?: number
  readonly maxSettledSeconds?: number
  readonly minUpdatedSeconds?: number
  readonly multivariate?: "only" | "exclude" | "include"
  /** Markets a page, at most and by default 1,000. */
  readonly limit?: number
}

/** Exactly one of the three, or none for everything but combos. */
export interface HistoricalMarketsQuery {
  readonly tickers?: ReadonlyArray<string>
  readonly eventTicker?: string
  readonly seriesTicker?: string
  readonly limit?: number
}

/** Instants are epoch seconds, both inclusive. */
export interface TradesQuery {
  readonly ticker?: string
  readonly minSeconds?: number
  readonly maxSeconds?: number
  readonly limit?: number
}

export interface SeriesQuery {
  readonly category?: string
  readonly tags?: ReadonlyArray<string>
  readonly minUpdatedSeconds?: number
}

/** A candle is returned when `startSeconds <= endSeconds of it <= endSeconds`. */
export interface CandleRange {
  readonly startSeconds: number
  readonly endSeconds: number
  readonly interval: CandleInterval
}

type Call<A> = Effect.Effect<A, KalshiRestError>
type Pages<A> = Stream.Stream<ReadonlyArray<A>, KalshiRestError>

/**
 * The exchange's market data. Every call is within the account's budget, and repeated when it fails in passing. Of a list, a page that
 * fails fails the stream, as does a cursor seen before: a stream that ends has given everything.
 */
export class KalshiRest extends Context.Service<
  KalshiRest,
  {
    readonly eventPages: (query: EventsQuery) => Pages<Event>
    readonly events: (query: EventsQuery) => Stream.Stream<Event, KalshiRestError>
    /** With its markets, those of the historical tier left out. */
    readonly event: (ticker: string) => Call<Event>
    readonly marketPages: (query: MarketsQuery) => Pages<Market>
    readonly markets: (query: MarketsQuery) => Stream.Stream<Market, KalshiRestError>
    /** NotFound when archived, unknown, or for a moment after its creation. */
    readonly market: (ticker: string) => Call<Market>
    readonly seriesList: (query: SeriesQuery) => Call<ReadonlyArray<Series>>
    readonly series: (ticker: string) => Call<Series>
    /** One live market, at most 5,000 periods. */
    readonly candles: (seriesTicker: string, ticker: string, range: CandleRange) => Call<ReadonlyArray<Candle>>
    /** At most 100 live markets and 10,000 periods, counted as markets × periods. Unknown tickers are absent. */
    readonly batchCandles: (
      tickers: ReadonlyArray<string>,
      range: CandleRange
    ) => Call<ReadonlyMap<string, ReadonlyArray<Candle>>>
    readonly eventCandles: (
      seriesTicker: string,
      eventTicker: string,
      range: CandleRange
    ) => Call<CandleWire.EventCandles>
    /** One archived market, at most 5,000 periods. */
    readonly historicalCandles: (ticker: string, range: CandleRange) => Call<ReadonlyArray<Candle>>
    /** Newest first. */
    readonly tradePages: (query: TradesQuery) => Pages<Trade>
    readonly trades: (query: TradesQuery) => Stream.Stream<Trade, KalshiRestError>
    /** Newest first, from before the cutoff. */
    readonly historicalTradePages: (query: TradesQuery) => Pages<Trade>
    readonly historicalTrades: (query: TradesQuery) => Stream.Stream<Trade, KalshiRestError>
    /** The best `depth` levels of each side, all without it. */
    readonly orderbook: (ticker: string, depth?: number) => Call<Book>
    /** At most 100 markets. */
    readonly orderbooks: (tickers: ReadonlyArray<string>) => Call<ReadonlyArray<Book>>
    readonly historicalCutoff: Call<ExchangeWire.HistoricalCutoff>
    readonly historicalMarketPages: (query: HistoricalMarketsQuery) => Pages<Market>
    readonly historicalMarkets: (query: HistoricalMarketsQuery) => Stream.Stream<Market, KalshiRestError>
    readonly historicalMarket: (ticker: string) => Call<Market>
    readonly exchangeStatus: Call<ExchangeWire.ExchangeStatus>
    readonly exchangeSchedule: Call<ExchangeWire.ExchangeSchedule>
    readonly accountLimits: Call<ExchangeWire.AccountLimits>
    readonly eventFeeChanges: (eventTicker?: string) => Stream.Stream<ExchangeWire.FeeChange, KalshiRestError>
    readonly seriesFeeChanges: (query: {
      readonly seriesTicker?: string
      readonly showHistorical?: boolean
    }) => Call<ReadonlyArray<ExchangeWire.FeeChange>>
  }
>()("kalshi-ingestor/kalshi/KalshiRest") {
  static readonly layerNoDeps = Layer.effect(
    KalshiRest,
    Effect.gen(function* () {
      const { get } = yield* RestCall

      const pages = <A>(path: string, query: Query, decode: RestWire.Decode<RestWire.Page<A>>): Pages<A> =>
        Stream.suspend(() => {
          const seen = new Set<string>()
          return Stream.paginate(
            undefined as string | undefined,
            Effect.fnUntraced(function* (cursor) {
              const template = `GET ${path}`
              const { cursor: next, items } = yield* get({ template, path, query: { ...query, cursor } }, decode)
              if (next === undefined) return [[items], Option.none<string | undefined>()] as const
              if (seen.has(next))
                return yield* new KalshiRestError({
                  route: template,
                  reason: { _tag: "Malformed", issue: "the cursor came back a second time" }
                })
              seen.add(next)
              return [[items], Option.some<string | undefined>(next)] as const
            })
          )
        })

      const one = <A>(template: string, ticker: string, decode: RestWire.Decode<A>, query: Query = {}) =>
        get(
          {
            template: `GET ${template}`,
            path: template.replace("{ticker}", () => encodeURIComponent(ticker)),
            query
          },
          decode
        )

      const plain = <A>(path: string, decode: RestWire.Decode<A>, query: Query = {}) =>
        get({ template: `GET ${path}`, path, query }, decode)

      const ofSeries = <A>(
        template: string,
        seriesTicker: string,
        ticker: string,
        decode: RestWire.Decode<A>,
        query: Query
      ) =>
        get(
          {
            template: `GET ${template}`,
            path: template
              .replace("{series}", () => encodeURIComponent(seriesTicker))
              .replace("{ticker}", () => encodeURIComponent(ticker)),
            query
          },
          decode
        )

      const eventPages = (query: EventsQuery) => pages("/events", eventsQuery(query), RestWire.eventsPage)
      const marketPages = (query: MarketsQuery) => pages("/markets", marketsQuery(query), RestWire.marketsPage)
      const tradePages = (query: TradesQuery) => pages("/markets/trades", tradesQuery(query), RestWire.tradesPage)
      const historicalTradePages = (query: TradesQuery) =>
        pages("/historical/trades", tradesQuery(query), RestWire.tradesPage)
      const historicalMarketPages = (query: HistoricalMarketsQuery) =>
        pages("/historical/markets", historicalQuery(query), RestWire.marketsPage)

      return KalshiRest.of({
        eventPages,
        events: (query) => Stream.flattenIterable(eventPages(query)),
        event: (ticker) => one("/events/{ticker}", ticker, RestWire.event, { with_nested_markets: true }),
        marketPages,
        markets: (query) => Stream.flattenIterable(marketPages(query)),
        market: (ticker) => one("/markets/{ticker}", ticker, RestWire.market),
        seriesList: (query) =>
          plain("/series", RestWire.seriesList, {
            category: query.category,
            tags: query.tags?.join(","),
            min_updated_ts: query.minUpdatedSeconds
          }),
        series: (ticker) => one("/series/{ticker}", ticker, RestWire.series),
        candles: (seriesTicker, ticker, range) =>
          ofSeries(
            "/series/{series}/markets/{ticker}/candlesticks",
            seriesTicker,
            ticker,
            CandleWire.candles(ticker, range.interval),
            rangeQuery(range)
          ),
        batchCandles: (tickers, range) =>
          plain("/markets/candlesticks", CandleWire.batchCandles(range.interval), {
            market_tickers: tickers.join(","),
            ...rangeQuery(range)
          }),
        eventCandles: (seriesTicker, eventTicker, range) =>
          ofSeries(
            "/series/{series}/events/{ticker}/candlesticks",
            seriesTicker,
            eventTicker,
            CandleWire.eventCandles(range.interval),
            rangeQuery(range)
          ),
        historicalCandles: (ticker, range) =>
          one(
            "/historical/markets/{ticker}/candlesticks",
            ticker,
            CandleWire.historicalCandles(ticker, range.interval),
            rangeQuery(range)
          ),
        tradePages,
        trades: (query) => Stream.flattenIterable(tradePages(query)),
        historicalTradePages,
        historicalTrades: (query) => Stream.flattenIterable(historicalTradePages(query)),
        orderbook: (ticker, depth) => one("/markets/{ticker}/orderbook", ticker, RestWire.orderbook(ticker), { depth }),
        orderbooks: (tickers) => plain("/markets/orderbooks", RestWire.orderbooks, { tickers }),
        historicalCutoff: plain("/historical/cutoff", ExchangeWire.historicalCutoff),
        historicalMarketPages,
        historicalMarkets: (query) => Stream.flattenIterable(historicalMarketPages(query)),
        historicalMarket: (ticker) => one("/historical/markets/{ticker}", ticker, RestWire.market),
        exchangeStatus: plain("/exchange/status", ExchangeWire.exchangeStatus),
        exchangeSchedule: plain("/exchange/schedule", ExchangeWire.exchangeSchedule),
        accountLimits: plain("/account/limits", ExchangeWire.accountLimits),
        eventFeeChanges: (eventTicker) =>
          Stream.flattenIterable(
            pages("/events/fee_changes", { event_ticker: eventTicker, limit: 100 }, ExchangeWire.eventFeeChangesPage)
          ),
        seriesFeeChanges: (query) =>
          plain("/series/fee_changes", ExchangeWire.seriesFeeChanges, {
            series_ticker: query.seriesTicker,
            show_historical: query.showHistorical
          })
      })
    })
  )

  /** Needs the shared budget besides: `RateLimit.layerPostgres` or `RateLimit.layerMemory`. */
  static readonly layer = this.layerNoDeps.pipe(Layer.provide(RestCall.layer), Layer.provide(KalshiHttp.layer))
}

const eventsQuery = (query: EventsQuery): Query => ({
  limit: query.limit ?? 200,
  with_nested_markets: query.withNestedMarkets,
  status: query.status,
  series_ticker: query.seriesTicker,
  tickers: query.tickers?.join(","),
  min_close_ts: query.minCloseSeconds,
  min_updated_ts: query.minUpdatedSeconds
})

const marketsQuery = (query: MarketsQuery): Query => ({
  limit: query.limit ?? 1000,
  status: query.status,
  event_ticker: query.eventTicker,
  series_ticker: query.seriesTicker,
  tickers: query.tickers?.join(","),
  min_created_ts: query.minCreatedSeconds,
  max_created_ts: query.maxCreatedSeconds,
  min_close_ts: query.minCloseSeconds,
  max_close_ts: query.maxCloseSeconds,
  min_settled_ts: query.minSettledSeconds,
  max_settled_ts: query.maxSettledSeconds,
  min_updated_ts: query.minUpdatedSeconds,
  mve_filter: query.multivariate === "include" ? undefined : (query.multivariate ?? "exclude")
})

const historicalQuery = (query: HistoricalMarketsQuery): Query => ({
  limit: query.limit ?? 1000,
  tickers: query.tickers?.join(","),
  event_ticker: query.eventTicker,
  series_ticker: query.seriesTicker,
  mve_filter:
    query.tickers === undefined && query.eventTicker === undefined && query.seriesTicker === undefined
      ? "exclude"
      : undefined
})

const tradesQuery = (query: TradesQuery): Query => ({
  limit: query.limit ?? 1000,
  ticker: query.ticker,
  min_ts: query.minSeconds,
  max_ts: query.maxSeconds
})

const rangeQuery = (range: CandleRange): Query => ({
  start_ts: range.startSeconds,
  end_ts: range.endSeconds,
  period_interval: range.interval
})
