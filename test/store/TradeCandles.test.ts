import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Decimal } from "../../src/market/Decimal.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import { type StoredTrade, Trades } from "../../src/store/Trades.ts"
import { TestDatabase } from "../support/Database.ts"
import { listed, live, prepared, start } from "./TradeFixture.ts"

const Store = Layer.effectDiscard(prepared).pipe(
  Layer.provideMerge(Layer.mergeAll(Partitions.layer, Trades.layer.pipe(Layer.provideMerge(MarketKeys.layer)))),
  TestDatabase.under("worker")
)

const minute = 60_000
const of = (trade: StoredTrade, price: string, count: string): StoredTrade => ({
  ...trade,
  ticker: "M-0",
  yesPrice: price as Decimal,
  count: count as Decimal
})

layer(Store)("candles_from_trades", (it) => {
  it.effect("are exact; a period holds its end and not its start, to the microsecond; no trade, no candle", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* Trades.use((trades) =>
        trades.insert([
          of(listed(1, start, 0), "0.9000", "1.00"),
          of(listed(2, start, 1), "0.1000", "0.01"),
          of(live(3, start + 30_000), "0.3333", "2.00"),
          of(live(4, start + 40_000), "0.0500", "3.00"),
          of(listed(5, start + minute, 0), "0.2000", "4.00"),
          of(listed(6, start + minute, 500), "0.7000", "5.00"),
          of(live(7, start + 4 * minute - 1), "0.6000", "0.03"),
          of(listed(8, start + 5 * minute, 1), "0.0100", "9.00")
        ])
      )
      assert.deepStrictEqual(
        yield* sql`
          select extract(epoch from end_period_ts - ${fromMillis(start)}::timestamptz)::int / 60 as ends,
            open, high, low, close, round(mean, 12)::text as mean, volume, trades::int
          from candles_from_trades('M-0', ${fromMillis(start)}::timestamptz, ${fromMillis(start + 5 * minute)}::timestamptz)`,
        [
          {
            ends: 1,
            open: "0.1000",
            high: "0.3333",
            low: "0.0500",
            close: "0.2000",
            // (0.1 × 0.01 + 0.3333 × 2 + 0.05 × 3 + 0.2 × 4) / 9.01
            mean: "0.179533851276",
            volume: "9.01",
            trades: 4
          },
          {
            ends: 2,
            open: "0.7000",
            high: "0.7000",
            low: "0.7000",
            close: "0.7000",
            mean: "0.700000000000",
            volume: "5.00",
            trades: 1
          },
          {
            ends: 4,
            open: "0.6000",
            high: "0.6000",
            low: "0.6000",
            close: "0.6000",
            mean: "0.600000000000",
            volume: "0.03",
            trades: 1
          }
        ]
      )
    })
  )
})
