import * as fs from "node:fs"
import * as path from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { AccountCheck } from "../../src/ingest/AccountCheck.ts"
import { CandleHistory } from "../../src/ingest/CandleHistory.ts"
import { ClosedCleanup } from "../../src/ingest/ClosedCleanup.ts"
import { EventIntake } from "../../src/ingest/EventIntake.ts"
import { MarketCatchUp } from "../../src/ingest/MarketCatchUp.ts"
import { MarketOutcomes } from "../../src/ingest/MarketOutcomes.ts"
import { Credentials } from "../../src/kalshi/Credentials.ts"
import { Drift } from "../../src/kalshi/Drift.ts"
import { KalshiConfig } from "../../src/kalshi/KalshiConfig.ts"
import { KalshiHttp, type Route } from "../../src/kalshi/KalshiHttp.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import { callTokens, RateLimit } from "../../src/kalshi/RateLimit.ts"
import { RestCall } from "../../src/kalshi/RestCall.ts"
import { Signer } from "../../src/kalshi/Signer.ts"
import type { CandleInterval } from "../../src/market/Candle.ts"
import { lengthOf, lifeOf } from "../../src/market/CandlePeriod.ts"
import type { Market } from "../../src/market/Market.ts"
import { fromMillis, toMillis } from "../../src/market/Timestamp.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { ActiveMarkets } from "../../src/store/ActiveMarkets.ts"
import { Candles } from "../../src/store/Candles.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import { IngestState } from "../../src/store/IngestState.ts"
import { MarketCompletion } from "../../src/store/MarketCompletion.ts"
import { Migrations } from "../../src/store/Migrations.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import * as Programs from "../support/Programs.ts"

/*
 * Method. A real PostgreSQL 18 and the simulated exchange at the limits of a Basic account (200 tokens a second, 600 at most, 10 a call; a
 * call beyond them is refused with 429 and counted). The catalog holds 1,000 hourly and 100 daily markets as it last saw them when they
 * traded, closed since by our own clock; all of them have settled. `ClosedCleanup`, as `rest` runs it, then completes them: outcomes, candles (a minute
 * for hourly markets, an hour for daily ones), end of the worklist. In the first run half of either kind lies past the cutoff, in the second
 * none does. Afterwards every candle is compared with the exchange's own, market by market. `perMarketRequests` is what one call for candles a
 * market and 72 hours takes, as in the Python original. The two tiers are told apart because the exchange serves archived candles one
 * market a call only.
 */

const startMs = Date.parse("2026-08-24T15:50:00Z")
const hourly = { count: 1000, series: ["KXBTCD", "KXBTC", "KXETHD", "KXSOLD"], period: "hour", interval: 1 } as const
const daily = {
  count: 100,
  series: ["KXHIGHNY", "KXHIGHCHI", "KXHIGHMIA", "KXHIGHLAX", "KXHIGHAUS", "KXHIGHDEN", "KXHIGHPHIL"],
  period: "day",
  interval: 60
} as const
type Kind = typeof hourly | typeof daily
const kinds: ReadonlyArray<Kind> = [hourly, daily]

interface Sample {
  readonly kind: Kind
  readonly markets: ReadonlyArray<Market>
}

const settledOf = (market: Market) => toMillis(market.settlementTime!)
const prefixOf = (market: Market) => market.ticker.split("-")[0]!

/** All settled markets of some series, whatever tier they are in now. */
const settledMarkets = Effect.fnUntraced(function* (kind: Kind) {
  const rest = yield* KalshiRest
  const lists = yield* Effect.forEach(kind.series, (seriesTicker) =>
    Effect.zipWith(
      Stream.runCollect(rest.markets({ seriesTicker, status: "settled" })),
      Stream.runCollect(rest.historicalMarkets({ seriesTicker })),
      (live, archived) => [...live, ...archived]
    )
  )
  return lists.flat().sort((a, b) => settledOf(a) - settledOf(b))
})

/** The markets that settled nearest to the cutoff, half before it and half after. */
const around = (kind: Kind, all: ReadonlyArray<Market>, cutoff: number): Sample => {
  const at = all.findIndex((market) => settledOf(market) >= cutoff)
  return { kind, markets: all.slice(Math.max(0, at - kind.count / 2), at + kind.count / 2) }
}

interface Counter {
  readonly routes: Array<Route>
}

const http = (counter: Counter) =>
  Layer.effect(
    KalshiHttp,
    Effect.map(KalshiHttp, ({ get }) =>
      KalshiHttp.of({
        get: (route) =>
          Effect.suspend(() => {
            counter.routes.push(route)
            return get(route)
          })
      })
    )
  ).pipe(Layer.provide(KalshiHttp.layer))

