import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as SqlClient from "effect/sql/SqlClient"
import { AccountCheck } from "../../src/ingest/AccountCheck.ts"
import { TradeHistory } from "../../src/ingest/TradeHistory.ts"
import { TradeReconcile } from "../../src/ingest/TradeReconcile.ts"
import { Credentials } from "../../src/kalshi/Credentials.ts"
import { Drift } from "../../src/kalshi/Drift.ts"
import { KalshiConfig } from "../../src/kalshi/KalshiConfig.ts"
import { KalshiHttp, type Route } from "../../src/kalshi/KalshiHttp.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import { KalshiRestError } from "../../src/kalshi/KalshiRestError.ts"
import { RateLimit } from "../../src/kalshi/RateLimit.ts"
import { RestCall } from "../../src/kalshi/RestCall.ts"
import { Signer } from "../../src/kalshi/Signer.ts"
import { fromMillis, toMillis } from "../../src/market/Timestamp.ts"
import type { Trade } from "../../src/market/Trade.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import { Trades } from "../../src/store/Trades.ts"
import { TradeWindows } from "../../src/store/TradeWindows.ts"
import { type Acting, TestDatabase } from "../support/Database.ts"

const startMs = Date.parse("2026-08-24T15:50:00Z")
const second = 1000
const minute = 60 * second
/**
 * The stretch that is compared, and the part of it in which the live feed was down. The exchange's clock almost stands still: the
 * lag of a minute, which is of our clock, is a fraction of a second of its.
 */
const to = startMs - second
const from = to - 20 * minute
const down = { from: from + 6 * minute, to: from + 9 * minute }

const isWithin = (span: { readonly from: number; readonly to: number }) => (trade: Trade) => {
  const at = toMillis(trade.createdTime)
  return at >= span.from && at < span.to
}

interface Wire {
  /** Answers instead of the exchange, or changes its answer. */
  intercept: (route: Route, answer: Effect.Effect<unknown, KalshiRestError>) => Effect.Effect<unknown, KalshiRestError>
}

/** Pages of 60 trades, so that a window has many. */
const http = (wire: Wire) =>
  Layer.effect(
    KalshiHttp,
    Effect.map(KalshiHttp, ({ get }) =>
      KalshiHttp.of({
        get: (route) =>
          wire.intercept(
            route,
            get(route.path === "/markets/trades" ? { ...route, query: { ...route.query, limit: 60 } } : route)
          )
      })
    )
  ).pipe(Layer.provide(KalshiHttp.layer))

const Store = Layer.mergeAll(
  Catalog.layer,
  Partitions.layer,
  TradeWindows.layer,
  Trades.layer.pipe(Layer.provideMerge(MarketKeys.layer))
)

