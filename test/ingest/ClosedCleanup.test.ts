import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { ClosedCleanup } from "../../src/ingest/ClosedCleanup.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import type { Market } from "../../src/market/Market.ts"
import { toMillis } from "../../src/market/Timestamp.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { ActiveMarkets } from "../../src/store/ActiveMarkets.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { MarketCompletion } from "../../src/store/MarketCompletion.ts"
import { TestDatabase } from "../support/Database.ts"
import {
  asOpen,
  day,
  freshWire,
  hour,
  isCandles,
  layerOf,
  malformed,
  minute,
  notFound,
  onePass,
  saved,
  startMs,
  storedCandles,
  toldCandles,
  type Wire
} from "./History.ts"

const cleanup = (settings: Readonly<Record<string, string>> = {}) =>
  onePass(
    "closed-cleanup",
    ClosedCleanup.pipe(
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ CLOSED_CLEANUP_SECONDS: "600", ...settings })))
    )
  )

/** Solana markets of the three hours that closed last, which our catalog saw last when they traded. */
const missed = Effect.gen(function* () {
  const rest = yield* KalshiRest
  const catalog = yield* Catalog
  const active = yield* ActiveMarkets
  const some = yield* Stream.runCollect(
    rest.markets({ seriesTicker: "KXSOLD", status: "closed", minCloseSeconds: (startMs - 3 * hour) / 1000 })
  )
  const settled = yield* Stream.runCollect(
    rest.markets({ seriesTicker: "KXSOLD", status: "settled", minSettledSeconds: (startMs - 3 * hour) / 1000 })
  )
  const markets = [...some, ...settled].filter(({ closeTime }) => toMillis(closeTime!) > startMs - 3 * hour)
  const told = yield* toldCandles(markets)
  const eventTickers = [...new Set(markets.map(({ eventTicker }) => eventTicker!))]
  yield* catalog.saveEvents(
    eventTickers.map((eventTicker) => ({
      event: { eventTicker, seriesTicker: "KXSOLD" },
      strikePeriod: "hour"
    }))
  )
  yield* saved(asOpen(markets))
  yield* active.refresh(["hour"], startMs - 2.5 * hour)
  yield* active.advanceClock(startMs)
  return { markets, told }
})

const test = <A, E>(
  body: (
    wire: Wire
  ) => Effect.Effect<
    A,
    E,
    Layer.Success<ReturnType<typeof layerOf>> | Layer.Success<ReturnType<typeof TestDatabase.as>> | Simulator
  >
) => {
  const wire = freshWire()
  return body(wire).pipe(
    Effect.provide(
      layerOf(wire).pipe(TestDatabase.under("rest"), Layer.provideMerge(Simulator.layer({ speed: 0, startMs })))
    )
  )
}

interface Row {
  readonly ticker: string
  readonly completion: string | null
  readonly result: string | null
  readonly value: string | null
  readonly settled: number | null
}
const rows = PgClient.PgClient.use(
  (sql) => sql<Row>`
    select ticker, completion, result, settlement_value_dollars::text as value, floor(extract(epoch from settlement_ts) * 1000)::float8 as settled
    from markets order by ticker`
)
const endOf = (ticker: string) =>
  Effect.map(rows, (all) => all.find((row) => row.ticker === ticker)?.completion ?? undefined)

const strange = (ticker: string, change: Partial<Market> = {}): Market => ({
  ticker,
  eventTicker: "KXSOLD-26AUG2411",
  status: "closed",
  openTime: "2026-08-24T14:00:00Z" as Market["openTime"] & string,
  closeTime: "2026-08-24T15:00:00Z" as Market["closeTime"] & string,
  ...change
})

