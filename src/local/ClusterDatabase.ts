import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import * as ClientSessions from "../store/ClientSessions.ts"
import { BatchJob, DataLease } from "../store/DataLease.ts"
import { EmbeddedPostgres } from "../store/EmbeddedPostgres.ts"
import { isAlive, readText, thisHost } from "../store/OwnerLock.ts"
import { isListening } from "../store/PostgresRemains.ts"
import { ofScript, settings } from "./ClusterConfig.ts"
import * as ConnectionFile from "./ConnectionFile.ts"
import * as LeftJournals from "./LeftJournals.ts"

class ServerEnded extends Schema.TaggedError<ServerEnded>()("ServerEnded", {}) {
  override get message(): string {
    return "the database server ended"
  }
}

const patience = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("15 seconds")])

const loopback = "127.0.0.1"

/** A folder of the Python original is a PostgreSQL cluster itself; ours holds one. */
const refuseForeign = Effect.fnUntraced(function* (dataHost: string) {
  if (fs.existsSync(path.join(dataHost, "PG_VERSION")))
    return yield* new SettingError({
      setting: "PGDATA_HOST",
      problem: `${dataHost} is itself a PostgreSQL cluster, as the Python original kept it`,
      fix: "name another folder, and bring the old data over as docs/import.md says"
    })
})

/** The lease of PGDATA_HOST for as long as the scope lives. */
const Lease = Layer.unwrap(
  Effect.gen(function* () {
    const { beat, dataHost, fence, gone, take } = yield* Setting.read(settings)
    const { cluster, jobId, liveJobs, restart } = yield* Setting.read(ofScript)
    yield* refuseForeign(dataHost)
    if (take < 2 * fence)
      return yield* new SettingError({
        setting: "LEASE_TAKE_SECONDS",
        problem: `${take} is less than twice LEASE_FENCE_SECONDS, ${fence}`,
        fix: `set it to ${2 * fence} or more`
      })
    if (fence < 3 * beat)
      return yield* new SettingError({
        setting: "LEASE_FENCE_SECONDS",
        problem: `${fence} is less than three times LEASE_BEAT_SECONDS, ${beat}`,
        fix: `set it to ${Math.ceil(3 * beat)} or more`
      })
    return DataLease.layer({
      directory: dataHost,
      timing: { beatMillis: beat * 1000, fenceMillis: fence * 1000, takeMillis: take * 1000 },
      job: jobId === undefined ? undefined : new BatchJob({ cluster, id: jobId, restart }),
      liveJobs: liveJobs === undefined ? undefined : new Set(liveJobs.split(/\s+/)),
      gone
    })
  })
)

/** Other nodes are let in by a pg_hba.conf of ours; without it only this node is. */
const access = Effect.fnUntraced(function* (dataHost: string) {
  const { allow, listen } = yield* Setting.read(settings)
  if (listen === loopback) return {}
  const file = path.join(fs.realpathSync(dataHost), "pg_hba.conf")
  fs.writeFileSync(
    file,
    ["127.0.0.1/32", ...allow.split(",")].map((who) => `host all all ${who.trim()} scram-sha-256\n`).join(""),
    {
      mode: 0o644
    }
  )
  return { hba_file: file }
})

const signal = (pid: number, name: "SIGQUIT" | "SIGKILL") => Effect.ignore(Effect.try(() => process.kill(pid, name)))

/** Lost: the server must not write any more, and a clean end would take too long. */
const fence = (pid: number) =>
  signal(pid, "SIGQUIT").pipe(
    Effect.andThen(
      Effect.sync(() => isAlive(pid)).pipe(
        Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (alive) => !alive }),
        Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => signal(pid, "SIGKILL") })
      )
    )
  )

const announced = Effect.fnUntraced(function* (url: Redacted.Redacted<string>, dataHost: string) {
  const { listen } = yield* Setting.read(settings)
  const { run } = yield* Setting.read(ofScript)
  const address = new URL(Redacted.value(url))
  if (listen !== loopback) address.hostname = thisHost
  yield* Effect.acquireRelease(
    ConnectionFile.write(dataHost, { url: Redacted.make(address.href), host: thisHost, run }),
    () => ConnectionFile.remove(dataHost, run)
  )
})

const letGo = Effect.fnUntraced(function* (url: Redacted.Redacted<string>) {
  const { drain } = yield* Setting.read(settings)
  const left = yield* ClientSessions.gone(url, `${drain} seconds`)
  if (left > 0) yield* Effect.logWarning("stopping the database although programs still use it", { connections: left })
})

