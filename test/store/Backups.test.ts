import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { inject } from "vitest"
import { listBackups } from "../../src/store/BackupFiles.ts"
import { Backups } from "../../src/store/Backups.ts"
import { Migrations } from "../../src/store/Migrations.ts"
import { entry, start, ticker } from "../ingest/Frames.ts"
import { stored } from "../ingest/Recorder.ts"
import { recorded, recordHere } from "../replay/Recording.ts"
import { TestDatabase } from "../support/Database.ts"
import { databaseUrl } from "../support/PostgresServer.ts"
import * as Programs from "../support/Programs.ts"

interface Sum {
  readonly table: string
  readonly rows: number
  readonly sum: string | null
}

/** Of every table, whatever the order of its rows. */
const sums = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const tables = yield* sql<{ name: string }>`
    select relname as name from pg_class
    where relkind in ('r', 'p') and not relispartition and relnamespace = 'public'::regnamespace and relname <> 'schema_version'
    order by 1`
  const all: Array<Sum> = []
  for (const { name } of tables)
    all.push(
      ...(yield* sql.unsafe<Sum>(
        `select '${name}' as table, count(*)::int as rows, md5(string_agg(t::text, '|' order by t::text)) as sum from ${name} t`
      ))
    )
  return all
})

const ticks = PgClient.PgClient.use(
  (sql) => sql<{ at: number; bid: string }>`
    select (extract(epoch from ts) * 1000)::float8 as at, yes_bid_dollars::text as bid from ticks order by ts, market_id`
)

const clientOf = (url: string) =>
  Layer.build(Layer.fresh(PgClient.layer({ url: Redacted.make(url), maxConnections: 4 })))

/** Looks into a database, and leaves no connection behind. */
const within = <A, E, R>(url: string, effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.flatMap(clientOf(url), (context) => Effect.provideContext(effect, context)))

const emptyDatabase = (name: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* Effect.acquireRelease(sql.unsafe(`create database ${name} template template0 encoding 'UTF8'`), () =>
      Effect.ignore(sql.unsafe(`drop database if exists ${name} with (force)`))
    )
    return databaseUrl(inject("postgres").url, name)
  })

const backupsOf = (url: string) =>
  Effect.map(Layer.build(Layer.fresh(Backups.layer(Redacted.make(url)))), (context) => Context.get(context, Backups))

const quiet = () => Effect.void

