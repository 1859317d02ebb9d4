import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { inject } from "vitest"
import { listBackups, listUnfinished } from "../../src/store/BackupFiles.ts"
import { Backups } from "../../src/store/Backups.ts"
import { TestDatabase } from "../support/Database.ts"
import { databaseUrl } from "../support/PostgresServer.ts"
import * as Programs from "../support/Programs.ts"

const script = path.resolve(import.meta.dirname, "../support/BackupThatDies.mjs")

/** Its signal, or its exit code and what it said. */
const dies = (what: "create" | "restore", url: string, directory: string, at: string) =>
  Effect.callback<string>((resume) => {
    const child = spawn(process.execPath, [script, what, url, directory, at], { stdio: ["ignore", "ignore", "pipe"] })
    let said = ""
    child.stderr.on("data", (chunk) => {
      said += chunk
    })
    child.on("close", (code, signal) => resume(Effect.succeed(signal ?? `${code} ${said}`)))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const quiet = () => Effect.void

const backupsOf = (url: string) =>
  Effect.map(Layer.build(Layer.fresh(Backups.layer(Redacted.make(url)))), (context) => Context.get(context, Backups))

/** The series of a database, looked at without leaving a connection behind. */
const seriesIn = (url: string) =>
  Effect.scoped(
    Effect.flatMap(
      Layer.build(Layer.fresh(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }))),
      (context) =>
        Effect.map(
          Context.get(context, PgClient.PgClient)<{ ticker: string }>`select ticker from series order by 1`,
          (rows) => rows.map(({ ticker }) => ticker)
        )
    )
  )

/** A backup of a database that has one series, KXKEPT. */
const madeBackup = Effect.gen(function* () {
  const { url } = yield* TestDatabase
  const sql = yield* PgClient.PgClient
  yield* sql`insert into series (ticker) values ('KXKEPT')`
  yield* sql`insert into quarantine (feed, cause, raw) select 'socket', 'test', decode(md5(n::text), 'hex') from generate_series(1, 4000) n`
  const directory = path.join(yield* Programs.folder, "backup")
  const manifest = yield* (yield* backupsOf(Redacted.value(url))).create({ directory, onTable: quiet })
  return { directory, manifest }
})

/** Another database, which holds the series KXTHERE, and the names of those beside it. */
const other = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const name = `${(yield* TestDatabase).name}_other`
  const url = databaseUrl(inject("postgres").url, name)
  const drop = (one: string) => Effect.ignore(sql.unsafe(`drop database if exists ${one} with (force)`))
  yield* Effect.acquireRelease(sql.unsafe(`create database ${name} template ${inject("postgres").template}`), () =>
    Effect.forEach([name, `${name}_restoring`, `${name}_replaced`], drop, { discard: true })
  )
  yield* Effect.scoped(
    Effect.flatMap(
      Layer.build(Layer.fresh(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }))),
      (context) => Context.get(context, PgClient.PgClient)`insert into series (ticker) values ('KXTHERE')`
    )
  )
  const beside = Effect.map(
    sql<{ name: string }>`select datname as name from pg_database where datname like ${`${name}\\_%`} order by 1`,
    (rows) => rows.map((row) => row.name.slice(name.length + 1))
  )
  return { url, beside }
})

