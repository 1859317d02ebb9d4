import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { Database } from "../../src/store/Database.ts"
import { Migrations } from "../../src/store/Migrations.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import { SchemaCheck } from "../../src/store/SchemaCheck.ts"
import { sqlState } from "../../src/store/SqlState.ts"
import { TestDatabase } from "../support/Database.ts"

const shipped = new URL("../../sql", import.meta.url).pathname

/** The shipped files and one more. */
const folder = (file: string, text: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = mkdtempSync(join(tmpdir(), "migrations-"))
      cpSync(shipped, directory, { recursive: true })
      writeFileSync(join(directory, file), text)
      return directory
    }),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )

const settings = (env: Readonly<Record<string, string>>) => ConfigProvider.layer(ConfigProvider.fromUnknown(env))

const migrations = (directory: string, env: Readonly<Record<string, string>> = {}) =>
  Layer.fresh(
    Migrations.layerNoDeps(directory).pipe(Layer.provide(Layer.fresh(Partitions.layer)), Layer.provide(settings(env)))
  )

const insert = (ts: number) =>
  PgClient.PgClient.use(
    (sql) => sql`
    insert into ticks (ts, received_ms, market_id) values (now() + ${ts} * interval '1 millisecond', 1, 1)`
  )

describe("a migration and what uses the database", { timeout: 60_000 }, () => {
  it.live(
    "capture goes on while a migration waits behind a long transaction, and the migration is applied when that ends",
    () =>
      Effect.gen(function* () {
        const directory = yield* folder("0099_column.sql", "alter table ticks add column extra integer;\n")
        const lines: Array<string> = []
        const logger = Logger.make(({ message }) => {
          lines.push(String(Array.isArray(message) ? message[0] : message))
        })
        const opened = yield* Deferred.make<void>()
        const close = yield* Deferred.make<void>()
        const owner = yield* PgClient.PgClient
        const long = yield* owner`select count(*) from ticks`.pipe(
          Effect.andThen(Deferred.succeed(opened, undefined)),
          Effect.andThen(Deferred.await(close)),
          owner.withTransaction,
          Effect.forkChild
        )
        yield* Deferred.await(opened)
        const migrating = yield* Migrations.use(({ run }) => run).pipe(
          Effect.provide(
            Layer.merge(migrations(directory, { DB_LOCK_TIMEOUT_SECONDS: "0.2" }), Logger.layer([logger]))
          ),
          Effect.forkChild({ startImmediately: true })
        )
        const gaveWay = Effect.sync(() => lines.filter((line) => line.startsWith("gave way")))

        let longest = 0
        let inserted = 0
        while ((yield* gaveWay).length < 2) {
          const began = yield* Clock.currentTimeMillis
          yield* insert(inserted++).pipe(Effect.timeout("10 seconds"))
          longest = Math.max(longest, (yield* Clock.currentTimeMillis) - began)
          yield* Effect.sleep("20 millis")
        }
        assert.isAbove(inserted, 5)
        assert.isBelow(longest, 5_000, "an insert waited for the migration")
        assert.match((yield* gaveWay)[0]!, /the oldest open transaction is that of test \(process \d+\), \d+\.\d s$/)
        assert.deepStrictEqual(
          yield* owner`select 1 from pg_attribute where attrelid = 'ticks'::regclass and attname = 'extra'`,
          []
        )

        yield* Deferred.succeed(close, undefined)
        yield* Fiber.join(long)
        const applied = yield* Fiber.join(migrating).pipe(Effect.timeout("30 seconds"))
        assert.deepStrictEqual(
          applied.map(({ file }) => file),
          ["0099_column.sql"]
        )
        const [row] = yield* owner<{ n: number }>`select count(extra is null)::int as n from ticks`
        assert.strictEqual(row?.n, inserted)
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("gives up after its patience, names file and holder, and leaves everything as it was", () =>
    Effect.gen(function* () {
      const directory = yield* folder(
        "0099_column.sql",
        "create table first (id integer);\nalter table ticks add column extra integer;\n"
      )
      const owner = yield* PgClient.PgClient
      const other = Context.get(yield* Layer.build(Layer.fresh(TestDatabase.layerAs("ws"))), PgClient.PgClient)
      const error = yield* other`select 1 from ticks limit 1`.pipe(
        Effect.andThen(
          Effect.flip(
            Migrations.use(({ run }) => run).pipe(
              Effect.provide(migrations(directory, { DB_LOCK_TIMEOUT_SECONDS: "0.05", DB_LOCK_PATIENCE_SECONDS: "0" }))
            )
          )
        ),
        other.withTransaction
      )
      assert.match(
        error.message,
        /^0099_column\.sql: it did not get its locks in time, again and again; the oldest open transaction is that of test ws /
      )
      assert.deepStrictEqual(yield* owner`select to_regclass('first') is null as absent`, [{ absent: true }])
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("grants what a migration adds in the same transaction, where the roles are", () =>
    Effect.gen(function* () {
      const owner = yield* PgClient.PgClient
      // As after an upgrade of the programs: the grants of a table are not yet what they must be.
      yield* owner`revoke select on markets from kalshi_ws`
      yield* owner`alter function next_status(text, text) owner to current_user`
      const directory = yield* folder("0099_nothing.sql", "select 1;\n")
      yield* Migrations.use(({ run }) => run).pipe(Effect.provide(migrations(directory)))
      const ws = yield* Layer.build(Layer.fresh(TestDatabase.layerAs("ws")))
      yield* PgClient.PgClient.use((sql) => sql`select ticker from markets`).pipe(Effect.provideContext(ws))
      const [row] = yield* owner<{
        owner: string
      }>`select pg_get_userbyid(proowner) as owner from pg_proc where proname = 'next_status'`
      assert.strictEqual(row?.owner, "kalshi_owner")
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )
})

describe("a program and the schema it finds", () => {
  const check = (directory: string, env: Readonly<Record<string, string>> = {}, role?: "ws") =>
    Effect.gen(function* () {
      const url = role === undefined ? (yield* TestDatabase).url : yield* TestDatabase.urlAs(role)
      yield* Layer.build(
        Layer.fresh(
          SchemaCheck.pipe(
            Layer.provide(migrations(directory, env)),
            Layer.provide(Database.layerFrom({ url, applicationName: "check", maxConnections: 2 })),
            Layer.provide(settings(env))
          )
        )
      )
    }).pipe(Effect.scoped)
  const refused = (...given: Parameters<typeof check>) =>
    Effect.map(Effect.flip(check(...given)), ({ message }) => message)
  const newest = 99

  it.live("an older one is refused in one line, accepted where that is said, or brought up to date by the owner", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const directory = yield* folder("0099_more.sql", "create table more (id integer);\n")
      const [last] = yield* sql<{ version: number }>`select max(version)::int as version from schema_version`
      assert.match(yield* refused(directory), /^DATABASE_URL: \S+ lacks 1 migrations; run: node dist\/migrator\.js$/)
      yield* check(directory, { SCHEMA_COMPAT_MIN: String(last!.version) })
      yield* check(directory, { SCHEMA_VALIDATE: "0" })
      assert.match(yield* refused(directory, { SCHEMA_COMPAT_MIN: "98" }), /lacks 1 migrations/)
      assert.match(
        yield* refused(directory, { DB_INIT_SCHEMA: "1" }, "ws"),
        /^DB_INIT_SCHEMA: the migrations of \S+ cannot be applied \(.*permission denied.*\); run node dist\/migrator\.js as the owner/
      )
      yield* check(directory, { DB_INIT_SCHEMA: "1" })
      assert.strictEqual((yield* sql`select 1 from schema_version where version = ${newest}`).length, 1)
      yield* check(directory, {}, "ws")
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("a newer one is refused in one line, or accepted where that is said", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`insert into schema_version (version, file, checksum) values (99, '0099_later.sql', 'x')`
      assert.match(
        yield* refused(shipped),
        /^DATABASE_URL: \S+ does not fit this version \(0099_later\.sql: .*upgrade them\)/
      )
      assert.match(yield* refused(shipped, { SCHEMA_COMPAT_MAX: "98" }), /0099_later\.sql/)
      yield* check(shipped, { SCHEMA_COMPAT_MAX: "99" })
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("the Python original's database is told by its name, not by its number", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`create table schema_version (version integer primary key, applied_at timestamptz)`
      yield* sql`insert into schema_version values (3, now())`
      assert.match(
        yield* refused(shipped),
        /^DATABASE_URL: \S+ is a database of the Python original; .*node dist\/migrator\.js import --from/
      )
      assert.strictEqual(sqlState(yield* Effect.flip(sql`select * from ticks`)), "42P01")
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layerEmpty))
  )
})
