import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Archive } from "../../src/ingest/Archive.ts"
import { Retention } from "../../src/ingest/Retention.ts"
import { ArchiveLedger } from "../../src/store/ArchiveLedger.ts"
import { ArchiveSource } from "../../src/store/ArchiveSource.ts"
import { Export, type ExportQuery } from "../../src/store/Export.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"
import { archiveIn, ask, askViews, catalog, dayMillis, firstDay, tickDay, ticksOf } from "./ArchiveFixture.ts"

const writing = (directory: string | undefined, query: ExportQuery) =>
  Export.use(({ write }) => write(query, () => Effect.void)).pipe(
    Effect.provide(
      Export.layerWith({ directory, memoryMegabytes: 128 }).pipe(
        Layer.provide(Layer.merge(ArchiveLedger.layer, ArchiveSource.layer))
      )
    )
  )

/** Three days of 300 ticks: the first left the database, the second is archived, the third is not over. */
const threeDays = Effect.fnUntraced(function* (lake: string) {
  yield* catalog
  for (const day of [0, 1, 2]) {
    yield* tickDay(day)
    yield* ticksOf(day, 300)
  }
  const done = yield* Effect.provide(
    Retention.use(({ pass }) => pass),
    archiveIn(lake, firstDay + 2 * dayMillis + 1000, { ticksDays: 1 })
  )
  assert.strictEqual(done.archived.filter((name) => name.startsWith("ticks")).length, 2)
  assert.strictEqual(done.detached.length, 1)
})

const all = (file: string): ExportQuery => ({
  table: "ticks",
  fromMillis: firstDay,
  toMillis: firstDay + 3 * dayMillis,
  file,
  format: "parquet"
})

describe("Export", () => {
  it.live("writes what is asked for, from the database and from the archive, sorted", () =>
    Effect.gen(function* () {
      const lake = yield* Programs.folder
      const out = yield* Programs.folder
      yield* threeDays(lake)
      const file = path.join(out, "all.parquet")
      const done = yield* writing(lake, all(file))
      assert.deepStrictEqual({ rows: done.rows, archived: done.archived }, { rows: 900, archived: 300 })
      assert.strictEqual(fs.statSync(file).size, done.bytes)
      assert.deepStrictEqual(
        yield* ask(`
          select count(*)::int as n, count(distinct ts)::int as instants, sum(volume)::bigint::varchar as volume,
            count(*) filter (where (series, ticker, ts) < (before_series, before_ticker, before_ts) and before_ts is not null)::int as disordered
          from (select *, lag(series) over () as before_series, lag(ticker) over () as before_ticker, lag(ts) over () as before_ts
            from '${file}')`),
        [{ n: 900, instants: 900, volume: String(3 * 44_850), disordered: 0 }]
      )

      const one = { ...all(path.join(out, "one.csv")), tickers: ["KXETH-1-A"], format: "csv" as const }
      assert.strictEqual((yield* writing(lake, { ...one, fromMillis: firstDay + 43_200_000 })).rows, 250)
      const [header, first] = fs.readFileSync(one.file, "utf8").split("\n")
      assert.match(header!, /^series,ticker,ts,received_ms,price_dollars,/)
      assert.match(first!, /^KX\/ETH ü,KXETH-1-A,2026-08-01T12:0\d:\d\d\.\d{6}Z,\d+,0\.\d{4},/)

      const series = { ...all(path.join(out, "series.ndjson")), series: ["NEW", "KXBTC"], format: "ndjson" as const }
      assert.strictEqual((yield* writing(lake, series)).rows, 600)
      const lines = fs.readFileSync(series.file, "utf8").trimEnd().split("\n")
      assert.strictEqual(lines.length, 600)
      const row = JSON.parse(lines[599]!)
      assert.strictEqual(row.ticker, "NEW-ünïcode'\"; |~\n-B")
      assert.strictEqual(typeof row.price_dollars, "string")
      assert.strictEqual(row.provenance, "live")

      assert.strictEqual((yield* writing(lake, { ...one, tickers: ["NOBODY"] })).rows, 0)
      assert.strictEqual(fs.readFileSync(one.file, "utf8").split("\n").length, 2)
      assert.deepStrictEqual(fs.readdirSync(out).sort(), ["all.parquet", "one.csv", "series.ndjson"])
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("makes no file when a part of the span cannot be read", () =>
    Effect.gen(function* () {
      const lake = yield* Programs.folder
      const out = yield* Programs.folder
      yield* threeDays(lake)
      const query = all(path.join(out, "all.parquet"))
      assert.match((yield* Effect.flip(writing(undefined, query))).message, /^ARCHIVE_DIR: a part of this span left/)
      fs.rmSync(path.join(lake, "ticks", "series=KXBTC"), { recursive: true })
      assert.match((yield* Effect.flip(writing(lake, query))).message, /is missing$/)
      assert.deepStrictEqual(fs.readdirSync(out), [])
      assert.strictEqual((yield* writing(undefined, { ...query, fromMillis: firstDay + dayMillis })).rows, 600)
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("shows archive and database as one, each row once", () =>
    Effect.gen(function* () {
      const lake = yield* Programs.folder
      yield* threeDays(lake)
      const rows = Effect.map(askViews(lake, "select count(*)::int as n from market_ticks"), ([row]) => row!["n"])
      assert.strictEqual(yield* rows, 600)
      yield* Effect.gen(function* () {
        const archive = yield* Archive
        assert.isTrue(yield* archive.hold)
        assert.strictEqual(yield* archive.live, 300)
        yield* archive.describe
      }).pipe(Effect.scoped, Effect.provide(archiveIn(lake, firstDay)))
      assert.strictEqual(yield* rows, 900)
      // The third day is archived now, and still under live/.
      yield* Effect.provide(
        Retention.use(({ pass }) => pass),
        archiveIn(lake, firstDay + 5 * dayMillis, { ticksDays: 1 })
      )
      assert.strictEqual(yield* rows, 900)
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live(
    "commands say what is archived, and take a user's mistake in one line",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase
        const lake = yield* Programs.folder
        yield* threeDays(lake)
        const env = { DATABASE_URL: Redacted.value(url), ARCHIVE_DIR: lake }
        const status = yield* Programs.run("archive", env, ["status", "--json"])
        const datasets: ReadonlyArray<{ dataset: string; state: string; rows: number | null }> = JSON.parse(
          status.stdout
        ).datasets
        assert.deepStrictEqual(
          datasets.filter(({ dataset }) => /^ticks_2026080/.test(dataset)).map(({ rows, state }) => [state, rows]),
          [
            ["archive", 300],
            ["both", 300],
            ["database", null]
          ]
        )
        const verified = yield* Programs.run("archive", env, ["verify", "--deep", "--json"])
        assert.deepStrictEqual(JSON.parse(verified.stdout), {
          verified: datasets.filter(({ rows }) => rows !== null).length,
          faults: []
        })
        const without = yield* Programs.run("archive", { DATABASE_URL: Redacted.value(url) }, ["status"])
        assert.deepStrictEqual([without.code, without.stderr.split(":")[0]], [1, "ARCHIVE_DIR"])
        const exported = yield* Programs.run("export", env, [
          "--from=2026-08-01",
          "--to=2026-08-04",
          `--out=${path.join(lake, "..", `${path.basename(lake)}.csv`)}`,
          "--json"
        ])
        fs.rmSync(path.join(lake, "..", `${path.basename(lake)}.csv`))
        assert.strictEqual(JSON.parse(exported.stdout).rows, 900, exported.stderr)
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    60_000
  )
})
