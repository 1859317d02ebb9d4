import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import * as Path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Reactivity from "effect/reactivity/Reactivity"
import { acquire, readText, thisHost } from "./OwnerLock.ts"
import { type Account, identity, PostgresBinaries, runAs } from "./PostgresBinaries.ts"
import { forget, type Home, type Leased, poll, releaseCluster, stop, wrongFolder } from "./PostgresRemains.ts"
import { sqlProblem } from "./SqlProblem.ts"

export interface EmbeddedPostgresOptions {
  /** Holds `postgres/` (the cluster), its password, port, log and owner files. Made when missing. */
  readonly dataDir: string
  /** Used, with a warning in the log, when the server's account cannot enter `dataDir`. */
  readonly fallbackDataDir?: string | undefined
  /** Server settings over ours. */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** The wanted port; another one when it is not free. By default that of the last time. */
  readonly port?: number | undefined
  /**
   * We hold the lease of `dataDir`: no process but ours is signalled, the server ends with this process however that ends, and what the
   * host `over` left is that of a holder which has provably ended.
   */
  readonly leased?: Leased | undefined
}

/** A real PostgreSQL 18 of our own: on 127.0.0.1 only, one owner a data folder, stopped when the owner's scope closes. */
export class EmbeddedPostgres extends Context.Service<
  EmbeddedPostgres,
  {
    /** The superuser's address of the database `kalshi`. */
    readonly url: Redacted.Redacted<string>
    readonly port: number
    readonly dataDir: string
    readonly pid: number
    /** Ends when the server ends, wanted or not. */
    readonly ended: Effect.Effect<void>
  }
>()("kalshi-ingestor/store/EmbeddedPostgres") {
  static readonly layerNoDeps = (options: EmbeddedPostgresOptions) =>
    Layer.effect(
      EmbeddedPostgres,
      Effect.gen(function* () {
        const binaries = yield* PostgresBinaries
        const home = yield* chooseHome(options, binaries.account)
        const ownerFile = Path.join(home.dataDir, "postgres.owner")
        if (options.leased?.over !== undefined && options.leased.over !== thisHost)
          forget(ownerFile, options.leased.over)
        const isTakenOver = yield* acquire(ownerFile, home.dataDir)
        yield* releaseCluster(home, isTakenOver, options.leased)
        const programs = yield* binaries.prepare(home.account, home.dataDir)
        const password = yield* initialise(home, programs, options.settings?.["fsync"] !== "off")
        const { child, ended, port } = yield* start(home, programs, options)
        const address = (database: string) =>
          Redacted.make(`postgres://postgres:${password}@127.0.0.1:${port}/${database}`)
        yield* createDatabase(address("postgres"))
        return EmbeddedPostgres.of({
          url: address("kalshi"),
          port,
          dataDir: home.dataDir,
          pid: child.pid!,
          ended: Deferred.await(ended)
        })
      })
    )

  static readonly layer = (options: EmbeddedPostgresOptions) =>
    this.layerNoDeps(options).pipe(Layer.provide(PostgresBinaries.layer))
}

const createDatabase = Effect.fnUntraced(
  function* (url: Redacted.Redacted<string>) {
    const sql = yield* PgClient.makeClient({ url })
    const existing = yield* sql`select 1 from pg_database where datname = 'kalshi'`
    if (existing.length === 0) yield* sql`create database kalshi`
  },
  Effect.scoped,
  Effect.provide(Reactivity.layer),
  Effect.mapError((error) =>
    wrongFolder(
      `the database server started, but the password kept beside it is refused or the server is not usable (${sqlProblem(error)})`,
      "see postgres.log in that folder"
    )
  )
)

const major = "18"

const honestSettings = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "100",
  shared_buffers: "256MB",
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  max_wal_size: "2GB",
  min_wal_size: "128MB",
  checkpoint_timeout: "15min",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
  log_checkpoints: "off",
  random_page_cost: "1.1"
}

const chooseHome = Effect.fnUntraced(function* (options: EmbeddedPostgresOptions, account: Account | undefined) {
  const first = yield* Effect.result(openHome(options.dataDir, account))
  if (first._tag === "Success") return first.success
  if (options.fallbackDataDir === undefined) return yield* first.failure
  const fallback = yield* openHome(options.fallbackDataDir, account)
  if (statSync(fallback.dataDir).uid !== (process.getuid?.() ?? 0)) return yield* first.failure
  yield* Effect.logWarning("keeping the database in another folder", {
    folder: fallback.dataDir,
    because: first.failure.message
  })
  return fallback
})

