import * as PgClient from "@effect/sql-pg/PgClient"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { AccountCheck } from "../../src/ingest/AccountCheck.ts"
import { CandleHistory } from "../../src/ingest/CandleHistory.ts"
import { EventIntake } from "../../src/ingest/EventIntake.ts"
import { EventScan } from "../../src/ingest/EventScan.ts"
import { MarketCatchUp } from "../../src/ingest/MarketCatchUp.ts"
import { MarketOutcomes } from "../../src/ingest/MarketOutcomes.ts"
import { Credentials } from "../../src/kalshi/Credentials.ts"
import { Drift } from "../../src/kalshi/Drift.ts"
import { KalshiConfig } from "../../src/kalshi/KalshiConfig.ts"
import { KalshiHttp, type Route } from "../../src/kalshi/KalshiHttp.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import { KalshiRestError } from "../../src/kalshi/KalshiRestError.ts"
import { RateLimit } from "../../src/kalshi/RateLimit.ts"
import { RestCall } from "../../src/kalshi/RestCall.ts"
import { Signer } from "../../src/kalshi/Signer.ts"
import type { Candle, CandleInterval } from "../../src/market/Candle.ts"
import type { Market } from "../../src/market/Market.ts"
import { fromMillis, toMillis } from "../../src/market/Timestamp.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { ActiveMarkets } from "../../src/store/ActiveMarkets.ts"
import { Candles } from "../../src/store/Candles.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { IngestState } from "../../src/store/IngestState.ts"
import { MarketCompletion } from "../../src/store/MarketCompletion.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import { TestDatabase } from "../support/Database.ts"

/** A Monday afternoon; the hour in which markets trade ends ten minutes later. */
export const startMs = Date.parse("2026-08-24T15:50:00Z")
export const second = 1000
export const minute = 60 * second
export const hour = 60 * minute
export const day = 24 * hour

type Answer = Effect.Effect<unknown, KalshiRestError>

/** Stands between us and the exchange, and remembers what was asked. */
export interface Wire {
  readonly asked: Array<string>
  /** Only events of this series, so many a page. */
  series: string | undefined
  pageSize: number
  /** How much later than the exchange's clock ours is. */
  lateMillis: number
  intercept: (route: Route, answer: Answer) => Answer
}

export const malformed = (route: Route): Answer =>
  Effect.fail(new KalshiRestError({ route: route.template, reason: { _tag: "Malformed", issue: "cut off" } }))
export const notFound = (route: Route): Answer =>
  Effect.fail(new KalshiRestError({ route: route.template, reason: { _tag: "NotFound" } }))

export const isCandles = (path: string) => path.endsWith("/candlesticks")

const http = (wire: Wire) =>
  Layer.effect(
    KalshiHttp,
    Effect.map(KalshiHttp, ({ get }) =>
      KalshiHttp.of({
        get: (route) =>
          Effect.suspend(() => {
            wire.asked.push(route.path)
            const isEvents = route.path === "/events" && wire.series !== undefined
            const query = { ...route.query, series_ticker: wire.series, limit: wire.pageSize }
            return wire.intercept(route, get(isEvents ? { ...route, query } : route))
          })
      })
    )
  ).pipe(Layer.provide(KalshiHttp.layer))

/** Everything that history is made with, over the exchange and database at hand. */
export const layerOf = (wire: Wire, settings: Readonly<Record<string, string>> = {}) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { clock, control, restUrl } = yield* Simulator
      const environment = ConfigProvider.layer(
        ConfigProvider.fromUnknown({
          KALSHI_REST_URL: restUrl,
          KALSHI_REST_RATE_LIMIT_BACKEND: "memory",
          KALSHI_REST_RATE_PER_SEC: "1000",
          KALSHI_EVENTS_RETRIES: "0",
          REST_FAILURE_THRESHOLD: "1000",
          ...settings
        })
      )
      const time = Layer.succeed(
        ExchangeTime,
        ExchangeTime.of({
          now: Effect.map(control.stats, ({ exchangeTime }) => Date.parse(exchangeTime) + wire.lateMillis),
          fromWall: (millis) => clock.exchangeMs + (millis - clock.wallMs),
          toWallSpan: (millis) => millis,
          simulated: true
        })
      )
      const venue = KalshiRest.layerNoDeps.pipe(
        Layer.provide(RestCall.layer),
        Layer.provide(RateLimit.layerMemory),
        Layer.provide(http(wire)),
        Layer.provideMerge(Signer.layer),
        Layer.provide(Credentials.layer),
        Layer.provide([KalshiConfig.layer, Drift.layer])
      )
      const store = Layer.mergeAll(
        Catalog.layer,
        ActiveMarkets.layer,
        IngestState.layer,
        MarketCompletion.layer,
        Candles.layer.pipe(Layer.provideMerge(Partitions.layer))
      )
      return Layer.mergeAll(EventScan.layer, MarketCatchUp.layer, MarketOutcomes.layer).pipe(
        Layer.provideMerge(Layer.mergeAll(CandleHistory.layer, EventIntake.layer)),
        Layer.provideMerge(Layer.mergeAll(venue, store, time, Health.layer)),
        Layer.provideMerge(environment)
      )
    })
  )

