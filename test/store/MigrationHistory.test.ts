import { createHash, randomBytes } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Reactivity from "effect/reactivity/Reactivity"
import { inject } from "vitest"
import { Migrations } from "../../src/store/Migrations.ts"
import { asOneStatement } from "../../src/store/SqlFile.ts"
import { databaseUrl } from "../support/PostgresServer.ts"

const directory = new URL("../../sql/", import.meta.url)
const files = readdirSync(directory)
  .filter((file) => /^\d{4}_/.test(file))
  .sort()
  .map((file) => ({
    file,
    version: Number(file.slice(0, 4)),
    text: readFileSync(new URL(file, directory), "utf8").replaceAll("\r\n", "\n")
  }))

/** Files that meet rows which are there already; the rows are of the version before. */
const isAboutRows = ({ text }: { readonly text: string }) => /^(insert|update|delete|alter table)/m.test(text)
const starts = files.flatMap((_, n) => (n > 0 && (isAboutRows(files[n]!) || n === files.length - 1) ? [n] : []))

/** What a column gets by its name, where its type is not enough; `i` is the number of the row. */
const named: Readonly<Record<string, string>> = {
  shard: "'event/12'",
  "admin_audit.via": "'socket'",
  "admin_audit.outcome": "'done'",
  status: "'active'",
  "queue_finished.status": "'done'",
  "event_cards.status": "'open'",
  "event_cards.section": "'active'",
  "markets.completion": "'settled'",
  "market_coverage.state": "'live'",
  "journal_positions.state": "'{}'::jsonb",
  "archive_datasets.parent": "'ticks'",
  "consistency_checks.what": "'book'",
  "trade_windows.kind": "'range'",
  "metadata_changes.kind": "'market'",
  "trade_windows.complete": "false",
  "prediction_runs.outcome": "'succeeded'",
  "prediction_runs.failure": "null",
  "market_predictions.quote_source": "'tick'",
  "market_predictions.not_scored": "null",
  "queue_jobs.locked_by": "null",
  "queue_jobs.locked_at": "null",
  "service_instances.parts": "'{}'::jsonb"
}

const ofType = (name: string, type: string): string => {
  if (/tick|event|series|journal|key|instance|source|hash|nonce|address/.test(name) && type === "text")
    return `'${name[0]}-' || i`
  switch (type) {
    case "text":
      return "'text ' || i"
    case "smallint":
    case "integer":
    case "bigint":
      return "i"
    case "numeric":
      return "0.1 * i"
    case "double precision":
      return "i + 0.5"
    case "boolean":
      return "true"
    case "date":
      return "date '2026-11-01' + i"
    case "uuid":
      return "md5(i::text)::uuid"
    case "json":
    case "jsonb":
      return "json_build_object('i', i)"
    case "bytea":
      return "convert_to('raw ' || i, 'UTF8')"
    case "timestamp with time zone": {
      const later = /^(to_|close|end|finished|expires|lease|free)/.test(name) ? 3 : 0
      return `timestamptz '2026-11-20T10:00:00.123Z' + (i + ${later}) * interval '1 hour'`
    }
    case "tsvector":
      return "to_tsvector('simple', 'word')"
    case "tstzmultirange":
      return "tstzmultirange(tstzrange('2026-11-20', '2026-11-21'))"
    default:
      if (type.endsWith("[]")) return `array[${type === "text[]" ? "'a'" : "1"}]::${type}`
      throw new Error(`no value for ${name} ${type}`)
  }
}

interface Column {
  readonly table: string
  readonly name: string
  readonly type: string
  readonly fillable: boolean
}

const columns = (sql: PgClient.PgClient) => sql<Column>`
  select c.relname as table, a.attname as name, format_type(a.atttypid, null) as type,
    a.attidentity = '' and a.attgenerated = '' as fillable
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    and c.relname <> 'schema_version'
  order by c.oid, a.attnum`

const tablesOf = (all: ReadonlyArray<Column>) => {
  const tables = new Map<string, Array<Column>>()
  for (const column of all) tables.set(column.table, [...(tables.get(column.table) ?? []), column])
  return tables
}

/** Three rows in every table of whatever version this is, and a tick whose stamp is weeks off. */
const fill = Effect.fnUntraced(function* (sql: PgClient.PgClient) {
  const tables = tablesOf(yield* columns(sql))
  for (const [table, all] of tables) {
    const some = all.filter(({ fillable }) => fillable)
    const values = some.map(
      ({ name, type }) => `(${named[`${table}.${name}`] ?? named[name] ?? ofType(name, type)})::${type}`
    )
    yield* sql.unsafe(
      `insert into ${table} (${some.map(({ name }) => `"${name}"`).join(", ")}) select ${values.join(", ")}
       from generate_series(1, 3) as i on conflict do nothing`
    )
  }
  if (tables.get("ticks")?.some(({ name }) => name === "received_at") === true)
    yield* sql`insert into ticks (ts, received_at, market_id) values ('2026-11-20T00:00:00Z', '2026-01-01T00:00:00Z', 9)`
})

/** Columns that a migration drops or changes the value or the type of, and tables that keep books, which migrations may enter rows in. */
const changed = new Set([
  "archive_datasets.snapshot_xmin",
  "ticks.received_at",
  "capture_gaps.feed",
  "capture_gaps.shard",
  "capture_gaps.slots",
  "journal_positions.shard"
])
const books = new Set([
  "coverage_stale",
  "coverage_days_stale",
  "event_cards_stale",
  "slot_feeds",
  "capture_starts",
  "metadata_changes",
  "shard_leases"
])