const services = <R>(
  counter: Counter,
  limits: Layer.Layer<RateLimit, never, R>,
  env: Readonly<Record<string, string>>
) =>
  KalshiRest.layerNoDeps.pipe(
    Layer.provide(RestCall.layer),
    Layer.provide(limits),
    Layer.provide(http(counter)),
    Layer.provideMerge(Signer.layer),
    Layer.provide(Credentials.layer),
    Layer.provide([KalshiConfig.layer, Drift.layer]),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
  )

const Store = Layer.mergeAll(
  Catalog.layer,
  ActiveMarkets.layer,
  IngestState.layer,
  MarketCompletion.layer,
  Candles.layer.pipe(Layer.provide(Partitions.layer))
)

/** As the catalog knew them while they traded. */
const seed = Effect.fnUntraced(function* ({ kind, markets }: Sample) {
  const catalog = yield* Catalog
  const events = new Map(markets.map((market) => [market.eventTicker!, prefixOf(market)]))
  yield* catalog.saveEvents(
    [...events].map(([eventTicker, seriesTicker]) => ({
      event: { eventTicker, seriesTicker },
      strikePeriod: kind.period
    }))
  )
  yield* catalog.saveMarkets(
    markets.map(({ expirationValue: _, result: __, settlementTime: ___, settlementValue: ____, ...market }) => ({
      ...market,
      status: "closed"
    })),
    fromMillis(startMs)
  )
})

/** Lines `ticker end volume`, of every candle that the exchange has, market by market. */
const told = Effect.fnUntraced(function* ({ kind, markets }: Sample) {
  const rest = yield* KalshiRest
  const lines = yield* Effect.forEach(
    markets,
    (market) => {
      const { fromMillis, toMillis: to } = life(kind.interval, market)
      const range = { startSeconds: fromMillis / 1000 + 1, endSeconds: to / 1000, interval: kind.interval }
      return rest.candles(prefixOf(market), market.ticker, range).pipe(
        Effect.catch(() => rest.historicalCandles(market.ticker, range)),
        Effect.map((candles) =>
          candles.map(({ endSeconds, ticker, volume }) => `${ticker} ${endSeconds} ${Number(volume)}`)
        )
      )
    },
    { concurrency: 8 }
  )
  return lines.flat()
})

const life = (interval: CandleInterval, market: Market) =>
  lifeOf(interval, toMillis(market.openTime!), toMillis(market.closeTime!))

const originalCalls = ({ kind, markets }: Sample) =>
  markets.reduce((sum, market) => {
    const { fromMillis, toMillis: to } = life(kind.interval, market)
    return sum + Math.ceil((to - fromMillis) / (72 * lengthOf(60)))
  }, 0)

const run = Effect.fnUntraced(function* (
  samples: ReadonlyArray<Sample>,
  expected: ReadonlySet<string>,
  env: Readonly<Record<string, string>>
) {
  const sql = yield* PgClient.PgClient
  const { control } = yield* Simulator
  const counter: Counter = { routes: [] }
  yield* sql.unsafe("truncate markets, events, market_candles, candle_ranges, rate_limit_buckets")
  yield* Effect.forEach(samples, seed, { discard: true }).pipe(Effect.provide(Catalog.layer))
  yield* control.advance(0)
  const before = yield* control.stats
  const began = yield* Clock.currentTimeMillis
  const time = Layer.succeed(
    ExchangeTime,
    ExchangeTime.of({
      now: Effect.map(control.stats, ({ exchangeTime }) => Date.parse(exchangeTime)),
      fromWall: (millis) => millis,
      toWallSpan: (millis) => millis,
      simulated: true
    })
  )
  yield* Effect.gen(function* () {
    const health = yield* Health
    yield* health.report.pipe(
      Effect.repeat({
        schedule: Schedule.spaced("50 millis"),
        until: ({ parts }) => parts["closed-cleanup"]?.detail !== "no pass has completed yet"
      }),
      Effect.flatMap(({ parts }) =>
        parts["closed-cleanup"]?.detail === "last pass complete"
          ? Effect.void
          : Effect.die(new Error(parts["closed-cleanup"]?.detail))
      )
    )
  }).pipe(
    Effect.provide(
      ClosedCleanup.pipe(
        Layer.provide([
          AccountCheck.layer,
          MarketOutcomes.layer,
          MarketCatchUp.layer.pipe(Layer.provide(CandleHistory.layer))
        ]),
        Layer.provide(EventIntake.layer),
        Layer.provide([services(counter, RateLimit.layerPostgres, env), Store, time, Loops.layer]),
        Layer.provideMerge(Health.layer),
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env))),
        Layer.fresh
      )
    )
  )
  const seconds = ((yield* Clock.currentTimeMillis) - began) / 1000
  const after = yield* control.stats
  const stored = yield* sql<{ line: string }>`
    select market_ticker || ' ' || extract(epoch from end_period_ts)::int8 || ' ' || volume::float8 as line from market_candles`
  const found = new Set(stored.map(({ line }) => line))
  const [open] = yield* sql<{ n: number }>`select count(*)::int as n from markets where completion is null`
  const candleCalls = counter.routes.filter(({ path }) => path.endsWith("/candlesticks"))
  const isOf = (kind: Kind) => (route: Route) => Number(route.query?.["period_interval"]) === kind.interval
  const isHistorical = ({ path }: Route) => path.startsWith("/historical/")
  const byTier = (kind: Kind) => ({
    markets: kind.count,
    liveRequests: candleCalls.filter(isOf(kind)).filter((route) => !isHistorical(route)).length,
    historicalRequests: candleCalls.filter(isOf(kind)).filter(isHistorical).length
  })
  return {
    markets: samples.reduce((sum, { markets }) => sum + markets.length, 0),
    requests: after.requests - before.requests,
    tokens: (after.requests - before.requests) * callTokens,
    seconds: Number(seconds.toFixed(1)),
    candles: found.size,
    missing: [...expected].filter((line) => !found.has(line)).length + open!.n,
    http429: after.http429 - before.http429,
    hourly: byTier(hourly),
    daily: byTier(daily),
    otherRequests: counter.routes.length - candleCalls.length,
    incomplete: open!.n
  }
})