describe("closed cleanup", { timeout: 60_000 }, () => {
  it.live("completes outcomes and candles of what closed, lets go of it, and then asks for nothing", () =>
    test((wire) =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const { markets, told } = yield* missed
        const listed = yield* sql`select from active_markets`
        assert.isAbove(listed.length, 0)
        wire.asked.length = 0
        assert.strictEqual(yield* cleanup(), "last pass complete")
        assert.isAtMost(wire.asked.length, 4)
        assert.deepStrictEqual(
          yield* rows,
          markets
            .map((market) => ({
              ticker: market.ticker,
              completion: "settled",
              result: market.result!,
              value: market.settlementValue!,
              settled: toMillis(market.settlementTime!)
            }))
            .sort((a, b) => (a.ticker < b.ticker ? -1 : 1))
        )
        assert.deepStrictEqual(yield* storedCandles(), told)
        assert.deepStrictEqual(yield* sql`select from active_markets`, [])
        wire.asked.length = 0
        yield* cleanup()
        assert.deepStrictEqual(wire.asked, [])
      })
    )
  )

  it.live("completes markets that were archived before anybody looked", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { control } = yield* Simulator
        const { markets, told } = yield* missed
        yield* control.moveCutoff(startMs - 1.5 * hour)
        wire.asked.length = 0
        assert.strictEqual(yield* cleanup(), "last pass complete")
        assert.include(wire.asked, "/historical/markets")
        assert.deepStrictEqual(new Set((yield* rows).map(({ completion }) => completion)), new Set(["settled"]))
        assert.strictEqual((yield* rows).length, markets.length)
        assert.deepStrictEqual(yield* storedCandles(), told)
      })
    )
  )

  it.live("ends void markets as void, provisional ones that vanished as vanished, others only after a day", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { markets } = yield* missed
        const { seen } = yield* MarketCompletion
        const [scalar, nameless] = markets.map(({ ticker }) => ticker)
        yield* saved([strange("KXSOLD-PROVISIONAL", { isProvisional: true }), strange("KXSOLD-DELETED")])
        wire.intercept = (route, answer) =>
          route.path === "/markets"
            ? Effect.map(answer, (body) =>
                JSON.parse(JSON.stringify(body), (_, value) => {
                  if (value?.ticker === scalar)
                    return { ...value, result: "scalar", settlement_value_dollars: "0.3700" }
                  if (value?.ticker !== nameless) return value
                  const { settlement_value_dollars: __, ...market } = value
                  return { ...market, result: "" }
                })
              )
            : answer
        assert.strictEqual(yield* cleanup(), "last pass complete")
        assert.deepStrictEqual(
          [yield* endOf(scalar!), yield* endOf(nameless!), yield* endOf("KXSOLD-PROVISIONAL")],
          ["void", "void", "vanished"]
        )
        assert.isUndefined(yield* endOf("KXSOLD-DELETED"))
        wire.lateMillis = day + minute
        wire.asked.length = 0
        assert.strictEqual(yield* cleanup(), "last pass complete")
        assert.strictEqual(yield* endOf("KXSOLD-DELETED"), "vanished")
        wire.asked.length = 0
        yield* cleanup()
        assert.deepStrictEqual(wire.asked, [])
        yield* seen(["KXSOLD-DELETED"])
        assert.isUndefined(yield* endOf("KXSOLD-DELETED"))
      })
    )
  )

  it.live("gives up candles that neither tier has after a day", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { markets } = yield* missed
        const { ticker } = markets[5]!
        wire.intercept = (route, answer) => {
          if (!isCandles(route.path)) return answer
          if (route.path.includes(ticker)) return notFound(route)
          return Effect.map(answer, (body) => {
            const { markets } = Object(body)
            return { markets: markets.filter((market: { market_ticker: string }) => market.market_ticker !== ticker) }
          })
        }
        yield* cleanup()
        assert.isUndefined(yield* endOf(ticker))
        wire.lateMillis = day + minute
        assert.strictEqual(yield* cleanup(), "last pass complete")
        assert.strictEqual(yield* endOf(ticker), "without_candles")
        wire.asked.length = 0
        yield* cleanup()
        assert.deepStrictEqual(wire.asked, [])
      })
    )
  )

  it.live("keeps on the worklist what could not be read, and completes the others", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { markets, told } = yield* missed
        const more = Array.from({ length: 60 }, (_, n) => strange(`KXSOLD-AAA${n}`, { isProvisional: true }))
        yield* saved(more)
        let lists = 0
        wire.intercept = (route, answer) => (route.path === "/markets" && ++lists === 1 ? malformed(route) : answer)
        assert.include(yield* cleanup(), "cut off")
        const after = yield* rows
        const done = after.filter(({ completion }) => completion !== null)
        assert.isAbove(done.length, 0)
        assert.isBelow(done.length, after.length)
        wire.intercept = (_, answer) => answer
        assert.strictEqual(yield* cleanup(), "last pass complete")
        assert.deepStrictEqual(
          (yield* rows).map(({ completion, ticker }) => [ticker, completion]),
          [...markets.map(({ ticker }) => [ticker, "settled"]), ...more.map(({ ticker }) => [ticker, "vanished"])].sort(
            ([a], [b]) => (a! < b! ? -1 : 1)
          )
        )
        assert.deepStrictEqual(yield* storedCandles(), told)
      })
    )
  )

  it.live("leaves alone what closed within the grace, and is off at 0", () =>
    test((wire) =>
      Effect.gen(function* () {
        yield* missed
        wire.asked.length = 0
        assert.strictEqual(yield* cleanup({ CLOSED_CLEANUP_SECONDS: "0" }), "")
        assert.strictEqual(yield* cleanup({ CLOSED_CLEANUP_GRACE_MINUTES: "1000" }), "last pass complete")
        assert.deepStrictEqual(wire.asked, [])
      })
    )
  )

  it.live("finds its worklist without looking at the markets that are complete", () =>
    test(() =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* missed
        yield* sql`
          insert into markets (ticker, event_ticker, status, open_time, close_time, completion)
          select 'OLD-' || n, 'KXSOLD-26AUG2411', 'finalized', '2026-01-01', '2026-01-02', 'settled' from generate_series(1, 20000) n`
        yield* sql.unsafe("analyze markets")
        const plan = yield* sql<{ "QUERY PLAN": string }>`
          explain select m.ticker from markets m join events e using (event_ticker)
          where m.completion is null and m.close_time is not null and e.strike_period = any ('{hour}'::text[])
            and (m.close_time, m.ticker) > ('-infinity'::timestamptz, '')
          order by m.close_time, m.ticker limit 2000`
        assert.include(plan.map((row) => row["QUERY PLAN"]).join("\n"), "markets_incomplete")
      })
    )
  )
})