const contents = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  wanted: ReadonlyMap<string, ReadonlyArray<Column>>
) {
  const found = new Map<string, ReadonlyArray<string>>()
  for (const [table, all] of wanted) {
    const kept = all.filter(({ name }) => !changed.has(`${table}.${name}`)).map(({ name }) => `'${name}', t."${name}"`)
    const odd =
      table === "ticks" ? "where market_id <> 9" : table === "quarantine" ? "where cause not like '%weeks%'" : ""
    const rows = yield* sql.unsafe<{ row: string }>(
      `select jsonb_build_object(${kept.join(", ")})::text as row from ${table} t ${odd} order by 1`
    )
    found.set(
      table,
      rows.map(({ row }) => row)
    )
  }
  return found
})

const client = (database: string) =>
  PgClient.makeClient({
    url: Redacted.make(databaseUrl(inject("postgres").url, database)),
    startupParameters: { timezone: "UTC" }
  })

/** One of the shipped files, as the migrator applies it. */
const apply = (sql: PgClient.PgClient, { file, text, version }: (typeof files)[number]) =>
  Effect.gen(function* () {
    yield* sql`
      create table if not exists schema_version (
        version integer primary key, file text not null, checksum text not null,
        applied_at timestamptz not null default clock_timestamp())`
    yield* sql.unsafe(asOneStatement(text))
    yield* sql`
      insert into schema_version (version, file, checksum)
      values (${version}, ${file}, ${createHash("sha256").update(text).digest("hex")})`
  }).pipe(sql.withTransaction)

describe("a database with rows in it, of any earlier version,", { timeout: 90_000 }, () => {
  it.live(`is brought up to date and keeps every row (${starts.length} versions)`, () =>
    Effect.gen(function* () {
      const admin = yield* PgClient.makeClient({ url: Redacted.make(inject("postgres").url) })
      const named = (name: string, template: string) =>
        Effect.acquireRelease(
          Effect.as(admin.unsafe(`create database ${name} template ${template} encoding 'UTF8'`), name),
          () => Effect.ignore(admin.unsafe(`drop database if exists ${name} with (force)`))
        )
      const tag = randomBytes(4).toString("hex")
      const chain = yield* named(`test_chain_${tag}`, "template0")
      let reached = 0
      for (const start of starts) {
        yield* client(chain).pipe(
          Effect.flatMap((sql) => Effect.forEach(files.slice(reached, start), (file) => apply(sql, file))),
          Effect.scoped
        )
        reached = start
        yield* Effect.gen(function* () {
          const version = files[start - 1]!.version
          const step = yield* named(`test_step_${tag}_${version}`, chain)
          const sql = yield* client(step)
          yield* fill(sql)
          const before = tablesOf(yield* columns(sql))
          const rows = yield* contents(sql, before)
          for (const [table, all] of rows) assert.isAbove(all.length, 0, `${table} is empty in version ${version}`)

          const run = Migrations.use(({ pending, run }) => Effect.all([run, pending])).pipe(
            Effect.provide(Layer.fresh(Migrations.layer).pipe(Layer.provide(Layer.succeed(PgClient.PgClient, sql))))
          )
          const [applied, pending] = yield* run
          assert.deepStrictEqual(
            applied.map(({ file }) => file),
            files.slice(start).map(({ file }) => file)
          )
          assert.deepStrictEqual(pending, [])

          const now = tablesOf(yield* columns(sql))
          const shared = new Map(
            [...before].map(([table, all]) => {
              assert.isTrue(now.has(table), `${table} of version ${version} is gone`)
              const names = new Set(now.get(table)!.map(({ name }) => name))
              return [table, all.filter(({ name }) => names.has(name) || changed.has(`${table}.${name}`))] as const
            })
          )
          const after = yield* contents(sql, shared)
          for (const [table, all] of rows) {
            const stored = after.get(table)!
            if (books.has(table)) for (const row of all) assert.include(stored, row, `${table} of version ${version}`)
            else assert.deepStrictEqual(stored, all, `${table} of version ${version}`)
          }

          const one = <A extends object>(query: string) => Effect.map(sql.unsafe<A>(query), (found) => found[0])
          if (version < 14 && before.has("ticks")) {
            assert.deepStrictEqual(yield* one("select count(*)::int as n from quarantine where cause like '%weeks%'"), {
              n: 1
            })
            assert.deepStrictEqual(yield* one("select count(*)::int as n from ticks where received_ms <> 0"), { n: 0 })
            assert.deepStrictEqual(
              yield* one("select count(*)::int as n from market_ticks t join market_keys using (ticker)"),
              { n: 3 }
            )
          }
          if (version < 10 && before.has("capture_gaps")) {
            assert.deepStrictEqual(
              yield* one("select count(*)::int as n from capture_gaps where feed = 'all' and cardinality(slots) = 12"),
              { n: 3 }
            )
            assert.deepStrictEqual(yield* one("select count(distinct slot)::int as n from slot_feeds"), { n: 12 })
          }
          if (version >= 10 && version < 19)
            assert.deepStrictEqual(
              yield* one(
                "select count(*)::int as n from slot_feeds f where not exists (select from capture_starts s where s.shard = f.shard and s.slot = f.slot and s.since <= f.since)"
              ),
              { n: 0 }
            )
          if (version < 25)
            assert.deepStrictEqual(
              yield* one(
                "select count(*)::int as n from markets m where not exists (select from event_cards_stale s where s.event_ticker = m.event_ticker)"
              ),
              { n: 0 }
            )
        }).pipe(Effect.scoped)
      }
    }).pipe(Effect.scoped, Effect.provide(Reactivity.layer))
  )

  it("covers every file that meets rows", () => {
    assert.isAtLeast(starts.length, 10)
    for (const [n, file] of files.entries()) if (n > 0 && isAboutRows(file)) assert.include(starts, n, file.file)
  })
})