describe("a backup that is killed", () => {
  it.live(
    "is never called one, and the next one of that name is whole",
    () =>
      Effect.gen(function* () {
        const url = Redacted.value((yield* TestDatabase).url)
        const home = yield* Programs.folder
        const directory = path.join(home, "backup")
        for (const at of ["1", "30", "described"]) {
          assert.strictEqual(yield* dies("create", url, directory, at), "SIGKILL", at)
          assert.isFalse(fs.existsSync(directory), at)
          assert.deepStrictEqual(yield* listBackups(home), [])
          assert.deepStrictEqual(yield* listUnfinished(home), [`${directory}.part`])
        }
        const listed = yield* Programs.run("backup", { DATA_DIR: home }, ["list", home, "--json"])
        assert.deepStrictEqual(JSON.parse(listed.stdout), { backups: [] })
        assert.include(listed.stderr, `${directory}.part was interrupted`)
        const manifest = yield* (yield* backupsOf(url)).create({ directory, onTable: quiet })
        assert.deepStrictEqual(fs.readdirSync(home), ["backup"])
        assert.strictEqual(fs.readdirSync(path.join(directory, "data")).length, manifest.tables.length)
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    60_000
  )

  it.live(
    "by a full disk leaves nothing, and says what to do",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* sql`
          insert into quarantine (feed, cause, raw)
          select 'socket', 'test', decode(md5(n::text), 'hex') from generate_series(1, 4000) n`
        const home = yield* Programs.folder
        const url = Redacted.value((yield* TestDatabase).url)
        // A limit on the size of a file stands for the disk: writing fails in the middle of one.
        const said = yield* Effect.callback<string>((resume) => {
          const child = spawn(
            "sh",
            ["-c", `ulimit -f 32; exec "$0" "$@"`, process.execPath, "dist/backup.js", "create", path.join(home, "b")],
            {
              cwd: path.resolve(import.meta.dirname, "../.."),
              env: { ...Programs.machine(), ENV_FILE: "/dev/null", DATABASE_URL: url, DATA_DIR: home },
              stdio: ["ignore", "ignore", "pipe"]
            }
          )
          let text = ""
          child.stderr.on("data", (chunk) => {
            text += chunk
          })
          child.on("close", (code) => resume(Effect.succeed(`${code} ${text.trim().split("\n").at(-1)}`)))
        })
        assert.match(said, /^1 backup: .*b\.part: EFBIG.*; make room there, or choose another folder$/)
        assert.deepStrictEqual(fs.readdirSync(home), [])
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    30_000
  )
})

describe("a restore that is killed", () => {
  it.live(
    "leaves the database that was there, or the whole other one, and the next one succeeds",
    () =>
      Effect.gen(function* () {
        const { directory } = yield* madeBackup
        const { beside, url } = yield* other
        for (const at of ["created", "1", "50", "built"]) {
          assert.strictEqual(yield* dies("restore", url, directory, at), "SIGKILL", at)
          assert.deepStrictEqual(yield* seriesIn(url), ["KXTHERE"], at)
          assert.deepStrictEqual(yield* beside, ["restoring"])
        }
        assert.strictEqual(yield* dies("restore", url, directory, "renamed"), "SIGKILL")
        assert.deepStrictEqual(yield* seriesIn(url), ["KXKEPT"])
        assert.deepStrictEqual(yield* beside, ["replaced"])
        yield* (yield* backupsOf(url)).restore({ directory, force: true, onTable: quiet })
        assert.deepStrictEqual(yield* seriesIn(url), ["KXKEPT"])
        assert.deepStrictEqual(yield* beside, [])
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    60_000
  )
})

describe("a restore", () => {
  it.live(
    "refuses by name what is no backup, is damaged, incomplete, or of a newer version, and leaves the database as it was",
    () =>
      Effect.gen(function* () {
        const { directory, manifest } = yield* madeBackup
        const { beside, url } = yield* other
        const theirs = yield* backupsOf(url)
        const manifestFile = path.join(directory, "manifest.json")
        const data = path.join(directory, "data", "quarantine.copy.gz")
        const good = { manifest: fs.readFileSync(manifestFile), data: fs.readFileSync(data) }
        const refused = Effect.fnUntraced(function* (change: () => void, why: RegExp) {
          change()
          const error = yield* Effect.flip(theirs.restore({ directory, force: true, onTable: quiet }))
          assert.match(error.message, why)
          assert.notInclude(error.message, "\n")
          fs.writeFileSync(manifestFile, good.manifest)
          fs.writeFileSync(data, good.data)
          assert.deepStrictEqual(yield* beside, [])
        })
        const rewritten = (changes: object) => () =>
          fs.writeFileSync(manifestFile, JSON.stringify({ ...manifest, ...changes }))
        yield* refused(() => fs.rmSync(manifestFile), /ENOENT.*name the folder of a backup/)
        yield* refused(() => fs.truncateSync(manifestFile, 100), /its manifest\.json is damaged; use another backup/)
        yield* refused(
          rewritten({ format: 2, codeVersion: "9.0.0" }),
          /format 2, made by version 9\.0\.0, which this version .* cannot read; restore it with that version/
        )
        const next = { version: 9000, file: "9000_later.sql", checksum: "0" }
        yield* refused(
          rewritten({ schema: [...manifest.schema, next], codeVersion: "9.0.0" }),
          /schema, 9000_later\.sql, is not one that this version can make; .*it was 9\.0\.0/
        )
        yield* refused(() => fs.rmSync(data), /the file of quarantine is damaged: it is missing; use another backup/)
        yield* refused(
          rewritten({
            // The file is whole; what the server says is told as such.
            tables: manifest.tables.map((table) =>
              table.name === "quarantine" ? { ...table, columns: [...table.columns].reverse() } : table
            )
          }),
          /^quarantine cannot be stored: invalid input syntax.*; mend that and try again$/
        )
        assert.deepStrictEqual(yield* seriesIn(url), ["KXTHERE"])
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    60_000
  )

  it.live(
    "takes a database that is migrated and empty for empty, and gives way to another restore",
    () =>
      Effect.gen(function* () {
        const { directory } = yield* madeBackup
        const { beside, url } = yield* other
        const theirs = yield* backupsOf(url)
        yield* Effect.scoped(
          Effect.flatMap(
            Layer.build(Layer.fresh(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }))),
            (context) => Context.get(context, PgClient.PgClient)`delete from series`
          )
        )
        let second = ""
        yield* theirs.restore({
          directory,
          force: false,
          onTable: quiet,
          onStep: (step) =>
            step === "created"
              ? theirs.restore({ directory, force: true, onTable: quiet }).pipe(
                  Effect.catch(({ message }) =>
                    Effect.sync(() => {
                      second = message
                    })
                  )
                )
              : Effect.void
        })
        assert.match(second, /^another restore into .* is under way/)
        assert.deepStrictEqual(yield* seriesIn(url), ["KXKEPT"])
        assert.deepStrictEqual(yield* beside, [])
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    30_000
  )
})
