import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Migrations } from "../../src/store/Migrations.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import { TestDatabase } from "../support/Database.ts"

const shipped = new URL("../../sql", import.meta.url).pathname
const files = readdirSync(shipped).filter((file) => /^\d{4}_/.test(file))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "migrations-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
).pipe(Effect.tap((directory) => Effect.sync(() => cpSync(shipped, directory, { recursive: true }))))

const migrations = Effect.fnUntraced(function* (directory: string) {
  const context = yield* Layer.build(
    Layer.fresh(Migrations.layerNoDeps(directory).pipe(Layer.provide(Layer.fresh(Partitions.layer))))
  )
  return yield* Migrations.pipe(Effect.provideContext(context))
})

const onEmpty = <A, E>(test: Effect.Effect<A, E, PgClient.PgClient | Scope.Scope>) =>
  test.pipe(Effect.scoped, Effect.provide(TestDatabase.layerEmpty))

describe("Migrations", () => {
  it("has files numbered 1, 2, 3, … without a gap", () => {
    assert.deepStrictEqual(
      files.map((file) => Number(file.slice(0, 4))),
      files.map((_, index) => index + 1)
    )
  })

  it.effect("applies every file in order, then has nothing left to do", () =>
    onEmpty(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const { pending, run } = yield* migrations(shipped)
        assert.strictEqual((yield* pending).length, files.length)
        assert.deepStrictEqual(
          (yield* run).map((migration) => migration.file),
          files
        )
        assert.deepStrictEqual(yield* run, [])
        assert.deepStrictEqual(yield* pending, [])
        const recorded = yield* sql`select file from schema_version order by version`
        assert.deepStrictEqual(
          recorded,
          files.map((file) => ({ file }))
        )
      })
    )
  )

  it.effect("makes the partitions of today", () =>
    onEmpty(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* (yield* migrations(shipped)).run
        const found = yield* sql`select to_regclass('ticks_19700101') is not null as today`
        assert.deepStrictEqual(found, [{ today: true }])
      })
    )
  )

  it.effect("four at once apply each file once", () =>
    onEmpty(
      Effect.gen(function* () {
        const all = yield* Effect.all([1, 2, 3, 4].map(() => migrations(shipped)))
        const applied = yield* Effect.all(
          all.map(({ run }) => run),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(applied.map((list) => list.length).sort(), [0, 0, 0, files.length])
      })
    )
  )

  it.effect("names file and line of a mistake, and leaves the database as it was", () =>
    onEmpty(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const directory = yield* folder
        writeFileSync(join(directory, "0098_fine.sql"), "create table fine (id integer);\n")
        writeFileSync(join(directory, "0099_broken.sql"), "create table a (id integer);\n\ncreate tabel b ();\n")
        const error = yield* Effect.flip((yield* migrations(directory)).run)
        assert.strictEqual(error.message, '0099_broken.sql: line 3: syntax error at or near "tabel"')
        assert.deepStrictEqual(yield* sql`select to_regclass('fine') is null as absent`, [{ absent: true }])
      })
    )
  )

  it.effect("names the file of a statement that fails when it runs", () =>
    onEmpty(
      Effect.gen(function* () {
        const directory = yield* folder
        writeFileSync(join(directory, "0099_twice.sql"), "create table events (id integer);\n")
        const error = yield* Effect.flip((yield* migrations(directory)).run)
        assert.strictEqual(error.message, '0099_twice.sql: relation "events" already exists')
      })
    )
  )

  it.effect("refuses a file that was edited after it was applied", () =>
    onEmpty(
      Effect.gen(function* () {
        const directory = yield* folder
        const { pending, run } = yield* migrations(directory)
        yield* run
        writeFileSync(join(directory, files[0]!), "create table series (ticker text);\n")
        assert.match((yield* Effect.flip(run)).message, /^0001_catalog\.sql: was edited after it was applied/)
        assert.match((yield* Effect.flip(pending)).message, /^0001_catalog\.sql: was edited after it was applied/)
      })
    )
  )

  it.effect("does not take other line ends for an edit", () =>
    onEmpty(
      Effect.gen(function* () {
        const directory = yield* folder
        writeFileSync(join(directory, "0099_lines.sql"), "create table lines (\n  id integer\n);\n")
        const { run } = yield* migrations(directory)
        yield* run
        writeFileSync(join(directory, "0099_lines.sql"), "create table lines (\r\n  id integer\r\n);\r\n")
        assert.deepStrictEqual(yield* run, [])
      })
    )
  )

  it.effect("refuses a gap: a file that turns up below one that was applied", () =>
    onEmpty(
      Effect.gen(function* () {
        const directory = yield* folder
        writeFileSync(join(directory, "0099_last.sql"), "select 1;\n")
        const { run } = yield* migrations(directory)
        yield* run
        writeFileSync(join(directory, "0098_late.sql"), "select 1;\n")
        assert.match(
          (yield* Effect.flip(run)).message,
          /^0098_late\.sql: was never applied .* 0099_last\.sql after it was/
        )
      })
    )
  )

  it.effect("refuses a database that is newer than the files", () =>
    onEmpty(
      Effect.gen(function* () {
        const directory = yield* folder
        writeFileSync(join(directory, "0099_last.sql"), "select 1;\n")
        const { run } = yield* migrations(directory)
        yield* run
        rmSync(join(directory, "0099_last.sql"))
        assert.match((yield* Effect.flip(run)).message, /^0099_last\.sql: was applied .* upgrade them$/)
      })
    )
  )

  it.effect("refuses a number used twice", () =>
    onEmpty(
      Effect.gen(function* () {
        const directory = yield* folder
        writeFileSync(join(directory, "0098_a.sql"), "select 1;\n")
        writeFileSync(join(directory, "0099_b.sql"), "select 1;\n")
        renameSync(join(directory, "0099_b.sql"), join(directory, "0098_b.sql"))
        assert.match(
          (yield* Effect.flip((yield* migrations(directory)).run)).message,
          /^0098_b\.sql: number 98 is used twice$/
        )
      })
    )
  )
})
