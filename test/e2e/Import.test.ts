import { randomBytes } from "node:crypto"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { between, dumpAll, importOnce } from "../ingest/ImportFixture.ts"
import { Original } from "../store/Original.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"

const urls = Effect.gen(function* () {
  const { url: to } = yield* TestDatabase
  const { url: from } = yield* Original
  return { to: Redacted.value(to), from: Redacted.value(from) }
})

const withUrl = (text: string, change: (url: URL) => void): string => {
  const url = new URL(text)
  change(url)
  return url.toString()
}

const migrator = (to: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Programs.run("migrator", { DATABASE_URL: to, DATA_DIR: "/nonexistent", ...env }, args)

describe("migrator import", { timeout: 60_000 }, () => {
  it.live("prints the counts for people and, as the last line, for programs", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        const { from, to } = yield* urls
        const ended = yield* migrator(to, ["import", `--from=${from}`, "--json"])
        assert.strictEqual(ended.code, 0, ended.stderr)
        const lines = ended.stdout.trimEnd().split("\n")
        const report = JSON.parse(lines.at(-1)!)
        assert.deepStrictEqual(
          [report.reconciled, report.resumed, report.tables.market_ticks.source, report.tables.market_ticks.imported],
          [true, false, 15, 13]
        )
        assert.match(ended.stdout, /^table +source +imported +already +refused$/m)
        assert.match(ended.stdout, /^market_ticks +15 +13 +0 +2$/m)
        assert.match(ended.stdout, /^market_ticks unit_guess +2 +1$/m)
        assert.match(ended.stdout, /^prediction_runs +[1-9]\d* +[1-9]\d* +0 +\d+$/m)
        assert.match(ended.stdout, /^every row of the source is accounted for$/m)
        assert.match(ended.stderr, /^import: market_candles 7 of 7$/m)
        const password = decodeURIComponent(new URL(from).password)
        if (password !== "") assert.notInclude(ended.stdout + ended.stderr, password)
      })
    )
  )

  it.live.each(["SIGKILL", "SIGTERM"] as const)(
    "after %s in the middle of a transaction it goes on to what an uninterrupted import gives",
    (signal) =>
      Effect.gen(function* () {
        const whole = yield* between(Original.layer, Effect.zip(importOnce({ batchRows: 5 }), dumpAll))
        yield* between(
          Original.layer,
          Effect.gen(function* () {
            const { from, to } = yield* urls
            const sql = yield* PgClient.PgClient
            yield* sql`
            create function wait_at_ten() returns trigger language plpgsql as $$
            begin
              if new.source_table = 'market_ticks' and new.rows_read = 10 then perform pg_advisory_xact_lock(77); end if;
              return new;
            end $$`
            yield* sql`create trigger wait_at_ten after insert or update on import_progress for each row execute function wait_at_ten()`
            const waiting = sql<{ waiting: boolean }>`
            select exists (select from pg_locks where locktype = 'advisory' and objid = 77 and not granted
              and database = (select oid from pg_database where datname = current_database())) as waiting`
            yield* Effect.gen(function* () {
              yield* sql`select pg_advisory_xact_lock(77)`
              const program = yield* Programs.running("migrator", { DATABASE_URL: to, IMPORT_FROM: from }, [
                "import",
                "--batch=5"
              ])
              yield* waiting.pipe(
                Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (rows) => rows[0]!.waiting }),
                Effect.timeout("15 seconds")
              )
              const code = yield* program.end(signal)
              assert.strictEqual(code, signal === "SIGKILL" ? null : 1)
              if (signal === "SIGTERM")
                assert.match(
                  program.stderr(),
                  /^import: it was told to stop; run it again: it goes on where it stopped$/m
                )
            }).pipe(Effect.scoped, sql.withTransaction)
            yield* sql`drop trigger wait_at_ten on import_progress`
            const ended = yield* migrator(to, ["import", "--batch=5", "--json"], { IMPORT_FROM: from })
            assert.strictEqual(ended.code, 0, ended.stderr)
            const report = JSON.parse(ended.stdout.trimEnd().split("\n").at(-1)!)
            assert.isTrue(report.resumed)
            assert.deepStrictEqual(report.tables, whole[0].tables)
            assert.deepStrictEqual(yield* dumpAll, whole[1])
          })
        )
      })
  )

  it.live("a mistake is one line", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        const { from, to } = yield* urls
        const sql = (yield* Original).sql
        const refused = Effect.fnUntraced(function* (
          says: RegExp,
          args: ReadonlyArray<string>,
          env: Readonly<Record<string, string>> = {}
        ) {
          const ended = yield* migrator(to, args, env)
          assert.strictEqual(ended.code, 1, ended.stderr)
          assert.match(ended.stderr.trimEnd(), says)
          assert.notInclude(ended.stderr.trimEnd(), "\n")
          assert.notInclude(ended.stderr, "hunter2")
          assert.strictEqual(ended.stdout, "")
        })
        const fromIs = (url: string) => ["import", `--from=${url}`]
        yield* refused(/^IMPORT_FROM: is not set; give --from /, ["import"])
        yield* refused(/^--from: it is not a postgres:\/\/ address/, fromIs("mysql://me:hunter2@host/db"))
        yield* refused(/^IMPORT_FROM: .* refused the connection/, ["import"], {
          IMPORT_FROM: "postgres://me:hunter2@127.0.0.1:9/db"
        })
        yield* refused(
          /^--from: .* database "nowhere" does not exist/,
          fromIs(
            withUrl(from, (url) => {
              url.pathname = "/nowhere"
            })
          )
        )
        yield* refused(/^--from: .* is a database of kalshi-ingestor itself/, fromIs(to))
        yield* refused(/^--from: it is the database of DATABASE_URL itself/, fromIs(from), { DATABASE_URL: from })
        assert.deepStrictEqual(yield* sql`select to_regclass('series') is null as untouched`, [{ untouched: true }])
        yield* refused(
          /^--from: .*\/postgres is not a database of the Python original/,
          fromIs(
            withUrl(from, (url) => {
              url.pathname = "/postgres"
            })
          )
        )
        yield* refused(/^--batch: 0 is not 1 to 100000/, [...fromIs(from), "--batch=0"])
        yield* refused(/^PG_POOL: 1 is too few/, fromIs(from), { PG_POOL: "1" })
        yield* refused(/^migrator: Unrecognized flag: --form/, ["import", `--form=${from}`])
        yield* refused(/^migrator: Unknown subcommand/, ["improt"])

        const role = `reader_${randomBytes(4).toString("hex")}`
        yield* Effect.acquireUseRelease(
          sql.unsafe(`create role ${role} login password 'hunter2'`),
          () =>
            Effect.gen(function* () {
              const asReader = fromIs(
                withUrl(from, (url) => {
                  url.username = role
                  url.password = "hunter2"
                })
              )
              yield* refused(/^--from: .* does not let this user read schema_version/, asReader)
              yield* sql.unsafe(`grant select on schema_version, events, markets to ${role}`)
              yield* refused(
                /^--from: .* does not let this user read market_ticks; grant select on market_ticks/,
                asReader
              )
            }),
          () => Effect.ignore(Effect.andThen(sql.unsafe(`drop owned by ${role}`), sql.unsafe(`drop role ${role}`)))
        )

        yield* sql`alter table market_ticks rename column raw to payload`
        yield* refused(/^--from: .* has no column raw in market_ticks/, fromIs(from))
        yield* sql`insert into schema_version values (4)`
        yield* refused(/^--from: .* has schema version 4 .* only version 3 can be imported/, fromIs(from))
        yield* sql`delete from schema_version`
        yield* refused(/^--from: .* has an empty schema_version/, fromIs(from))
        const stored = yield* PgClient.PgClient.use((target) => target`select count(*)::int as n from import_runs`)
        assert.deepStrictEqual(stored, [{ n: 0 }])
      })
    )
  )
})
