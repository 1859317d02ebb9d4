import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { AccountCheck } from "../../src/ingest/AccountCheck.ts"
import { Consistency } from "../../src/ingest/Consistency.ts"
import { TradeHistory } from "../../src/ingest/TradeHistory.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import { fromMillis, toMillis } from "../../src/market/Timestamp.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { BookBatch } from "../../src/store/BookBatch.ts"
import { Books } from "../../src/store/Books.ts"
import { ConsistencyChecks } from "../../src/store/ConsistencyChecks.ts"
import { Coverage } from "../../src/store/Coverage.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { Trades } from "../../src/store/Trades.ts"
import { TradeWindows } from "../../src/store/TradeWindows.ts"
import { TestDatabase } from "../support/Database.ts"
import { asOpen, freshWire, hour, layerOf, minute, saved, startMs, until } from "./History.ts"

const Store = Layer.mergeAll(
  ConsistencyChecks.layer,
  TradeWindows.layer,
  Coverage.layer,
  Layer.mergeAll(Trades.layer, Books.layer.pipe(Layer.provide(TestDatabase.layerAs("ws")))).pipe(
    Layer.provideMerge(MarketKeys.layer)
  )
)
/** One pass, and the next in an hour. */
const comparing = Layer.build(
  Layer.fresh(
    Consistency.pipe(
      Layer.provide(AccountCheck.layer),
      Layer.provide(Loops.layer),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ CONSISTENCY_MARKETS: "100" })))
    )
  )
)
const results = PgClient.PgClient.use(
  (sql) => sql<{ what: string; market_ticker: string; compared: number; mismatched: number; worst: string | null }>`
    select what, market_ticker, compared, mismatched, worst from consistency_checks order by what, market_ticker, from_ts`
)
const done = until(
  Effect.map(
    Health.use((health) => health.report),
    ({ parts }) => parts["consistency"]?.detail
  ),
  (detail) => detail !== undefined && detail !== "no pass has completed yet"
)

/** The hour before the last full one, of which everything there is to know is stored: its trades, and its markets' coverage. */
const from = startMs - 50 * minute - hour
const scene = Effect.gen(function* () {
  const rest = yield* KalshiRest
  const all = yield* Stream.runCollect(
    rest.markets({ seriesTicker: "KXBTCD", minCloseSeconds: from / 1000, maxCloseSeconds: (from + hour) / 1000 })
  )
  const markets = asOpen(all.filter(({ closeTime }) => toMillis(closeTime!) === from + hour))
  yield* saved(markets)
  yield* MarketKeys.use((keys) => keys.register(new Set(markets.map(({ ticker }) => ticker))))
  yield* TradeHistory.use((history) => history.readRange({ fromMillis: from, toMillis: from + hour }, "backfill")).pipe(
    Effect.provide(TradeHistory.layer)
  )
  yield* Coverage.use((coverage) => coverage.refresh({ nowMillis: startMs, dueMillis: startMs, graceMillis: 10_000 }))
  return markets
})

const test = <A, E>(
  body: Effect.Effect<
    A,
    E,
    Effect.Services<typeof comparing> | Effect.Services<typeof scene> | Books | Simulator | PgClient.PgClient
  >
) =>
  body.pipe(
    Effect.provide(
      Store.pipe(
        Layer.provideMerge(layerOf(freshWire())),
        TestDatabase.under("rest"),
        Layer.provideMerge(Simulator.layer({ speed: 0, startMs }))
      )
    ),
    Effect.scoped
  )

