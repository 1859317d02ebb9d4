import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Archive } from "../../src/ingest/Archive.ts"
import { Retention } from "../../src/ingest/Retention.ts"
import { digest } from "../../src/store/ArchiveFiles.ts"
import { ArchiveLedger } from "../../src/store/ArchiveLedger.ts"
import { type ArchivedTable, archivedTables, archiveTables, plain } from "../../src/store/ArchiveTables.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"
import {
  archiveIn,
  ask,
  askViews,
  catalog,
  dateOf,
  dayMillis,
  filesIn,
  firstDay,
  partitionOf,
  tickDay,
  ticksOf
} from "./ArchiveFixture.ts"

/** What ingest may store: 20 digits before the point, 12 after it. */
const Odd = Schema.NullOr(
  Schema.Literals([
    "0",
    "0.0000",
    "-0.000000000001",
    "99999999999999999999.999999999999",
    "-99999999999999999999.999999999999",
    "0.4700",
    "999999999999.999999",
    "1000000000000",
    "12345678901234567890.123456789012"
  ])
)
const Text = Schema.Array(
  Schema.Literals(["é", "😀", "\n", '"', "'", ";", "|", "~", "\\", "\t", ",", " ", "%2F", "/", "K"])
).check(Schema.isMaxLength(8))
const Row = Schema.Struct({
  market: Schema.Literals([1, 2, 3, 77]),
  micros: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 86_399_999_999 })),
  small: Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 }))),
  decimals: Schema.Tuple([Odd, Odd, Odd]),
  list: Schema.Array(Schema.Literals(["0.01", "0.990000", "12345678901234567890.5"])).check(Schema.isMaxLength(4)),
  flag: Schema.NullOr(Schema.Boolean),
  text: Text
})

const insert = Effect.fnUntraced(function* (rows: ReadonlyArray<typeof Row.Type>) {
  const sql = yield* PgClient.PgClient
  let n = 0
  for (const { decimals, flag, list, market, micros, small, text } of rows) {
    n += 1
    const ts = sql`${`${dateOf(0)}T00:00:00Z`}::timestamptz + ${micros}::bigint * interval '1 microsecond'`
    const [a, b, c] = decimals
    yield* sql`
      insert into ticks (ts, received_ms, market_id, provenance, price_dollars, volume, dollar_volume)
      values (${ts}, ${small ?? 0}::int - 500, ${market}::int, ${n % 5}::smallint, ${a}::numeric, ${b}::numeric, ${c}::numeric)`
    yield* sql`
      insert into trades (ts, received_at, trade_id, market_id, micros, count, yes_price_dollars, no_price_dollars, taker_yes, is_block_trade)
      values (${ts}, case when ${flag}::bool then ${ts} end, gen_random_uuid(), ${market}::int, ${small}::smallint, ${a ?? "1"}::numeric,
        ${b ?? "0"}::numeric, ${c}::numeric, ${flag}::bool, ${flag ?? false}::bool)`
    yield* sql`
      insert into book_events (ts, received_at, connection, seq, market_id, yes, price, delta)
      values (${ts}, ${ts}, 9007199254740993, ${n}::bigint, ${market}::int, ${flag ?? true}::bool, ${a ?? "0"}::numeric, ${b ?? "0"}::numeric)`
    yield* sql`
      insert into book_snapshots (ts, connection, seq, market_id, requested, yes_prices, yes_sizes, no_prices, no_sizes)
      values (${ts}, -1, ${n}::bigint, ${market}::int, ${flag ?? true}::bool, ${list}::numeric[], ${list}::numeric[], '{}', ${list}::numeric[])`
    yield* sql`
      insert into market_candles (market_ticker, period_interval_minutes, end_period_ts, start_period_ts, open, mean, volume)
      values (${`${text.join("")}${n}`}, 60, ${ts}, ${ts}, ${a}::numeric, ${b}::numeric, ${c}::numeric)`
  }
})

