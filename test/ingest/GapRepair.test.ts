import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { AccountCheck } from "../../src/ingest/AccountCheck.ts"
import { GapPull } from "../../src/ingest/GapPull.ts"
import { GapRepair } from "../../src/ingest/GapRepair.ts"
import { TradeHistory } from "../../src/ingest/TradeHistory.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import type { Market } from "../../src/market/Market.ts"
import { fromMillis, toMillis } from "../../src/market/Timestamp.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { Coverage } from "../../src/store/Coverage.ts"
import { GapRepairs } from "../../src/store/GapRepairs.ts"
import { IngestState } from "../../src/store/IngestState.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { Trades } from "../../src/store/Trades.ts"
import { TradeWindows } from "../../src/store/TradeWindows.ts"
import { TestDatabase } from "../support/Database.ts"
import {
  asOpen,
  freshWire,
  hour,
  isCandles,
  layerOf,
  malformed,
  minute,
  saved,
  second,
  startMs,
  storedCandles,
  toldCandles,
  until,
  type Wire
} from "./History.ts"

const gapFrom = startMs - 30 * minute + 1234
const gapTo = startMs - 10 * minute + 567
const isTrades = (path: string) => path === "/markets/trades"

const Store = Layer.mergeAll(
  GapRepairs.layer,
  TradeWindows.layer,
  Coverage.layer,
  Trades.layer.pipe(Layer.provideMerge(MarketKeys.layer))
)

/** The loop, for as long as the test goes on. */
const repairing = Layer.build(
  Layer.fresh(
    GapRepair.pipe(
      Layer.provide([AccountCheck.layer, GapPull.layer.pipe(Layer.provide(TradeHistory.layer))]),
      Layer.provide(Loops.layer),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ REPAIR_SECONDS: "0.1" })))
    )
  )
)

const slots = "{0,1,2,3,4,5,6,7,8,9,10,11}"
const gap = (from: number, to: number, feed = "all", market: string | null = null) =>
  PgClient.PgClient.use(
    (sql) => sql`
      insert into capture_gaps (feed, shard, slots, market_ticker, from_ts, to_ts, cause, journal)
      values (${feed}, 'event/12', ${market === null ? slots : null}::smallint[], ${market}, ${fromMillis(from)}::timestamptz,
        ${fromMillis(to)}::timestamptz, 'disconnect', 'j')`
  )
const ledger = PgClient.PgClient.use(
  (sql) => sql<{ feed: string; by: string | null; at: boolean; problem: string | null; failures: number | null }>`
    select feed, repaired_by as by, repaired_at is not null as at, r.problem, r.failures
    from capture_gaps g left join gap_repairs r on r.gap_id = g.id order by g.id`
)
const discovered = (millis: number) =>
  IngestState.use((state) => state.set("discovery_updated_until", String(millis / 1000)))
const healed = until(ledger, (rows) => rows.every(({ at }) => at))

const trades = PgClient.PgClient.use(
  (sql) =>
    sql<{ id: string; provenance: string }>`select trade_id::text as id, provenance from market_trades order by 1`
)
const listed = Effect.fnUntraced(function* (known: ReadonlySet<string>, from = gapFrom, to = gapTo) {
  const floor = Math.floor(from / second) * second
  const ceiling = Math.ceil(to / second) * second
  const all = yield* KalshiRest.use((rest) =>
    Stream.runCollect(rest.trades({ minSeconds: floor / second - 1, maxSeconds: ceiling / second }))
  )
  return all
    .filter(
      ({ createdTime, ticker }) =>
        known.has(ticker) && toMillis(createdTime) >= floor && toMillis(createdTime) < ceiling
    )
    .map(({ tradeId }) => ({ id: tradeId, provenance: "repaired" }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
})

/** Markets of the hour, of which everything but the gap was recorded. */
const scene = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const rest = yield* KalshiRest
  const markets: ReadonlyArray<Market> = asOpen(
    (yield* Stream.runCollect(rest.markets({ status: "open", seriesTicker: "KXBTCD" }))).slice(0, 40)
  )
  yield* saved(markets)
  yield* MarketKeys.use((keys) => keys.register(new Set(markets.map(({ ticker }) => ticker))))
  yield* sql`
    insert into journal_positions (journal, shard, segment, "offset", last_received_at)
    values ('j', 'event/12', 0, 0, ${fromMillis(startMs + hour)}::timestamptz)`
  yield* sql`
    insert into slot_feeds (shard, slot, journal, since)
    select 'event/12', slot, 'j', ${fromMillis(startMs - 2 * hour)}::timestamptz from generate_series(0, 11) slot`
  yield* sql`
    insert into ticks (ts, received_ms, market_id, provenance)
    select m.open_time, 1, k.market_id, 1 from markets m join market_keys k using (ticker)`
  return { markets, known: new Set(markets.map(({ ticker }) => ticker)) }
})