const openHome = Effect.fnUntraced(function* (directory: string, account: Account | undefined) {
  const wanted = Path.resolve(directory)
  const dataDir = yield* Effect.try({
    try: () => {
      if (mkdirSync(wanted, { recursive: true, mode: 0o700 }) !== undefined && account !== undefined) {
        chmodSync(wanted, 0o711)
      }
      return realpathSync(wanted)
    },
    catch: () => wrongFolder(`${wanted} cannot be made or read`, "choose a folder that we can write")
  })
  const us = process.getuid?.() ?? 0
  const cluster = Path.join(dataDir, "postgres")
  const owner = existsSync(cluster) ? statSync(cluster).uid : undefined
  if (us !== 0 && owner !== undefined && owner !== us) {
    return yield* wrongFolder(
      `the database in ${cluster} belongs to user number ${owner}`,
      "run as that user, or choose another folder"
    )
  }
  const user =
    account !== undefined && owner !== undefined && owner !== 0 && owner !== account.uid
      ? { name: `number ${owner}`, uid: owner, gid: statSync(cluster).gid }
      : account
  if (user !== undefined) {
    const entered = yield* runAs(user, "/bin/sh", ["-c", 'cd "$0"', dataDir])
    if (entered.code !== 0) {
      return yield* wrongFolder(
        `${dataDir} cannot be entered by user ${user.name}, who runs the database because we are root`,
        "choose a folder that every user can enter (chmod o+x on it and those above), run as another user, or set DATABASE_URL"
      )
    }
  }
  return { dataDir, cluster, account: user } satisfies Home
})

/** Makes the cluster when there is none (in a folder aside, renamed when complete). Succeeds with the superuser's password. */
const initialise = Effect.fnUntraced(function* (home: Home, programs: string, isDurable: boolean) {
  const passwordFile = Path.join(home.dataDir, "postgres-password")
  const version = readText(Path.join(home.cluster, "PG_VERSION"))?.trim()
  const known = readText(passwordFile)?.trim()
  if (version !== undefined) {
    if (version !== major) {
      return yield* wrongFolder(
        `the database in ${home.cluster} was made by PostgreSQL ${version}, this is ${major}`,
        "choose another folder, or bring it over with pg_dump"
      )
    }
    if (known === undefined || known === "") {
      return yield* wrongFolder(
        `${passwordFile}, the password of the database in ${home.cluster}, is missing`,
        "put the file back, or choose another folder"
      )
    }
    return known
  }
  if (existsSync(home.cluster)) {
    return yield* wrongFolder(
      `${home.cluster} exists but holds no database`,
      "remove that folder, or choose another one"
    )
  }
  yield* Effect.logInfo("making a new database", { folder: home.cluster })
  const password = randomBytes(24).toString("hex")
  const draft = Path.join(home.dataDir, "postgres.new")
  const draftPassword = Path.join(home.dataDir, "postgres-password.new")
  const give = (path: string) => {
    if (home.account !== undefined) chownSync(path, home.account.uid, home.account.gid)
  }
  rmSync(draft, { recursive: true, force: true })
  rmSync(draftPassword, { force: true })
  mkdirSync(draft, { mode: 0o700 })
  give(draft)
  writeFileSync(draftPassword, `${password}\n`, { mode: 0o600, flag: "wx" })
  give(draftPassword)
  const made = yield* runAs(home.account, Path.join(programs, "initdb"), [
    `--pgdata=${draft}`,
    "--username=postgres",
    "--auth=scram-sha-256",
    `--pwfile=${draftPassword}`,
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--set=timezone=UTC",
    "--set=log_timezone=UTC",
    "--no-instructions",
    ...(isDurable ? [] : ["--no-sync"])
  ]).pipe(Effect.ensuring(Effect.sync(() => rmSync(draftPassword, { force: true }))))
  if (made.code !== 0) {
    return yield* wrongFolder(
      `initdb could not make a database in ${draft} (${firstComplaint(made.output)})`,
      "mend that, choose another folder, or set DATABASE_URL"
    )
  }
  rmSync(passwordFile, { force: true })
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  renameSync(draft, home.cluster)
  return password
})

