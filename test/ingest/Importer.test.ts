import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import { ImportLedger } from "../../src/store/ImportLedger.ts"
import { Original, script } from "../store/Original.ts"
import { expected } from "./ImportExpected.ts"
import { between, dump, dumpAll, importOnce } from "./ImportFixture.ts"

const ours = PgClient.PgClient
const theirs = Original.use(({ sql }) => Effect.succeed(sql))

const counts = (report: Effect.Success<ReturnType<typeof importOnce>>) =>
  Object.fromEntries(
    Object.entries(report.tables).map(([name, { already, imported, refused, source }]) => [
      name,
      [source, imported, already, refused]
    ])
  )

/** Fails after so many batches. */
const failAfter = (batches: number) =>
  Effect.map(
    Ref.make(0),
    (seen) => () =>
      Effect.flatMap(
        Ref.updateAndGet(seen, (n) => n + 1),
        (n) => (n >= batches ? Effect.die("killed") : Effect.void)
      )
  )

describe("Importer", { timeout: 60_000 }, () => {
  it.live("brings over what the exchange said, and marks every fault", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        const report = yield* importOnce()
        assert.deepStrictEqual(counts(report), {
          events: [2, 2, 0, 0],
          markets: [6, 5, 0, 1],
          market_ticks: [15, 13, 0, 2],
          lifecycle_events: [10, 7, 0, 3],
          market_candles: [7, 6, 0, 1],
          prediction_runs: [6, 5, 0, 1],
          market_predictions: [16, 9, 0, 7],
          rag_documents: [14, 12, 0, 2]
        })
        assert.isTrue(report.reconciled)
        assert.isFalse(report.resumed)
        assert.strictEqual(report.completedMarkets, 1)
        for (const [name, rows] of Object.entries(expected))
          if (name !== "faults") assert.deepStrictEqual(yield* dump(name), rows, name)
        const faults = (yield* dump("faults")).map((row) => row.replace(/\{"(id|low)": .*/, "…"))
        assert.deepStrictEqual(faults, expected["faults"])
      })
    )
  )

  it.live("counts each fault, and how many of them are right here all the same", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        const { tables } = yield* importOnce()
        assert.deepStrictEqual(tables["market_ticks"]?.faults, {
          cents_missing: 5,
          counts_missing: 4,
          impossible_number: 1,
          impossible_stamp: 2,
          mid_missing: 3,
          mid_of_one_side: 2,
          price_from_quote: 3,
          raw_missing: 4,
          snapshot: 1,
          stamp_in_seconds: 10,
          stamp_of_recorder: 1,
          unit_guess: 2,
          zero_lost: 1
        })
        assert.deepStrictEqual(tables["market_ticks"]?.repaired, {
          cents_missing: 5,
          counts_missing: 3,
          mid_missing: 3,
          mid_of_one_side: 2,
          price_from_quote: 1,
          stamp_in_seconds: 1,
          unit_guess: 1,
          zero_lost: 1
        })
        assert.deepStrictEqual(tables["markets"]?.repaired, { settlement_missing: 1, strike_rounded: 3 })
        const refused = yield* (yield* ours)<{ row: Record<string, unknown> }>`
          select detail as row from import_faults where kind = 'impossible_stamp' and source_table = 'market_ticks' order by row_key`
        assert.deepStrictEqual(
          refused.map(({ row }) => [row["id"], row["text"], row["ticker"], row["price_dollars"], row["volume"]]),
          [
            ["12", "infinity", "KXBTCD-26MAR2417-T80749.99", "0.4700", "9223372036854775807"],
            ["13", "1970-01-01 00:00:01+00", "KXBTCD-26MAR2417-T80749.99", "0.4700", "1"]
          ]
        )
      })
    )
  )

  it.live("a second import finds every row here and changes nothing", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        const first = yield* importOnce()
        const before = yield* dumpAll
        const second = yield* importOnce({ batchRows: 3 })
        assert.deepStrictEqual(counts(second), {
          events: [2, 0, 2, 0],
          markets: [6, 0, 5, 1],
          market_ticks: [15, 0, 13, 2],
          lifecycle_events: [10, 0, 7, 3],
          market_candles: [7, 0, 6, 1],
          prediction_runs: [6, 0, 5, 1],
          market_predictions: [16, 0, 9, 7],
          rag_documents: [14, 0, 12, 2]
        })
        for (const [name, { faults, repaired }] of Object.entries(first.tables))
          assert.deepStrictEqual(
            [second.tables[name]?.faults, second.tables[name]?.repaired],
            [faults, repaired],
            `faults of ${name}`
          )
        assert.deepStrictEqual(yield* dumpAll, before)
      })
    )
  )

  it.live("stopped after any batch, it goes on to the same rows, marks and counts", () =>
    Effect.gen(function* () {
      const whole = yield* between(Original.layer, Effect.zip(importOnce({ batchRows: 4 }), dumpAll))
      for (const batches of [1, 3, 6, 9, 15, 18, 22]) {
        const parts = yield* between(
          Original.layer,
          Effect.gen(function* () {
            const killed = yield* Effect.exit(importOnce({ batchRows: 4, onBatch: yield* failAfter(batches) }))
            assert.isTrue(Exit.isFailure(killed))
            return [yield* importOnce({ batchRows: 4 }), yield* dumpAll] as const
          })
        )
        assert.isTrue(parts[0].resumed)
        assert.deepStrictEqual(parts[0].tables, whole[0].tables, `after ${batches} batches`)
        assert.deepStrictEqual(parts[1], whole[1], `after ${batches} batches`)
      }
    })
  )

  it.live("rows that turn up below the position of an interrupted import are not passed over", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        yield* Effect.exit(importOnce({ batchRows: 8, onBatch: yield* failAfter(3) }))
        const sql = yield* ours
        const position = yield* sql<{ position: ReadonlyArray<string> }>`
          select position from import_progress where source_table = 'market_ticks'`
        assert.deepStrictEqual(
          position.map((row) => row.position),
          [["8"]]
        )
        const source = yield* theirs
        yield* source`delete from market_ticks where id = 3`
        yield* source`
          insert into market_ticks (id, ts, ticker, price, price_dollars) values
            (-5, '2026-01-24 20:31:00Z', 'KXBTCD-26MAR2417-B80750', 33, 0.33)`
        const report = yield* importOnce()
        assert.deepStrictEqual(counts(report)["market_ticks"], [15, 6, 7, 2])
        const found = yield* sql`select price_dollars from market_ticks where ts = '2026-01-24 20:31:00Z'`
        assert.deepStrictEqual(found, [{ price_dollars: "0.3300" }])
      })
    )
  )

  it.live("new rows of the source come with the next import, rows that were lost here come back", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        yield* importOnce()
        const sql = yield* ours
        yield* (yield* theirs)`
          insert into market_ticks (id, ts, ticker, price, price_dollars) values
            (15, '2026-01-24 20:31:00Z', 'KXBTCD-26MAR2417-B80750', 33, 0.33),
            (21, '2026-01-24 20:31:01Z', 'KXBTCD-26MAR2417-B80750', 34, 0.34)`
        yield* sql`delete from ticks where ts = '2026-01-24 20:30:14Z'`
        assert.deepStrictEqual(counts(yield* importOnce({ batchRows: 5 }))["market_ticks"], [17, 3, 12, 2])
        assert.deepStrictEqual(counts(yield* importOnce({ batchRows: 5 }))["market_ticks"], [17, 0, 15, 2])
        const ranges = yield* sql`
          select from_id::int as a, to_id::int as b from import_ranges where source_table = 'market_ticks' order by 1`
        assert.deepStrictEqual(ranges, [
          { a: 1, b: 11 },
          { a: 15, b: 15 },
          { a: 20, b: 21 }
        ])
      })
    )
  )

  it.live("what we recorded ourselves stays as it is and is not doubled", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        const sql = yield* ours
        yield* sql`insert into market_keys (ticker) values ('KXBTCD-26MAR2417-T80749.99')`
        yield* sql`
          insert into ticks (ts, received_ms, market_id, price_dollars, yes_bid_dollars, yes_ask_dollars, volume, open_interest)
          select '2026-03-24 20:30:12.345Z', 3, market_id, 0.4715, 0.45, 0.49, 5123.75, 12345678901234567890.25 from market_keys`
        yield* sql`
          insert into ticks_latest (market_id, ts, received_at, price_dollars)
          select market_id, '2026-04-01Z', '2026-04-01Z', 0.99 from market_keys`
        yield* sql`
          insert into markets (ticker, title, status, floor_strike) values ('KXBTCD-26MAR2417-T80749.99', 'Ours', 'finalized', 80749.99)`
        yield* sql`insert into events (event_ticker, title) values ('KXHIGHNY-26MAR24', 'High in New York?')`
        yield* sql`
          insert into lifecycle_events (received_at, market_ticker, event_type, raw) values (
            '2026-03-25 04:11:00.2Z', 'KXHIGHNY-26MAR24-T0.5', 'settled',
            '{"event_type": "settled", "settled_ts": 1774411860, "market_ticker": "KXHIGHNY-26MAR24-T0.5"}')`
        yield* sql`
          insert into market_candles (market_ticker, period_interval_minutes, end_period_ts, start_period_ts, open) values (
            'KXBTCD-26MAR2417-T80749.99', 60, '2026-03-24 21:00Z', '2026-03-24 20:00Z', 0.7)`
        const report = yield* importOnce()
        assert.deepStrictEqual(counts(report), {
          events: [2, 2, 0, 0],
          markets: [6, 5, 0, 1],
          market_ticks: [15, 12, 1, 2],
          lifecycle_events: [10, 6, 1, 3],
          market_candles: [7, 5, 1, 1],
          prediction_runs: [6, 5, 0, 1],
          market_predictions: [16, 9, 0, 7],
          rag_documents: [14, 12, 0, 2]
        })
        const rows = yield* sql`
          select (select title from markets where ticker = k.ticker) as title, (select result from markets where ticker = k.ticker) as result,
            (select title from events where event_ticker = 'KXHIGHNY-26MAR24') as event,
            (select series_ticker from events where event_ticker = 'KXHIGHNY-26MAR24') as series,
            (select price_dollars::text from market_ticks_latest l where l.ticker = k.ticker) as latest,
            (select string_agg(provenance, ',') from market_ticks where ts = '2026-03-24 20:30:12.345Z') as provenance,
            (select open::text from market_candles where period_interval_minutes = 60 and end_period_ts = '2026-03-24 21:00Z') as open,
            (select repaired from import_faults where kind = 'title_erased' and source_table = 'events') as known_title
          from market_keys k where k.ticker = 'KXBTCD-26MAR2417-T80749.99'`
        assert.deepStrictEqual(rows, [
          {
            title: "Ours",
            result: "yes",
            event: "High in New York?",
            series: "KXHIGHNY",
            latest: "0.99",
            provenance: "live",
            open: "0.7",
            known_title: true
          }
        ])
        assert.deepStrictEqual(counts(yield* importOnce())["market_ticks"], [15, 0, 13, 2])
      })
    )
  )

  it.live("an empty source, and one that lacks tables", () =>
    Effect.gen(function* () {
      const empty = yield* between(Original.layerEmpty, importOnce())
      assert.deepStrictEqual(Object.values(counts(empty)), Array(8).fill([0, 0, 0, 0]))
      assert.isTrue(empty.reconciled)
      const report = yield* between(
        Original.layer,
        Effect.gen(function* () {
          yield* (yield* theirs).unsafe(
            script(
              "drop table market_candles; drop table lifecycle_events; drop table prediction_runs cascade; drop table rag_documents"
            )
          )
          return yield* importOnce()
        })
      )
      assert.deepStrictEqual(Object.keys(report.tables), ["events", "markets", "market_ticks", "market_predictions"])
      assert.deepStrictEqual(counts(report)["market_predictions"], [16, 11, 0, 5])
      assert.strictEqual(report.tables["market_predictions"]?.faults["run_missing"], 11)
      assert.deepStrictEqual(report.absent, ["lifecycle_events", "market_candles", "prediction_runs", "rag_documents"])
      assert.deepStrictEqual(Object.keys(report.left), ["active_markets", "ingest_state"])
      assert.isTrue(report.reconciled)
    })
  )

  it.live("many rows of many markets and days, in a frozen view of a source that still grows", () =>
    between(
      Original.layerEmpty,
      Effect.gen(function* () {
        const source = yield* theirs
        yield* source`
          insert into markets (ticker, floor_strike) select 'M-' || n, 1 from generate_series(0, 199) n`
        yield* source`
          insert into market_ticks (ts, ticker, price, price_dollars, volume, raw)
          select timestamptz '2026-01-20Z' + n * interval '37 seconds', 'M-' || n % 200, n % 100, (n % 100) / 100.0, n,
            jsonb_build_object('price', n % 100, 'volume', n, 'ts', 1, 'ts_ms', (extract(epoch from timestamptz '2026-01-20Z') + n * 37) * 1000 + n % 1000)
          from generate_series(1, 20000) n`
        const grow = source`
          insert into market_ticks (ts, ticker, price, price_dollars) values ('2026-02-01Z', 'M-1', 1, 0.01)`.pipe(
          Effect.orDie,
          Effect.asVoid
        )
        const report = yield* importOnce({ batchRows: 3_000, onBatch: () => grow })
        assert.deepStrictEqual(counts(report)["market_ticks"], [20_000, 20_000, 0, 0])
        const sql = yield* ours
        const found = yield* sql`
          select count(*)::int as rows, count(distinct ticker)::int as markets, sum(volume)::text as volume,
            sum(price_dollars)::text as prices, sum(extract(milliseconds from ts)::int % 1000)::int as millis,
            (select count(*)::int from ticks_default) as strays, (select count(*)::int from ticks_latest) as latest
          from market_ticks`
        assert.deepStrictEqual(found, [
          {
            rows: 20_000,
            markets: 200,
            volume: "200010000",
            prices: "9900.00",
            millis: 9_990_000,
            strays: 0,
            latest: 200
          }
        ])
        const again = yield* importOnce()
        assert.deepStrictEqual(counts(again)["market_ticks"]?.slice(1), [8, 20_000, 0])
      })
    )
  )

  it.live("one import at a time", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        const held = yield* ImportLedger.use(({ alone }) => Effect.andThen(alone, Effect.never)).pipe(
          Effect.scoped,
          Effect.provide(ImportLedger.layer),
          Effect.forkChild({ startImmediately: true })
        )
        const sql = yield* ours
        yield* sql<{ held: boolean }>`
          select exists (select from pg_locks where locktype = 'advisory' and granted
            and database = (select oid from pg_database where datname = current_database())) as held`.pipe(
          Effect.repeat({ until: (rows) => rows[0]!.held })
        )
        const refused = yield* Effect.flip(importOnce())
        assert.strictEqual(refused._tag, "ImportBusy")
        yield* Fiber.interrupt(held)
        assert.isTrue((yield* importOnce()).reconciled)
      })
    )
  )

  it.live("two databases of the original, each with its own rows", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        yield* importOnce()
        const other = Original.layer.pipe(Layer.provide(Layer.effectDiscard(Effect.void)))
        const second = yield* Effect.gen(function* () {
          yield* (yield* theirs)`update schema_version set applied_at = '2026-02-02Z'`
          yield* (yield* theirs)`update market_ticks set ts = ts + interval '1 minute' where isfinite(ts) and raw is null`
          return yield* importOnce()
        }).pipe(Effect.provide(other))
        assert.deepStrictEqual(counts(second)["market_ticks"], [15, 13, 0, 2])
        const sql = yield* ours
        assert.deepStrictEqual(yield* sql`select count(*)::int as n from import_sources`, [{ n: 2 }])
      })
    )
  )
})