layer(TestDatabase.layer, { timeout: 60_000, excludeTestServices: true })("a backup", (it) => {
  it.effect(
    "is restored with every row of every table, and refuses what it must",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const { name, url } = yield* TestDatabase
        const journals = yield* recorded
        yield* sql`select queue_enqueue(array['x'], array['{}'], array[5], array['k'], array[0::float8], array[5], false)`
        yield* sql`
        insert into market_candles (market_ticker, period_interval_minutes, start_period_ts, end_period_ts, open)
        values ('KXBTCD-1-A', 60, '2024-02-01T00:00:00Z', '2024-02-01T01:00:00Z', 0.4700)`
        yield* sql`select ensure_candle_partition(date '2024-02-01')`
        yield* sql`insert into quarantine (feed, cause, raw) values ('socket', E'tab\t\\ newline\n', '\\x00ff5c0a')`
        const before = yield* sums
        assert.isAbove(before.filter(({ rows }) => rows > 0).length, 12)

        const home = yield* Programs.folder
        const directory = path.join(home, "backup")
        const ours = yield* backupsOf(Redacted.value(url))
        const manifest = yield* ours.create({ directory, onTable: quiet })
        assert.isFalse(fs.existsSync(`${directory}.part`))
        assert.deepStrictEqual(
          (yield* listBackups(home)).map((one) => one.directory),
          [directory]
        )
        assert.include((yield* Effect.flip(ours.create({ directory, onTable: quiet }))).message, "exists already")
        for (const text of [JSON.stringify(manifest), fs.readFileSync(path.join(directory, "manifest.json"), "utf8")])
          assert.notInclude(text, new URL(Redacted.value(url)).password || "no password")

        const target = yield* emptyDatabase(`${name}_other`)
        const theirs = yield* backupsOf(target)
        yield* theirs.restore({ directory, force: false, onTable: quiet })
        assert.deepStrictEqual(yield* within(target, sums), before)

        const alive = yield* within(
          target,
          Effect.gen(function* () {
            const other = yield* PgClient.PgClient
            const off = yield* other`select tgname from pg_trigger where not tgisinternal and tgenabled <> 'O'`
            yield* other`insert into quarantine (feed, cause, raw) values ('socket', 'new', '\\x00')`
            const [next] = yield* other<{ n: number }>`select max(id)::int as n from quarantine`
            const parts = yield* other`select from pg_class where relname = 'market_candles_202402' and relispartition`
            return { off, next: next!.n, parts: parts.length }
          })
        )
        const [last] = yield* sql<{ n: number }>`select max(id)::int as n from quarantine`
        assert.deepStrictEqual(alive, { off: [], next: last!.n + 1, parts: 1 })

        const refused = yield* Effect.flip(theirs.restore({ directory, force: false, onTable: quiet }))
        assert.match(refused.message, /holds data \(.*--force/)
        const busy = yield* Effect.scoped(
          Effect.gen(function* () {
            const other = Context.get(yield* clientOf(target), PgClient.PgClient)
            yield* other`select 1`
            return yield* Effect.flip(theirs.restore({ directory, force: true, onTable: quiet }))
          })
        )
        assert.match(busy.message, /1 other connections.*stop every program/)
        const changed = yield* within(target, sums)
        assert.notDeepEqual(changed, before)

        const part = manifest.tables.find(({ name, rows }) => name.startsWith("ticks_d") && rows > 0)!
        const file = path.join(directory, "data", `${part.name}.copy.gz`)
        const whole = fs.readFileSync(file)
        for (const broken of [whole.subarray(0, -9), Buffer.concat([whole, whole])]) {
          fs.writeFileSync(file, broken)
          const damaged = yield* Effect.flip(theirs.restore({ directory, force: true, onTable: quiet }))
          assert.include(damaged.message, `the file of ${part.name} is damaged`)
          assert.deepStrictEqual(yield* within(target, sums), changed)
        }
        fs.writeFileSync(file, whole)

        yield* theirs.restore({ directory, force: true, onTable: quiet })
        assert.deepStrictEqual(yield* within(target, sums), before)

        const since = [19, 20].map((second) => start + second * 1000)
        const at = path.join(journals, "shard-0")
        const writer = yield* recordHere(at)
        yield* writer.journal.append(since.map((millis) => entry("frame", millis, ticker("KXBTCD-1-A", millis))))
        yield* stored(writer.journal)
        yield* writer.stop
        const again = yield* within(
          target,
          Effect.gen(function* () {
            const other = yield* recordHere(at)
            yield* stored(other.journal)
            yield* other.stop
            return yield* ticks
          })
        )
        assert.deepStrictEqual(again, yield* ticks)
        assert.deepStrictEqual(
          again.slice(-2).map(({ at }) => at),
          since
        )
        const left = yield* sql`select datname from pg_database where datname like ${`${name}_other_%`}`
        assert.deepStrictEqual(left, [])
      }),
    60_000
  )

  it.effect("of an older schema is brought up to date", () =>
    Effect.gen(function* () {
      const { name } = yield* TestDatabase
      const old = yield* emptyDatabase(`${name}_old`)
      const target = yield* emptyDatabase(`${name}_new`)
      yield* within(
        old,
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          yield* Migrations.use((migrations) => migrations.runUpTo(20)).pipe(
            Effect.provide(Layer.fresh(Migrations.layer))
          )
          yield* sql`insert into series (ticker) values ('KXOLD')`
        })
      )
      const home = yield* Programs.folder
      const directory = path.join(home, "backup")
      yield* (yield* backupsOf(old)).create({ directory, onTable: quiet })
      yield* (yield* backupsOf(target)).restore({ directory, force: false, onTable: quiet })
      const found = yield* within(
        target,
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const [schema] = yield* sql<{ version: number }>`select max(version)::int as version from schema_version`
          return { schema: schema!.version, series: (yield* sql`select ticker from series`).length }
        })
      )
      assert.deepStrictEqual(found, {
        schema: Math.max(
          ...fs
            .readdirSync(path.resolve(import.meta.dirname, "../../sql"))
            .flatMap((file) => (/^\d{4}_/.test(file) ? [Number(file.slice(0, 4))] : []))
        ),
        series: 1
      })
    })
  )
})