/** Every row of a table as text, by the database and by the files: not as the archive itself compares them. */
const bothSides = Effect.fnUntraced(function* (lake: string, table: ArchivedTable) {
  const sql = yield* PgClient.PgClient
  const { columns, market } = archiveTables[table]
  const names = ["ticker", ...columns.map(({ name }) => name)]
  const ticker = market === "market_id" ? "coalesce(k.ticker, '#' || t.market_id)" : "t.market_ticker"
  const inDatabase = yield* sql<Record<string, string | null>>`
    select ${sql.literal(
      `${ticker} as ticker, ${columns
        .map(({ kind, name }) =>
          kind === "instant"
            ? `to_char(t."${name}", 'YYYY-MM-DD HH24:MI:SS.US') as "${name}"`
            : kind === "decimals"
              ? `(select string_agg(trim_scale(v)::text, ' ' order by n) from unnest(t."${name}") with ordinality u (v, n)) as "${name}"`
              : `t."${name}"::text as "${name}"`
        )
        .join(", ")}`
    )}
    from ${sql(table)} t left join market_keys k on ${sql.literal(market === "market_id" ? "k.market_id = t.market_id" : "false")}`
  const files = filesIn(lake).filter((file) => file.startsWith(`${table}/`))
  const inFiles = yield* ask(`
    select ticker, ${columns
      .map(({ kind, name }) =>
        kind === "instant"
          ? `strftime("${name}", '%Y-%m-%d %H:%M:%S.%f') as "${name}"`
          : kind === "decimals"
            ? `array_to_string(list_transform("${name}", lambda v: rtrim(rtrim(v::varchar, '0'), '.')), ' ') as "${name}"`
            : `"${name}"::varchar as "${name}"`
      )
      .join(", ")}
    from read_parquet([${files.map((file) => `'${path.join(lake, file).replaceAll("'", "''")}'`).join(", ")}], union_by_name = true)`)
  const kinds = new Map(columns.map(({ kind, name }) => [name, kind]))
  const line = (row: Readonly<Record<string, unknown>>) =>
    JSON.stringify(
      names.map((name) => {
        const value = row[name]
        if (kinds.get(name) === "decimal" && typeof value === "string") return plain(value)
        return kinds.get(name) === "decimals" ? (value ?? "") : value
      })
    )
  return { inDatabase: inDatabase.map(line).sort(), inFiles: inFiles.map(line).sort() }
})

describe("Archive", () => {
  it.live.prop(
    "gives back every value of every table as it was stored",
    { rows: Schema.Array(Row).check(Schema.isMinLength(1), Schema.isMaxLength(12)) },
    ({ rows }) =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const lake = yield* Programs.folder
        yield* catalog
        yield* tickDay(0)
        for (const table of ["trades", "book_events", "book_snapshots"])
          yield* sql`select ensure_partition(${table}, ${partitionOf(table, 0)}, '2026-08-01T00:00Z', '2026-08-02T00:00Z', 'ts')`
        yield* sql`select ensure_candle_partition('2026-08-01')`
        yield* insert(rows)
        const { waiting } = yield* Effect.provide(
          Retention.use(({ pass }) => pass),
          archiveIn(lake, firstDay + 40 * dayMillis)
        )
        assert.deepStrictEqual(waiting, [])
        const mids = yield* askViews(
          lake,
          "select count(implied_yes_mid) as n, typeof(any_value(implied_yes_mid)) as type from market_ticks"
        )
        assert.match(String(mids[0]?.["type"]), /^DECIMAL/)
        for (const table of archivedTables) {
          const { inDatabase, inFiles } = yield* bothSides(lake, table)
          assert.strictEqual(inDatabase.length, rows.length)
          assert.deepStrictEqual(inFiles, inDatabase, table)
        }
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    { arbitrary: { runs: 5, size: 12 }, timeout: 120_000 }
  )

  it.live("says what differs when a value, a row or a file is tampered with", () =>
    Effect.gen(function* () {
      const lake = yield* Programs.folder
      yield* catalog
      yield* tickDay(0)
      yield* ticksOf(0, 300)
      yield* Effect.gen(function* () {
        yield* (yield* Retention).pass
        const archive = yield* Archive
        const [dataset] = yield* (yield* ArchiveLedger).list
        const file = path.join(lake, dataset!.files.find(({ path: name }) => name.includes("KXBTC"))!.path)
        const copy = `${file}.copy`
        fs.copyFileSync(file, copy)
        const compared = Effect.fnUntraced(function* (change: string) {
          yield* ask(
            `copy (${change.replace("FILE", `read_parquet('${copy}', hive_partitioning = false)`)}) to '${file}' (format parquet)`
          )
          assert.match((yield* archive.faultIn(dataset!)) ?? "", /its sha256 differs/)
          return yield* archive.compare(dataset!)
        })
        assert.isUndefined(yield* compared("from FILE order by ts desc"))
        assert.match((yield* compared("from FILE limit 99")) ?? "", /300 rows in the database, 299 in the files/)
        assert.match(
          (yield* compared(
            "select * replace (case when volume = 3 then volume + 0.000001 else volume end as volume) from FILE"
          )) ?? "",
          /^column volume: 300 values of sum 44850 in the database, 300 of sum 44850.000001/
        )
        assert.match(
          (yield* compared("select * replace (nullif(price_dollars, 0.01) as price_dollars) from FILE")) ?? "",
          /^column price_dollars: 300 values/
        )
        // Two rows exchange one value: every count and sum is as it was.
        assert.match(
          (yield* compared(
            "select * replace (case volume when 3 then 6 when 6 then 3 else volume end as volume) from FILE"
          )) ?? "",
          /values are with other rows/
        )
        fs.rmSync(file)
        assert.match((yield* archive.faultIn(dataset!)) ?? "", /is missing$/)
        assert.match((yield* archive.compare(dataset!)) ?? "", /is missing$/)
      }).pipe(Effect.provide(archiveIn(lake, firstDay + dayMillis)))
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("describes a dataset: counts, checksums, coverage and gaps; the same rows have the same id", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* catalog
      yield* tickDay(0)
      yield* ticksOf(0, 300)
      yield* sql`
        insert into market_coverage (market_id, hour, state, open_ms, live_ms, healed_ms, candles)
        values (1, '2026-08-01T05:00Z', 'degraded', 3600000, 1800000, 0, 0), (1, '2026-08-02T05:00Z', 'live', 3600000, 3600000, 0, 0)`
      yield* sql`
        insert into capture_gaps (feed, shard, slots, from_ts, to_ts, cause) values
          ('all', 'event/12', '{1,2}', '2026-08-01T05:30Z', '2026-08-01T06:00Z', 'disconnect'),
          ('all', 'event/12', '{3}', '2026-07-31T05:30Z', '2026-07-31T06:00Z', 'disconnect'),
          ('ticker', 'event/12', null, '2026-07-31T05:30Z', null, 'left_out')`
      const ids: Array<string> = []
      for (let n = 0; n < 2; n++) {
        const lake = yield* Programs.folder
        yield* sql`delete from archive_datasets`
        yield* Effect.provide(
          Retention.use(({ pass }) => pass),
          archiveIn(lake, firstDay + dayMillis)
        )
        const name = partitionOf("ticks", 0)
        const manifest = JSON.parse(fs.readFileSync(path.join(lake, "datasets", name, "manifest.json"), "utf8"))
        ids.push(manifest.dataset_id)
        assert.strictEqual(manifest.rows, 300)
        assert.strictEqual(manifest.columns.volume.sum, "44850")
        assert.strictEqual(manifest.columns.dollar_volume.count, "0")
        assert.strictEqual(manifest.files.length, 3)
        for (const file of [...manifest.files, ...manifest.beside]) {
          const { bytes, sha256 } = yield* digest(path.join(lake, file.path))
          assert.deepStrictEqual({ bytes, sha256 }, { bytes: file.bytes, sha256: file.sha256 })
        }
        assert.deepStrictEqual(yield* askViews(lake, "select ticker, state, live_ms from market_coverage"), [
          { ticker: "KXBTC-1-A", state: "degraded", live_ms: 1_800_000 }
        ])
        assert.deepStrictEqual(
          yield* askViews(lake, "select cause, slots, to_ts is null as open from capture_gaps order by from_ts"),
          [
            { cause: "left_out", slots: null, open: true },
            { cause: "disconnect", slots: [1, 2], open: false }
          ]
        )
        assert.deepStrictEqual(
          yield* askViews(
            lake,
            "select series, date::varchar as date, count(*)::int as n from market_ticks group by all order by 1"
          ),
          [
            { series: "KX/ETH ü", date: "2026-08-01", n: 100 },
            { series: "KXBTC", date: "2026-08-01", n: 100 },
            { series: "NEW", date: "2026-08-01", n: 100 }
          ].sort((a, b) => (a.series < b.series ? -1 : 1))
        )
      }
      assert.strictEqual(ids[0], ids[1])
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("leaves what no file holds exactly in the database, and the archive of another database alone", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const lake = yield* Programs.folder
      yield* catalog
      yield* tickDay(0)
      yield* sql`insert into ticks (ts, received_ms, market_id, volume) values ('2026-08-01T01:00Z', 0, 1, 0.0000000000001)`
      const pass = Effect.provide(
        Retention.use(({ pass }) => pass),
        archiveIn(lake, firstDay + 9 * dayMillis, { ticksDays: 1 })
      )
      const done = yield* pass
      assert.deepStrictEqual(done.detached, [])
      assert.match(done.waiting[0]?.problem ?? "", /column volume holds numbers beyond .* stays in the database/)
      yield* sql`update archive_lake set lake_id = gen_random_uuid()`
      assert.match((yield* Effect.flip(pass)).message, /^ARCHIVE_DIR: .* holds the archive of another database/)
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("is held by one process at a time", () =>
    Effect.gen(function* () {
      const lake = yield* Programs.folder
      yield* Effect.gen(function* () {
        const archive = yield* Archive
        yield* Effect.scoped(
          Effect.gen(function* () {
            assert.isTrue(yield* archive.hold)
            assert.isTrue((yield* (yield* Retention).pass).busy)
          })
        )
        assert.isFalse((yield* (yield* Retention).pass).busy)
      }).pipe(Effect.provide(archiveIn(lake, firstDay)))
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )
})