/** A fresh store with the markets of the hourly bitcoin event in its catalog, and their trades as the exchange lists them. */
const scene = Effect.fnUntraced(function* (speed = 0.001) {
  const { clock, restUrl } = yield* Simulator
  const wire: Wire = { intercept: (_, answer) => answer }
  const environment = ConfigProvider.layer(
    ConfigProvider.fromUnknown({
      KALSHI_REST_URL: restUrl,
      KALSHI_REST_RATE_LIMIT_BACKEND: "memory",
      KALSHI_REST_RATE_PER_SEC: "1000"
    })
  )
  const time = ExchangeTime.layerLinear({
    wallMillis: clock.wallMs,
    exchangeMillis: clock.exchangeMs,
    speed,
    simulated: true
  })
  const venue = KalshiRest.layerNoDeps.pipe(
    Layer.provide(RestCall.layer),
    Layer.provide(RateLimit.layerMemory),
    Layer.provide(http(wire)),
    Layer.provideMerge(Signer.layer),
    Layer.provide(Credentials.layer),
    Layer.provide([KalshiConfig.layer, Drift.layer]),
    Layer.provide(environment)
  )
  const context = yield* Layer.build(
    Layer.fresh(Layer.mergeAll(venue, Store, time, Health.layer).pipe(Layer.provide(TestDatabase.actingClient)))
  )
  const rest = Context.get(context, KalshiRest)
  const catalog = Context.get(context, Catalog)
  const markets = yield* Stream.runCollect(rest.markets({ status: "open", seriesTicker: "KXBTCD" }))
  yield* catalog.saveMarkets(markets, fromMillis(startMs))
  const known = new Set(markets.map(({ ticker }) => ticker))
  const all = yield* Stream.runCollect(rest.trades({ minSeconds: from / second, maxSeconds: to / second }))
  const listed = all.filter((trade) => known.has(trade.ticker)).filter(isWithin({ from, to }))

  const storeLive = Effect.fnUntraced(function* (some: ReadonlyArray<Trade>) {
    yield* Context.get(context, MarketKeys).register(new Set(some.map(({ ticker }) => ticker)))
    yield* Context.get(context, Trades).insert(
      some.map((trade) => ({
        ...trade,
        createdTime: fromMillis(toMillis(trade.createdTime)),
        receivedMillis: toMillis(trade.createdTime) + 3,
        provenance: "live"
      }))
    )
  })
  /** Runs the loop for as long as the test goes on. */
  const reconcile = (settings: Readonly<Record<string, string>> = { TRADE_RECONCILE_SECONDS: "0.2" }) =>
    Layer.build(
      Layer.fresh(
        TradeReconcile.pipe(
          Layer.provide([AccountCheck.layer, TradeHistory.layer]),
          Layer.provide(Loops.layer),
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(settings))),
          Layer.provide(TestDatabase.actingClient)
        )
      )
    ).pipe(Effect.provideContext(context))
  return { all, health: Context.get(context, Health), known, listed, reconcile, rest, storeLive, wire }
})

const stored = PgClient.PgClient.use(
  (sql) => sql<{ id: string; provenance: string; count: string; yes: string }>`
    select trade_id::text as id, provenance, count::text, yes_price_dollars::text as yes from market_trades order by 1`
)
const expected = (trades: ReadonlyArray<Trade>, provenanceOf: (trade: Trade) => string) =>
  trades
    .map((trade) => ({
      id: trade.tradeId,
      provenance: provenanceOf(trade),
      count: String(trade.count),
      yes: String(trade.yesPrice)
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))

interface WindowRow {
  readonly from: number
  readonly to: number
  readonly seen: number
  readonly live: number
  readonly repaired: number
  readonly complete: boolean
  readonly cause: string | null
}
const windows = PgClient.PgClient.use(
  (sql) => sql<WindowRow>`
    select extract(epoch from from_ts)::float8 * 1000 as from, extract(epoch from to_ts)::float8 * 1000 as to,
      seen_rest as seen, stored_live as live, repaired, complete, cause
    from trade_windows order by from_ts`
)
const isComplete = (ticker: string, span: { readonly from: number; readonly to: number }) =>
  TradeWindows.use((ledger) => ledger.isComplete(ticker, span.from, span.to)).pipe(
    Effect.provide(TradeWindows.layer.pipe(Layer.provide(TestDatabase.actingClient)))
  )
const until = <A, E, R>(look: Effect.Effect<A, E, R>, done: (found: A) => boolean) =>
  look.pipe(Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: done }), Effect.timeout("15 seconds"))
const caughtUp = until(windows, (rows) => (rows.at(-1)?.to ?? 0) >= to)

const test = <A, E>(
  body: Effect.Effect<A, E, Acting | PgClient.PgClient | SqlClient.SqlClient | TestDatabase | Simulator>
) => body.pipe(Effect.provide(TestDatabase.as("rest").pipe(Layer.provideMerge(Simulator.layer({ speed: 0, startMs })))))

const refusal = new KalshiRestError({
  route: "GET /markets/trades",
  reason: { _tag: "Malformed", issue: "cut off" }
})
const isTrades = (route: Route) => route.path === "/markets/trades"

