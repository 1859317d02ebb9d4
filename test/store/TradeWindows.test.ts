import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import { Trades } from "../../src/store/Trades.ts"
import { TradeWindows } from "../../src/store/TradeWindows.ts"
import { TestDatabase } from "../support/Database.ts"
import { listed, live, prepared, start } from "./TradeFixture.ts"

const Store = Layer.effectDiscard(
  Effect.andThen(
    prepared,
    Catalog.use((catalog) => catalog.saveMarkets([{ ticker: "EARLY", eventTicker: "E" }], fromMillis(start)))
  )
).pipe(
  Layer.provideMerge(
    Layer.mergeAll(
      Catalog.layer,
      Partitions.layer,
      TradeWindows.layer,
      Trades.layer.pipe(Layer.provideMerge(MarketKeys.layer))
    )
  ),
  TestDatabase.under("rest")
)

const minute = 60_000

layer(Store)("TradeWindows", (it) => {
  const record = Effect.fnUntraced(function* (from: number, to: number, cause?: string) {
    const windows = yield* TradeWindows
    yield* windows.record({
      kind: "reconcile",
      fromMillis: start + from * minute,
      toMillis: start + to * minute,
      checkedAt: yield* windows.clock,
      seenRest: 4,
      cause
    })
  })
  const complete = (ticker: string, from: number, to: number) =>
    TradeWindows.use((windows) => windows.isComplete(ticker, start + from * minute, start + to * minute))

  it.effect("starts with nothing", () =>
    Effect.gen(function* () {
      const windows = yield* TradeWindows
      assert.deepStrictEqual(yield* windows.checkedUntilMillis, Option.none())
      assert.isFalse(yield* complete("EARLY", 0, 1))
    })
  )

  it.effect("counts the rows of its span by where they came from, once", () =>
    Effect.gen(function* () {
      const trades = yield* Trades
      const windows = yield* TradeWindows
      const sql = yield* PgClient.PgClient
      const end = start + 5 * minute
      yield* trades.insert([live(1, start - 1), live(2, start), live(3, end - 1), live(4, end)])
      yield* trades.insert([listed(5, start - 1, 999), listed(6, start), listed(7, end - 1, 999), listed(8, end)])
      yield* record(0, 5)
      yield* record(0, 5)
      assert.deepStrictEqual(
        yield* sql`
          select market_ticker, rfc3339(from_ts) as from_ts, rfc3339(to_ts) as to_ts, seen_rest, stored_live, repaired, complete, cause from trade_windows`,
        [
          {
            market_ticker: null,
            from_ts: "2026-08-24T15:50:00.000000Z",
            to_ts: "2026-08-24T15:55:00.000000Z",
            seen_rest: 4,
            stored_live: 2,
            repaired: 2,
            complete: true,
            cause: null
          }
        ]
      )
      assert.deepStrictEqual(yield* windows.checkedUntilMillis, Option.some(end))
    })
  )

  it.effect("a span is complete when windows without a seam cover it", () =>
    Effect.gen(function* () {
      const windows = yield* TradeWindows
      yield* record(100, 105)
      yield* record(105, 110)
      yield* record(111, 115)
      assert.isTrue(yield* complete("EARLY", 100, 110))
      assert.isTrue(yield* complete("EARLY", 104, 106))
      assert.isTrue(yield* complete("EARLY", 111, 115))
      assert.isFalse(yield* complete("EARLY", 99, 110))
      assert.isFalse(yield* complete("EARLY", 100, 111))
      assert.isFalse(yield* complete("EARLY", 105, 115))
      yield* record(110, 111)
      assert.isTrue(yield* complete("EARLY", 100, 115))
      assert.deepStrictEqual(yield* windows.checkedUntilMillis, Option.some(start + 115 * minute))
    })
  )

  it.effect("a range read for its own sake proves its span, and the sequence goes on from where it was", () =>
    Effect.gen(function* () {
      const windows = yield* TradeWindows
      const until = yield* windows.checkedUntilMillis
      const range = (ticker?: string, cause?: string) =>
        Effect.flatMap(windows.clock, (checkedAt) =>
          windows.record({
            kind: "range",
            ticker,
            fromMillis: start + 400 * minute,
            toMillis: start + 405 * minute,
            checkedAt,
            seenRest: 0,
            cause
          })
        )
      yield* range("EARLY", "1 trades refused by the database")
      assert.isFalse(yield* complete("EARLY", 400, 405))
      yield* range("EARLY")
      assert.isTrue(yield* complete("EARLY", 400, 405))
      yield* range("EARLY", "1 trades refused by the database")
      assert.isTrue(yield* complete("EARLY", 400, 405))
      assert.deepStrictEqual(yield* windows.checkedUntilMillis, until)

      const sql = yield* PgClient.PgClient
      const all = windows.isCompleteForAll(start + 400 * minute, start + 405 * minute)
      const opens = fromMillis(start)
      const closes = fromMillis(start + 500 * minute)
      yield* sql`update markets set open_time = ${opens}::timestamptz, close_time = ${closes}::timestamptz where ticker = 'EARLY'`
      assert.isTrue(yield* all)
      yield* Catalog.use((catalog) =>
        catalog.saveMarkets(
          [{ ticker: "OTHER", eventTicker: "E", openTime: opens, closeTime: closes }],
          fromMillis(start)
        )
      )
      assert.isFalse(yield* all)
      yield* range()
      assert.isTrue(yield* all)
      assert.deepStrictEqual(yield* windows.checkedUntilMillis, until)
      yield* record(400, 405)
      assert.deepStrictEqual(yield* windows.checkedUntilMillis, Option.some(start + 405 * minute))
      yield* sql`delete from trade_windows where from_ts = ${fromMillis(start + 400 * minute)}::timestamptz`
      yield* sql`delete from markets where ticker = 'OTHER'`
    })
  )

  it.effect("a window with a cause proves nothing", () =>
    Effect.gen(function* () {
      yield* record(200, 205, "1 trades refused by the database")
      assert.isFalse(yield* complete("EARLY", 200, 205))
    })
  )

  it.effect("a window proves nothing about a market that was first seen after it, nor about one never seen", () =>
    Effect.gen(function* () {
      const catalog = yield* Catalog
      yield* record(300, 305)
      yield* catalog.saveMarkets([{ ticker: "LATE", eventTicker: "E" }], fromMillis(start))
      yield* record(305, 310)
      assert.isFalse(yield* complete("LATE", 300, 305))
      assert.isTrue(yield* complete("LATE", 305, 310))
      assert.isTrue(yield* complete("EARLY", 300, 310))
      assert.isFalse(yield* complete("NEVER", 305, 310))
    })
  )
})