export const freshWire = (): Wire => ({
  asked: [],
  series: undefined,
  pageSize: 200,
  lateMillis: 0,
  intercept: (_, answer) => answer
})

type Loop<E, R> = Layer.Layer<never, E, R | AccountCheck | Loops>

/** Runs a loop until its part of the health report tells of its first pass; returns what it tells. */
export const onePass = <E, R>(part: string, loop: Loop<E, R>) =>
  Effect.gen(function* () {
    const health = yield* Health
    yield* Layer.build(
      Layer.fresh(
        loop.pipe(
          Layer.provide(AccountCheck.layer),
          Layer.provide(Loops.layer),
          Layer.provide(TestDatabase.actingClient)
        )
      )
    )
    const { parts } = yield* until(health.report, ({ parts }) => parts[part]?.detail !== "no pass has completed yet")
    return parts[part]?.detail ?? ""
  }).pipe(Effect.scoped)

/** One candle as a line of text, as the exchange's answer or the database has it. */
const line = (parts: ReadonlyArray<string | number | null | undefined>) => parts.map((part) => part ?? "-").join(" ")

const told = ({ endSeconds, intervalMinutes, openInterest, price, ticker, volume, yesAsk, yesBid }: Candle) =>
  line([
    ticker,
    intervalMinutes,
    endSeconds,
    price?.open,
    price?.high,
    price?.low,
    price?.close,
    yesBid.open,
    yesBid.close,
    yesAsk.high,
    yesAsk.low,
    volume,
    openInterest
  ])

/** Every candle of some markets that has ended, asked for market by market on the exchange's plainest routes. */
export const toldCandles = Effect.fnUntraced(function* (markets: ReadonlyArray<Market>, interval: CandleInterval = 1) {
  const rest = yield* KalshiRest
  const time = yield* ExchangeTime
  const now = Math.floor((yield* time.now) / 60_000) * 60
  const lines = yield* Effect.forEach(
    markets,
    Effect.fnUntraced(function* ({ closeTime, openTime, ticker }) {
      const range = {
        startSeconds: toMillis(openTime!) / 1000,
        endSeconds: Math.min(now, toMillis(closeTime!) / 1000 + 2 * interval * 60),
        interval
      }
      const [series = ""] = ticker.split("-")
      const candles = yield* rest
        .candles(series, ticker, range)
        .pipe(Effect.catch(() => rest.historicalCandles(ticker, range)))
      return candles.map(told)
    }),
    { concurrency: 8 }
  )
  return lines.flat().sort()
})

export const storedCandles = (interval: CandleInterval = 1) =>
  PgClient.PgClient.use((sql) =>
    Effect.map(
      sql<Record<string, string | number | null>>`
        select market_ticker, period_interval_minutes as minutes, extract(epoch from end_period_ts)::int8::text as "end",
          open::text, high::text, low::text, close::text, yes_bid_open::text, yes_bid_close::text, yes_ask_high::text, yes_ask_low::text,
          volume::text, open_interest::text
        from market_candles where period_interval_minutes = ${interval}`,
      (rows) => rows.map((row) => line(Object.values(row))).sort()
    )
  )

export const until = <A, E, R>(look: Effect.Effect<A, E, R>, done: (found: A) => boolean) =>
  look.pipe(Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: done }), Effect.timeout("40 seconds"))

/** As our catalog would know the markets from before they closed. */
export const asOpen = (markets: ReadonlyArray<Market>): ReadonlyArray<Market> =>
  markets.map(({ expirationValue: _, result: __, settlementTime: ___, settlementValue: ____, ...market }) => ({
    ...market,
    status: "active"
  }))

export const saved = (markets: ReadonlyArray<Market>) =>
  Catalog.use((catalog) => catalog.saveMarkets(markets, fromMillis(startMs)))