describe("the comparison with the exchange", () => {
  it.live("finds candles rebuilt from complete trades the same as the exchange's, and says which are not", () =>
    test(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const markets = yield* scene
        yield* comparing
        yield* done
        const first = yield* results
        assert.strictEqual(first.length, markets.length)
        assert.isAbove(
          first.reduce((sum, row) => sum + row.compared, 0),
          100
        )
        assert.deepStrictEqual(
          first.filter(({ mismatched, what }) => mismatched > 0 || what !== "candle_trades"),
          []
        )

        const spoilt = yield* sql<{ ticker: string }>`
          update trades set yes_price_dollars = yes_price_dollars + 0.9, no_price_dollars = null
          where trade_id = (select trade_id from trades where count > 0 order by yes_price_dollars, trade_id limit 1)
          returning (select ticker from market_keys k where k.market_id = trades.market_id) as ticker`
        yield* sql`delete from consistency_checks`
        yield* comparing
        const second = yield* until(results, (rows) => rows.length === first.length)
        assert.deepStrictEqual(
          second.filter(({ mismatched }) => mismatched > 0),
          [
            {
              what: "candle_trades",
              market_ticker: spoilt[0]!.ticker,
              compared: first.find(({ market_ticker }) => market_ticker === spoilt[0]!.ticker)!.compared,
              mismatched: 1,
              worst: "0.9"
            }
          ]
        )
        const [detail] = yield* sql<{ ours: string; theirs: string }>`
          select detail -> 0 -> 'ours' ->> 'high' as ours, detail -> 0 -> 'theirs' ->> 'high' as theirs
          from consistency_checks where mismatched > 0`
        assert.notStrictEqual(detail?.ours, detail?.theirs)
      })
    )
  )

  it.live(
    "a trade that is missing, or is in our record only, is a difference; hours without proof of their trades are not compared",
    () =>
      test(
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const markets = yield* scene
          const [gone] = yield* sql<{ market_id: number }>`
          delete from trades where trade_id = (
              select trade_id from market_trades where ticker <> ${markets[0]!.ticker} order by trade_id limit 1)
            returning market_id`
          assert.isNumber(gone?.market_id)
          yield* sql`
          insert into trade_windows (market_ticker, kind, from_ts, to_ts, checked_at, seen_rest, stored_live, repaired, complete, cause)
          select ${markets[0]!.ticker}, 'range', from_ts, to_ts, checked_at, 0, 0, 0, false, 'x' from trade_windows limit 1`
          yield* sql`update markets set first_seen_at = clock_timestamp() + interval '1 hour' where ticker = ${markets[0]!.ticker}`
          yield* comparing
          yield* done
          const rows = yield* results
          assert.notInclude(
            rows.map(({ market_ticker }) => market_ticker),
            markets[0]!.ticker
          )
          const [key] = yield* sql<{
            ticker: string
          }>`select ticker from market_keys where market_id = ${gone!.market_id}`
          assert.deepStrictEqual(
            rows.filter(({ mismatched }) => mismatched > 0).map(({ market_ticker }) => market_ticker),
            [key!.ticker]
          )
        })
      )
  )

  it.live("compares recorded books with the exchange's, and leaves out those that a gap makes uncertain", () =>
    test(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const rest = yield* KalshiRest
        const open = asOpen(
          (yield* Stream.runCollect(rest.markets({ status: "open", seriesTicker: "KXBTCD" }))).slice(0, 60)
        )
        yield* saved(open)
        yield* MarketKeys.use((keys) => keys.register(new Set(open.map(({ ticker }) => ticker))))
        const listed = yield* rest.orderbooks(open.map(({ ticker }) => ticker))
        const books = listed.filter(({ yes }) => yes.length > 0).slice(0, 3)
        assert.strictEqual(books.length, 3)
        const [same, other, uncertain] = books.map(({ ticker }) => ticker)
        const batch = new BookBatch()
        for (const [at, book] of books.entries())
          batch.snapshots.push({ book, requested: false, connection: 1, seq: at, receivedMillis: startMs - minute })
        const wrong = books[1]!.yes[0]!
        batch.add({
          ticker: other!,
          side: "yes",
          price: wrong[0],
          delta: "0.25" as (typeof wrong)[1],
          exchangeMillis: startMs - minute / 2,
          receivedMillis: startMs - minute / 2,
          connection: 1,
          seq: 10
        })
        yield* Books.use((store) => store.insert(batch))
        yield* sql`
          insert into active_markets (ticker, event_ticker, status)
          select ticker, event_ticker, 'active' from markets where ticker = any (${books.map(({ ticker }) => ticker)})`
        yield* sql`
          insert into journal_positions (journal, shard, segment, "offset", last_received_at)
          values ('j', 'event/12', 0, 0, ${fromMillis(startMs + hour)}::timestamptz)`
        yield* sql`
          insert into slot_feeds (shard, slot, journal, since)
          select 'event/12', slot, 'j', ${fromMillis(startMs - hour)}::timestamptz from generate_series(0, 11) slot`
        yield* sql`
          insert into capture_gaps (feed, shard, market_ticker, from_ts, to_ts, cause, journal)
          values ('orderbook_delta', 'event/12', ${uncertain!}, ${fromMillis(startMs - minute / 2)}::timestamptz,
            ${fromMillis(startMs - minute / 3)}::timestamptz, 'left_out', 'j')`
        yield* comparing
        yield* done
        assert.deepStrictEqual(
          (yield* results).filter(({ what }) => what === "book"),
          [
            { what: "book", market_ticker: same!, compared: 1, mismatched: 0, worst: null },
            { what: "book", market_ticker: other!, compared: 1, mismatched: 1, worst: "0.2500" }
          ].sort((a, b) => (a.market_ticker < b.market_ticker ? -1 : 1))
        )
      })
    )
  )
})