/** Holds PGDATA_HOST and runs the database in it until it is stopped or the lease is lost. */
export const database = Effect.gen(function* () {
  const lease = yield* DataLease
  const { dataHost, fsync, listen, maxConnections, port } = yield* Setting.read(settings)
  yield* LeftJournals.release(lease.over)
  const state = { hasStarted: false }
  const session = Effect.gen(function* () {
    const server = yield* Effect.map(
      Layer.build(
        Layer.fresh(
          EmbeddedPostgres.layer({
            dataDir: dataHost,
            port,
            leased: { over: lease.over?.host },
            settings: {
              listen_addresses: listen,
              max_connections: String(maxConnections),
              ...(fsync ? {} : { fsync: "off" }),
              ...(yield* access(dataHost))
            }
          })
        )
      ),
      (context) => EmbeddedPostgres.pipe(Effect.provideContext(context))
    ).pipe(Effect.flatten)
    yield* Effect.addFinalizer(() => (isAlive(server.pid) ? Effect.ignore(letGo(server.url)) : Effect.void))
    yield* announced(server.url, dataHost)
    state.hasStarted = true
    yield* Effect.logInfo("the database is ready", { host: thisHost, port: server.port, folder: server.dataDir })
    return yield* Effect.raceFirst(
      Effect.andThen(server.ended, Effect.fail(new ServerEnded())),
      Effect.tapError(lease.lost, () => fence(server.pid))
    )
  }).pipe(Effect.scoped)
  return yield* Effect.raceFirst(
    session.pipe(
      Effect.tapError((error) => Effect.logError("the database ended", { reason: error.message })),
      Effect.retry({
        schedule: patience,
        while: (error) => error._tag === "ServerEnded" || (error._tag === "SettingError" && state.hasStarted)
      })
    ),
    // Between two servers, too, the lease may be lost.
    Effect.andThen(Effect.sleep("10 seconds"), lease.lost)
  )
}).pipe(Effect.provide(Lease))

/** Holds PGDATA_HOST for a server that a script runs in it, and announces that server once it answers. */
export const lease = Effect.gen(function* () {
  const held = yield* DataLease
  const { dataHost, port } = yield* Setting.read(settings)
  const { runDirectory } = yield* Setting.read(ofScript)
  yield* LeftJournals.release(held.over)
  const passwordFile = path.join(dataHost, "postgres-password")
  if (readText(passwordFile) === undefined && !fs.existsSync(path.join(dataHost, "postgres")))
    fs.writeFileSync(passwordFile, `${randomBytes(24).toString("hex")}\n`, { mode: 0o600 })
  const password = (readText(passwordFile) ?? "").trim()
  const url = (name: string) => Redacted.make(`postgres://postgres:${password}@${loopback}:${port}/${name}`)
  const serverEnds = isListening(port).pipe(
    Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: (listens) => !listens }),
    Effect.timeoutOrElse({ duration: "60 seconds", orElse: () => held.keep }),
    Effect.ignore
  )
  if (runDirectory !== undefined) fs.writeFileSync(path.join(runDirectory, "lease.held"), "")
  const announce = Effect.gen(function* () {
    yield* ClientSessions.ensureDatabase(url("postgres"), "kalshi").pipe(
      Effect.retry({ schedule: Schedule.spaced("250 millis") })
    )
    yield* announced(url("kalshi"), dataHost)
    yield* Effect.logInfo("the database is ready", { host: thisHost, port, folder: dataHost })
    return yield* Effect.never
  }).pipe(Effect.scoped)
  // Told to stop, it outlives the server that it protects; lost, it ends at once, which stops the server.
  return yield* Effect.raceFirst(announce, held.lost).pipe(Effect.onInterrupt(() => serverEnds))
}).pipe(Effect.provide(Lease))

/** Before the database of PGDATA_HOST is stopped. */
export const checkpoint = Effect.gen(function* () {
  const { dataHost } = yield* Setting.read(settings)
  const found = ConnectionFile.read(dataHost)
  if (found === undefined)
    return yield* new SettingError({
      setting: "PGDATA_HOST",
      problem: `no job runs a database in ${dataHost}`,
      fix: "start one first"
    })
  yield* ClientSessions.checkpoint(yield* Effect.fromResult(ConnectionFile.urlHere(found)))
})