const firstComplaint = (output: string) => {
  const lines = output.split("\n").filter((line) => line.trim() !== "")
  const complaint = lines.findLast((line) => /FATAL|PANIC|error/i.test(line)) ?? lines.at(-1)
  return complaint === undefined ? "no reason given" : complaint.replace(/^.*?(FATAL|PANIC|error):\s*/i, "").trim()
}

interface Server {
  readonly child: ChildProcess
  readonly ended: Deferred.Deferred<void>
  readonly port: number
}

/** Stops the server when this process ends before it: the shell's standard input ends then. */
const stopWithUs = (pid: number, home: Home) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const script = 'read -r _; [ "$(readlink "/proc/$0/cwd")" = "$1" ] && kill -INT "$0"'
      const guard = spawn("/bin/sh", ["-c", script, String(pid), home.cluster], {
        ...identity(home.account),
        cwd: "/",
        detached: true,
        stdio: ["pipe", "ignore", "ignore"]
      })
      guard.unref()
      return guard
    }),
    (guard) => Effect.sync(() => guard.kill("SIGKILL"))
  )

const start = Effect.fnUntraced(function* (home: Home, programs: string, options: EmbeddedPostgresOptions) {
  const settings = options.settings ?? {}
  const portFile = Path.join(home.dataDir, "postgres-port")
  const recorded = options.port ?? Number(readText(portFile) ?? 0)
  const logFile = Path.join(home.dataDir, "postgres.log")
  if (existsSync(logFile) && statSync(logFile).size > 16 * 1024 * 1024) renameSync(logFile, `${logFile}.old`)

  const server = yield* Effect.acquireRelease(
    Effect.gen(function* () {
      const port = (yield* freePort(recorded)) ?? (yield* freePort(0)) ?? 0
      const ended = yield* Deferred.make<void>()
      writeFileSync(Path.join(home.cluster, "postmaster.host"), `${thisHost}\n`)
      const logStart = existsSync(logFile) ? statSync(logFile).size : 0
      const log = openSync(logFile, "a", 0o600)
      const child = spawn(
        Path.join(programs, "postgres"),
        [
          "-D",
          home.cluster,
          "-p",
          String(port),
          ...Object.entries({ ...honestSettings, ...settings }).flatMap(([name, value]) => ["-c", `${name}=${value}`])
        ],
        { ...identity(home.account), cwd: home.cluster, detached: true, stdio: ["ignore", log, log] }
      )
      closeSync(log)
      child.once("error", () => Deferred.doneUnsafe(ended, Effect.void))
      child.once("exit", () => Deferred.doneUnsafe(ended, Effect.void))
      child.unref()
      return { child, ended, port, logStart } satisfies Server & { readonly logStart: number }
    }),
    ({ child, ended }) =>
      Effect.gen(function* () {
        if (child.pid === undefined || (yield* Deferred.isDone(ended))) return
        yield* stop(child.pid, home)
        rmSync(Path.join(home.cluster, "postmaster.host"), { force: true })
      })
  )

  const isReady = () => readText(Path.join(home.cluster, "postmaster.pid"))?.split("\n")[7]?.trim() === "ready"
  const failed = Deferred.await(server.ended).pipe(
    Effect.flatMap(() =>
      Effect.fail(
        wrongFolder(
          `the database server in ${home.cluster} did not start (${firstComplaint((readText(logFile) ?? "").slice(server.logStart))})`,
          `see ${logFile}`
        )
      )
    )
  )
  if (options.leased !== undefined && server.child.pid !== undefined) yield* stopWithUs(server.child.pid, home)
  yield* Effect.raceFirst(poll(isReady), failed)
  writeFileSync(portFile, `${server.port}\n`)
  return server satisfies Server
})

/** The port when nothing listens on it (a free one for 0), else undefined. */
const freePort = (port: number): Effect.Effect<number | undefined> =>
  Effect.callback((resume) => {
    const probe = createServer()
    probe.once("error", () => resume(Effect.undefined))
    probe.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      const address = probe.address()
      const found = typeof address === "object" && address !== null ? address.port : undefined
      probe.close(() => resume(Effect.succeed(found)))
    })
  })