const bench = Effect.fn("bench.backfill")(function* (json: boolean) {
  const home = yield* Programs.folder
  yield* Effect.gen(function* () {
    const { control, keyId, privateKeyPem, restUrl } = yield* Simulator
    const key = path.join(home, "key.pem")
    yield* Effect.sync(() => fs.writeFileSync(key, privateKeyPem, { mode: 0o600 }))
    const env = {
      KALSHI_REST_URL: restUrl,
      KALSHI_API_KEY_ID: keyId,
      KALSHI_PRIVATE_KEY_PEM_PATH: key,
      CLOSED_CLEANUP_SECONDS: "3600"
    }
    const unlimited = { KALSHI_REST_URL: restUrl, KALSHI_REST_RATE_PER_SEC: "10000" }
    const observer = services({ routes: [] }, RateLimit.layerMemory, unlimited)
    const { expected, samples, cutoff } = yield* Effect.gen(function* () {
      const all = yield* Effect.forEach(kinds, (kind) =>
        Effect.map(settledMarkets(kind), (markets) => ({ kind, markets }))
      )
      const days = all.find(({ kind }) => kind === daily)!.markets
      // In the middle of the days that have settled, so that there is half of everything on either side.
      const cutoff = settledOf(days[Math.floor(days.length / 2)]!)
      const samples = all.map(({ kind, markets }) => around(kind, markets, cutoff))
      for (const { kind, markets } of samples)
        if (markets.length !== kind.count)
          return yield* Effect.die(new Error(`${markets.length} ${kind.period} markets`))
      const lines = yield* Effect.forEach(samples, told)
      return { cutoff, samples, expected: new Set(lines.flat()) }
    }).pipe(Effect.provide(observer))
    yield* control.moveCutoff(cutoff)
    const half = yield* run(samples, expected, env)
    // The bucket of the exchange is full again.
    yield* Effect.sleep("4 seconds")
    yield* control.moveCutoff(startMs - 365 * 86_400_000)
    const live = yield* run(samples, expected, env)
    const { incomplete: _, ...figures } = half
    const result = {
      ...figures,
      perMarketRequests: samples.reduce((sum, sample) => sum + originalCalls(sample), 0),
      beforeTheCutoff: {
        requests: live.requests,
        seconds: live.seconds,
        candles: live.candles,
        missing: live.missing,
        http429: live.http429,
        hourlyRequests: live.hourly.liveRequests,
        dailyRequests: live.daily.liveRequests,
        otherRequests: live.otherRequests
      }
    }
    yield* Console.log(json ? JSON.stringify(result) : JSON.stringify(result, null, 2))
  }).pipe(
    Effect.provide(
      Layer.mergeAll(
        Simulator.layer({ speed: 0, startMs, tokens: { refillRate: 200, capacity: 600 }, ledger: { _tag: "None" } }),
        Layer.unwrap(
          EmbeddedPostgres.use(({ url }) =>
            Effect.succeed(
              Migrations.layerApplied.pipe(
                Layer.provideMerge(PgClient.layer({ url, maxConnections: 8, startupParameters: { timezone: "UTC" } }))
              )
            )
          )
        ).pipe(Layer.provide(EmbeddedPostgres.layer({ dataDir: path.join(home, "postgres") })))
      )
    )
  )
})

export const main = (args: ReadonlyArray<string>): void =>
  bench(args.includes("--json")).pipe(
    Effect.scoped,
    Effect.provideService(References.MinimumLogLevel, "Warn"),
    NodeRuntime.runMain
  )