describe("the reconciliation of trades", () => {
  it.live("repairs what the live feed missed, exactly, and says of which spans it is sure", () =>
    test(
      Effect.gen(function* () {
        const { all, health, known, listed, reconcile, storeLive } = yield* scene()
        const missed = listed.filter(isWithin(down))
        const recorded = listed.filter((trade) => !isWithin(down)(trade))
        assert.isAbove(missed.length, 10)
        assert.isAbove(recorded.length, 60)
        assert.isAbove(all.length, listed.length)
        yield* storeLive(recorded)
        yield* reconcile()
        yield* caughtUp
        assert.deepStrictEqual(
          yield* stored,
          expected(listed, (trade) => (isWithin(down)(trade) ? "repaired" : "live"))
        )
        const rows = yield* windows
        const first = Math.min(...recorded.map((trade) => toMillis(trade.createdTime)))
        assert.strictEqual(rows[0]!.from, Math.floor(first / second) * second)
        assert.isAbove(rows.length, 1)
        for (const [i, row] of rows.entries()) {
          if (i > 0) assert.strictEqual(row.from, rows[i - 1]!.to)
          assert.isAtMost(row.to - row.from, 15 * minute)
          const inWindow = listed.filter(isWithin(row))
          const repaired = inWindow.filter(isWithin(down)).length
          assert.deepStrictEqual(
            [row.seen, row.live, row.repaired, row.complete, row.cause],
            [inWindow.length, inWindow.length - repaired, repaired, true, null]
          )
        }
        const [ticker] = known
        assert.isTrue(yield* isComplete(ticker!, { from: rows[0]!.from, to: rows.at(-1)!.to }))
        assert.isFalse(yield* isComplete(ticker!, { from: rows[0]!.from - 1, to }))
        yield* until(health.report, ({ parts }) => parts["trades"]?.detail === "last pass complete")
      }).pipe(Effect.scoped)
    )
  )

  it.live("enters no window of which a page failed, and makes up for it in the next pass", () =>
    test(
      Effect.gen(function* () {
        const { listed, reconcile, storeLive, wire } = yield* scene()
        const sql = yield* PgClient.PgClient
        const windowsAt: Array<number> = []
        wire.intercept = (route, answer) =>
          isTrades(route)
            ? Effect.flatMap(Effect.orDie(windows.pipe(Effect.provideService(PgClient.PgClient, sql))), (rows) => {
                windowsAt.push(rows.length)
                return windowsAt.length === 2 ? Effect.fail(refusal) : answer
              })
            : answer
        yield* storeLive(listed.slice(-1))
        yield* reconcile()
        yield* caughtUp
        assert.deepStrictEqual(windowsAt.slice(0, 4), [0, 0, 0, 0])
        assert.deepStrictEqual(
          (yield* stored).map(({ id }) => id),
          expected(listed, () => "").map(({ id }) => id)
        )
        const rows = yield* windows
        assert.strictEqual(
          rows.filter((row) => row.to <= to).reduce((sum, row) => sum + row.live + row.repaired, 0),
          listed.length
        )
      }).pipe(Effect.scoped)
    )
  )

  it.live("leaves no seam between windows when the exchange takes its bounds for exclusive", () =>
    test(
      Effect.gen(function* () {
        const { listed, reconcile, storeLive, wire } = yield* scene()
        wire.intercept = (route, answer) =>
          isTrades(route)
            ? Effect.map(answer, (body) => {
                const page = body as { readonly trades: ReadonlyArray<{ readonly created_time: string }> }
                const inner = page.trades.filter(({ created_time }) => {
                  const at = Math.floor(Date.parse(created_time) / second)
                  return at > Number(route.query?.["min_ts"]) && at < Number(route.query?.["max_ts"])
                })
                return { ...page, trades: inner }
              })
            : answer
        yield* storeLive(listed.slice(-1))
        yield* reconcile()
        yield* caughtUp
        assert.isAbove((yield* windows).length, 1)
        assert.deepStrictEqual(
          (yield* stored).map(({ id }) => id),
          expected(listed, () => "").map(({ id }) => id)
        )
      }).pipe(Effect.scoped)
    )
  )

  it.live("goes on where it stopped", () =>
    test(
      Effect.gen(function* () {
        const { listed, reconcile, storeLive } = yield* scene()
        yield* storeLive(listed.slice(-1))
        yield* Effect.scoped(Effect.andThen(reconcile(), caughtUp))
        const before = yield* windows
        yield* reconcile({ TRADE_RECONCILE_SECONDS: "0.2", TRADE_RECONCILE_LAG_SECONDS: "0" })
        const after = yield* until(windows, (found) => found.length > before.length)
        assert.deepStrictEqual(after.slice(0, before.length), before)
        assert.deepStrictEqual([after[before.length]!.from, after[before.length]!.to], [to, startMs])
      }).pipe(Effect.scoped)
    )
  )

  it.live("a trade that the database refuses is left out, its window is not complete, the others are stored", () =>
    test(
      Effect.gen(function* () {
        const { known, listed, reconcile, storeLive, wire } = yield* scene()
        const broken = listed.find((trade) => toMillis(trade.createdTime) < from + 5 * minute)!
        wire.intercept = (route, answer) =>
          isTrades(route)
            ? Effect.map(answer, (body) => JSON.parse(JSON.stringify(body).replace(broken.tradeId, "no-such-form")))
            : answer
        yield* storeLive(listed.slice(-1))
        yield* reconcile()
        yield* caughtUp
        assert.deepStrictEqual(
          (yield* stored).map(({ id }) => id),
          expected(
            listed.filter((trade) => trade !== broken),
            () => ""
          ).map(({ id }) => id)
        )
        const [first, second] = yield* windows
        assert.deepStrictEqual([first!.complete, first!.cause], [false, "1 trades refused by the database"])
        assert.isTrue(second!.complete)
        assert.isFalse(yield* isComplete([...known][0]!, first!))
      }).pipe(Effect.scoped)
    )
  )

  it.live("reads the historical tier too where the live one has ended", () =>
    test(
      Effect.gen(function* () {
        const { listed, reconcile, storeLive } = yield* scene()
        const { control } = yield* Simulator
        yield* control.moveCutoff(from + 10 * minute)
        yield* storeLive(listed.slice(-1))
        yield* reconcile()
        yield* caughtUp
        assert.deepStrictEqual(
          (yield* stored).map(({ id }) => id),
          expected(listed, () => "").map(({ id }) => id)
        )
      }).pipe(Effect.scoped)
    )
  )

  it.live("unset, it waits for trades to be recorded live; 0 is never", () =>
    test(
      Effect.gen(function* () {
        const { health, reconcile, wire } = yield* scene()
        const asked: Array<string> = []
        wire.intercept = (route, answer) => {
          asked.push(route.path)
          return answer
        }
        yield* reconcile({ TRADE_RECONCILE_SECONDS: "0" })
        assert.deepStrictEqual((yield* health.report).parts, {})
        yield* reconcile({})
        yield* until(health.report, ({ parts }) => parts["trades"]?.detail === "trades are not recorded live")
        assert.deepStrictEqual(asked, [])
      }).pipe(Effect.scoped)
    )
  )

  it.live("set, it records trades from its start also where none are recorded live", () =>
    test(
      Effect.gen(function* () {
        const { known, reconcile, rest } = yield* scene(30)
        const { control } = yield* Simulator
        yield* control.advance(20 * minute)
        yield* reconcile({ TRADE_RECONCILE_SECONDS: "0.1", TRADE_RECONCILE_LAG_SECONDS: "0" })
        const rows = yield* until(windows, (found) => found.length > 3 && found.some(({ repaired }) => repaired > 0))
        const span = { from: rows[0]!.from, to: rows.at(-1)!.to }
        assert.isAtLeast(span.from, startMs)
        const listed = yield* Stream.runCollect(
          rest.trades({ minSeconds: span.from / second, maxSeconds: span.to / second })
        )
        const within = listed.filter((trade) => known.has(trade.ticker)).filter(isWithin(span))
        const ids = new Set(within.map(({ tradeId }) => tradeId))
        assert.deepStrictEqual(
          (yield* stored).filter(({ id }) => ids.has(id)),
          expected(within, () => "repaired")
        )
        assert.strictEqual(
          rows.reduce((sum, { repaired }) => sum + repaired, 0),
          within.length
        )
      }).pipe(Effect.scoped)
    )
  )
})