const test = <A, E>(
  body: (
    wire: Wire
  ) => Effect.Effect<A, E, Effect.Services<typeof repairing> | Effect.Services<typeof scene> | Coverage | Simulator>,
  settings: Readonly<Record<string, string>> = {}
) => {
  const wire = freshWire()
  return body(wire).pipe(
    Effect.provide(
      Store.pipe(
        Layer.provideMerge(layerOf(wire, settings)),
        TestDatabase.under("rest"),
        Layer.provideMerge(Simulator.layer({ speed: 0, startMs }))
      )
    ),
    Effect.scoped
  )
}

describe("the repair of gaps", () => {
  it.live(
    "brings the candles and trades of a gap, each marked as repaired, and no tick; the ledger and the coverage say so",
    () =>
      test(() =>
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const { known, markets } = yield* scene
          yield* gap(gapFrom, gapTo)
          yield* discovered(startMs)
          const states = Coverage.use((coverage) =>
            Effect.andThen(
              coverage.refresh({ nowMillis: startMs + hour, dueMillis: startMs + hour, graceMillis: 10_000 }),
              sql<{ state: string; n: number }>`
              select state, count(*)::int as n from coverage where hour = ${fromMillis(startMs - 50 * minute)}::timestamptz group by 1`
            )
          )
          assert.deepStrictEqual(yield* states, [{ state: "degraded", n: markets.length }])
          yield* repairing
          yield* healed
          assert.deepStrictEqual(yield* ledger, [
            { feed: "all", by: "candles,trades,discovery", at: true, problem: null, failures: null }
          ])
          const inGap = (yield* toldCandles(markets)).filter((told) => {
            const end = Number(told.split(" ")[2]) * second
            return end > Math.floor(gapFrom / minute) * minute && end <= Math.ceil(gapTo / minute) * minute
          })
          assert.isAbove(inGap.length, 20)
          assert.deepStrictEqual(yield* storedCandles(), inGap)
          assert.deepStrictEqual(yield* sql`select distinct provenance from market_candles`, [{ provenance: 3 }])
          const expected = yield* listed(known)
          assert.isAbove(expected.length, 20)
          assert.deepStrictEqual(yield* trades, expected)
          assert.deepStrictEqual(yield* sql`select count(*)::int as n from ticks`, [{ n: markets.length }])
          assert.deepStrictEqual(yield* states, [{ state: "repaired", n: markets.length }])
          const parts = yield* until(
            Effect.map(
              Health.use((health) => health.report),
              ({ parts }) => parts
            ),
            (found) => found["repair"]?.detail === "no gap waits to be healed"
          )
          assert.isTrue(parts["repair"]!.ok)
        })
      )
  )

  it.live(
    "marks nothing until discovery has passed the gap and its candles have settled, though it reads what there is",
    () =>
      test(
        () =>
          Effect.gen(function* () {
            const { control } = yield* Simulator
            yield* scene
            yield* gap(gapFrom, gapTo)
            yield* discovered(gapTo - second)
            yield* repairing
            const [waiting] = yield* until(ledger, ([row]) => row?.problem?.includes("may still change") === true)
            assert.deepStrictEqual([waiting?.at, waiting?.failures], [false, 0])
            assert.include(waiting?.problem, "markets may be unknown until the next discovery pass")
            assert.isAbove((yield* storedCandles()).length, 20)
            yield* control.advance(20 * minute)
            yield* until(ledger, ([row]) => row?.problem === "markets may be unknown until the next discovery pass")
            yield* discovered(startMs)
            yield* healed
          }),
        { CANDLE_SETTLE_SECONDS: "900" }
      )
  )

  it.live("marks nothing while a read fails, tries again ever more seldom, and leaves nothing twice", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { known, markets } = yield* scene
        let broken = true
        let calls = 0
        wire.intercept = (route, answer) => {
          if (!isCandles(route.path) && !isTrades(route.path)) return answer
          calls += 1
          return broken && (isCandles(route.path) || calls % 2 === 0) ? malformed(route) : answer
        }
        yield* gap(gapFrom, gapTo)
        yield* discovered(startMs)
        yield* repairing
        const [row] = yield* until(ledger, ([found]) => (found?.failures ?? 0) >= 3)
        assert.isFalse(row?.at)
        assert.include(row?.problem, "cut off")
        broken = false
        yield* healed
        assert.deepStrictEqual(yield* trades, yield* listed(known))
        assert.strictEqual(new Set(yield* storedCandles()).size, (yield* storedCandles()).length)
        assert.isAbove(markets.length, 3)
      })
    )
  )

  it.live("makes up for what no gap names: markets that the feed knew late", () =>
    test(() =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const { control } = yield* Simulator
        const { markets } = yield* scene
        yield* sql`update ticks set received_ms = 25 * 60000`
        yield* control.advance(30 * minute)
        const states = Coverage.use((coverage) =>
          Effect.andThen(
            coverage.refresh({ nowMillis: startMs + hour, dueMillis: startMs + hour, graceMillis: 10_000 }),
            sql<{ state: string; n: number }>`
              select state, count(*)::int as n from coverage
              where hour = ${fromMillis(startMs - 50 * minute)}::timestamptz group by 1`
          )
        )
        assert.deepStrictEqual(yield* states, [{ state: "degraded", n: markets.length }])
        yield* repairing
        assert.deepStrictEqual(yield* until(states, ([row]) => row?.state !== "degraded"), [
          { state: "repaired", n: markets.length }
        ])
        assert.deepStrictEqual(yield* sql`select distinct provenance from market_candles`, [{ provenance: 3 }])
        assert.deepStrictEqual(yield* ledger, [])
      })
    )
  )

  it.live("asks for nothing that was read before, by itself or by others", () =>
    test((wire) =>
      Effect.gen(function* () {
        yield* scene
        yield* gap(gapFrom, gapTo)
        yield* discovered(startMs)
        yield* repairing
        yield* healed
        const asked = wire.asked.filter((path) => isCandles(path) || isTrades(path)).length
        assert.isAbove(asked, 0)
        yield* gap(gapFrom + minute, gapTo - minute)
        yield* healed
        assert.strictEqual(wire.asked.filter((path) => isCandles(path) || isTrades(path)).length, asked)
      })
    )
  )

  it.live("asks for one market by its name; the historical tier too where the live one has ended", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { control } = yield* Simulator
        const { markets } = yield* scene
        const busiest = yield* Effect.forEach(markets, ({ ticker }) =>
          Effect.map(listed(new Set([ticker])), (expected) => ({ ticker, expected }))
        )
        const { expected, ticker } = busiest.sort((x, y) => y.expected.length - x.expected.length)[0]!
        assert.isAbove(expected.length, 2)
        yield* control.moveCutoff(gapFrom + 10 * minute)
        yield* gap(gapFrom, gapTo, "ticker", ticker)
        yield* discovered(startMs)
        yield* repairing
        yield* healed
        assert.include(wire.asked, "/historical/trades")
        assert.deepStrictEqual(yield* trades, expected)
        const sql = yield* PgClient.PgClient
        assert.deepStrictEqual(yield* sql`select distinct market_ticker, kind, complete from trade_windows`, [
          { market_ticker: ticker, kind: "range", complete: true }
        ])
      })
    )
  )

  it.live(
    "leaves alone what cannot be had: books of the past, and gaps that are open; a gap without markets is nothing to heal",
    () =>
      test((wire) =>
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          yield* scene
          yield* gap(gapFrom, gapTo, "orderbook_delta")
          yield* sql`
          insert into capture_gaps (feed, shard, slots, from_ts, cause, journal)
          values ('all', 'event/12', ${slots}::smallint[], ${fromMillis(gapFrom)}::timestamptz, 'disconnect', 'j')`
          yield* gap(startMs - 90 * 24 * hour, startMs - 89 * 24 * hour)
          yield* gap(gapFrom, gapFrom)
          yield* gap(gapFrom, gapTo, "market_lifecycle_v2")
          yield* discovered(startMs)
          yield* repairing
          const rows = yield* until(ledger, (found) => found.filter(({ at }) => at).length === 3)
          assert.deepStrictEqual(
            rows.map(({ by }) => by),
            [null, null, "nothing: no market was open", "nothing: no market was open", "discovery"]
          )
          assert.deepStrictEqual(
            wire.asked.filter((path) => isCandles(path) || isTrades(path)),
            []
          )
        })
      )
  )
})
