import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Decimal } from "../../src/market/Decimal.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { TickBatch } from "../../src/store/TickBatch.ts"
import { Ticks } from "../../src/store/Ticks.ts"
import { TestDatabase } from "../support/Database.ts"

const start = 1_787_586_600_000
const hour = 3_600_000
const decimal = (text: string) => text as Decimal

const tick = (ticker: string, offset: number, bid: string | undefined, ask: string | undefined) => ({
  ticker,
  exchangeMillis: start + offset,
  receivedMillis: start + offset + 3,
  price: decimal("0.5000"),
  yesBid: bid === undefined ? undefined : decimal(bid),
  yesAsk: ask === undefined ? undefined : decimal(ask),
  yesBidSize: decimal("1.00"),
  yesAskSize: decimal("2.00"),
  lastTradeSize: undefined,
  volume: decimal("0.00"),
  openInterest: decimal("10.50"),
  dollarVolume: undefined,
  dollarOpenInterest: undefined
})

const record = Effect.gen(function* () {
  const catalog = yield* Catalog
  const ticks = yield* Ticks
  const sql = yield* PgClient.PgClient
  yield* catalog.saveEvents([
    { event: { eventTicker: "E-EARLY", title: "early", strikeDate: fromMillis(start + hour) }, strikePeriod: "hour" },
    { event: { eventTicker: "E-LATE", title: "late" }, strikePeriod: "day" },
    { event: { eventTicker: "E-WEEK", strikeDate: fromMillis(start + 9 * hour) }, strikePeriod: "week" }
  ])
  const market = (ticker: string, eventTicker: string, closes: number) => ({
    ticker,
    eventTicker,
    status: "active",
    closeTime: fromMillis(start + closes * hour)
  })
  yield* catalog.saveMarkets(
    [
      ...["A", "B", "C", "D", "E"].map((ticker) => market(ticker, "E-EARLY", 1)),
      market("L", "E-LATE", 5),
      market("W", "E-WEEK", 9)
    ],
    fromMillis(start)
  )
  const rows = [
    tick("A", 20, "0.6000", "0.6200"),
    tick("A", 10, "0.1000", "0.2000"),
    tick("B", 20, "0.6100", "0.6100"),
    tick("C", 20, "0.0000", "1.0000"),
    tick("D", 20, "0.9000", undefined),
    tick("L", 20, "0.0100", "0.0200"),
    tick("W", 20, "0.9000", "0.9100")
  ]
  const batch = new TickBatch()
  for (const row of rows) batch.add(row, "live")
  yield* MarketKeys.use((keys) => keys.register(new Set(batch.tickers)))
  yield* ticks.insert(batch)
  yield* sql`
    insert into market_candles (market_ticker, period_interval_minutes, start_period_ts, end_period_ts, open, high, low, close, volume)
    values ('A', 60, ${fromMillis(start + hour)}, ${fromMillis(start + 2 * hour)}, null, null, null, null, 0),
           ('A', 60, ${fromMillis(start)}, ${fromMillis(start + hour)}, 0.4, 0.62, 0.39, 0.6, 12.5),
           ('A', 1, ${fromMillis(start)}, ${fromMillis(start + 60_000)}, 0.4, 0.4, 0.4, 0.4, 1),
           ('B', 60, ${fromMillis(start)}, ${fromMillis(start + hour)}, 0.1, 0.1, 0.1, 0.1, 1)`
})

const Recorded = Layer.effectDiscard(record).pipe(
  Layer.provideMerge(
    Layer.merge(
      Catalog.layer.pipe(Layer.provide(TestDatabase.layerAs("rest"))),
      Ticks.layer.pipe(Layer.provideMerge(MarketKeys.layer), Layer.provide(TestDatabase.layerAs("ws")))
    )
  ),
  Layer.provideMerge(TestDatabase.layer)
)

const number = (value: unknown) => (value === null ? null : Number(value))
const query = (statement: string) => PgClient.PgClient.use((sql) => sql.unsafe<Record<string, unknown>>(statement))

layer(Recorded)("the queries that users have", (it) => {
  it.effect("the outcomes of each event, likeliest first", () =>
    Effect.gen(function* () {
      const rows = yield* query(
        `SELECT * FROM event_outcomes_latest WHERE strike_period IN ('hour', 'day') ORDER BY strike_date DESC, event_ticker, implied_yes_mid DESC;`
      )
      assert.deepStrictEqual(
        rows.map((row) => [row["event_ticker"], row["market_ticker"], number(row["implied_yes_mid"])]).slice(0, 1),
        [["E-LATE", "L", 0.015]]
      )
      const early = rows.slice(1).map((row) => [row["market_ticker"], number(row["implied_yes_mid"])] as const)
      assert.deepStrictEqual(
        early.slice(0, 3).map(([, mid]) => mid),
        [null, null, null]
      )
      assert.deepStrictEqual(
        early
          .slice(0, 3)
          .map(([ticker]) => ticker)
          .sort(),
        ["C", "D", "E"]
      )
      assert.deepStrictEqual(
        early.slice(3).sort(([a], [b]) => String(a).localeCompare(String(b))),
        [
          ["A", 0.61],
          ["B", 0.61]
        ]
      )
      assert.deepStrictEqual(rows[0]?.["strike_date"], rows[0]?.["close_time"])
    })
  )

  it.effect("the leader of each event: the highest midpoint, ties by ticker, never an empty book", () =>
    Effect.gen(function* () {
      const rows = yield* query(
        `SELECT * FROM event_leader_latest WHERE strike_period IN ('hour', 'day') ORDER BY strike_date DESC;`
      )
      assert.deepStrictEqual(
        rows.map((row) => [row["event_ticker"], row["market_ticker"], number(row["implied_yes_mid"])]),
        [
          ["E-LATE", "L", 0.015],
          ["E-EARLY", "A", 0.61]
        ]
      )
    })
  )

  it.effect("the ticks of a market in their order", () =>
    Effect.gen(function* () {
      const rows = yield* query(
        `SELECT ts, price_dollars, yes_bid_dollars, yes_ask_dollars, volume, open_interest FROM market_ticks WHERE ticker = 'A' ORDER BY ts;`
      )
      assert.deepStrictEqual(
        rows.map((row) => [
          (row["ts"] as Date).getTime() - start,
          ...["price_dollars", "yes_bid_dollars", "yes_ask_dollars", "volume", "open_interest"].map((name) =>
            number(row[name])
          )
        ]),
        [
          [10, 0.5, 0.1, 0.2, 0, 10.5],
          [20, 0.5, 0.6, 0.62, 0, 10.5]
        ]
      )
    })
  )

  it.effect("the hourly candles of a market", () =>
    Effect.gen(function* () {
      const rows = yield* query(
        `SELECT end_period_ts, open, high, low, close, volume FROM market_candles WHERE market_ticker = 'A' AND period_interval_minutes = 60 ORDER BY end_period_ts;`
      )
      assert.deepStrictEqual(
        rows.map((row) => [
          (row["end_period_ts"] as Date).getTime() - start,
          ...["open", "high", "low", "close", "volume"].map((name) => number(row[name]))
        ]),
        [
          [hour, 0.4, 0.62, 0.39, 0.6, 12.5],
          [2 * hour, null, null, null, null, 0]
        ]
      )
    })
  )
})
