import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as IngestConfig from "../ingest/IngestConfig.ts"
import * as PredictionConfig from "../prediction/PredictionConfig.ts"
import type { RoleName } from "../runtime/Access.ts"
import * as Environment from "../runtime/Environment.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { version } from "../runtime/Version.ts"
import { Database } from "../store/Database.ts"
import { DatabaseRoles, type Login } from "../store/DatabaseRoles.ts"
import { Migrations } from "../store/Migrations.ts"
import { readText } from "../store/OwnerLock.ts"
import { Children, type ChildSpec } from "./Children.ts"
import { type Mode, ofScript, settings } from "./ClusterConfig.ts"
import * as ConnectionFile from "./ConnectionFile.ts"
import * as RolePasswords from "./RolePasswords.ts"

const chosen = {
  dataHost: settings.dataHost,
  mode: settings.mode,
  workers: settings.workers,
  portal: settings.portal,
  applyRoles: settings.applyRoles,
  live: IngestConfig.capture.enable,
  shardCount: IngestConfig.sharding.shardCount,
  predict: PredictionConfig.schedule.enable
}
type Chosen = Setting.Values<typeof chosen>

type Spec = Omit<ChildSpec, "program" | "env"> & {
  readonly program: RoleName
  readonly env: Record<string, string>
}

/** The programs that a job of this mode runs; the one that must not miss anything first. */
export const programsOf = (chosen: Omit<Chosen, "dataHost" | "applyRoles">): ReadonlyArray<Spec> => {
  const { live, mode, portal, predict, shardCount, workers } = chosen
  const has = (...modes: ReadonlyArray<Mode>) => modes.includes(mode)
  const shards = shardCount ?? 1
  const spec = (program: RoleName, label: string, env: Record<string, string> = {}): Spec => ({ program, label, env })
  return [
    ...(live && has("all", "ws-worker", "ws")
      ? Array.from({ length: shards }, (_, shard) =>
          spec(
            "ws",
            shards === 1 ? "ws" : `ws-${shard}`,
            shardCount === undefined ? {} : { WS_SHARD_ID: String(shard) }
          )
        )
      : []),
    ...(has("all", "rest") ? [spec("rest", "rest", workers > 0 ? { WORK_QUEUE_ENABLE: "1" } : {})] : []),
    ...(has("all", "ws-worker", "worker")
      ? Array.from({ length: mode === "worker" ? Math.max(1, workers) : workers }, (_, n) =>
          spec("worker", `worker-${n + 1}`)
        )
      : []),
    ...((predict && has("all")) || has("predictor")
      ? [spec("predictor", "predictor", { PREDICTION_ENABLE: "1" })]
      : []),
    ...(portal && has("all") ? [spec("portal", "portal")] : [])
  ]
}

const rolesFile = fileURLToPath(new URL("../../sql/roles.sql", import.meta.url))

/** What the process that runs the database said last, once it has ended. */
const databaseEnd = (runDirectory: string | undefined) => {
  if (runDirectory === undefined || !fs.existsSync(path.join(runDirectory, "database.exit"))) return undefined
  const said = (readText(path.join(runDirectory, "database.log")) ?? "").trim().split("\n").at(-1)
  return new SettingError({
    setting: "PGDATA_HOST",
    problem: "the process that runs the database ended",
    fix: said === undefined || said === "" ? "see database.log" : `it said: ${said}`
  })
}

/** The connection of this start's database. */
const ownConnection = Effect.gen(function* () {
  const { dataHost } = yield* Setting.read(chosen)
  const { run, runDirectory } = yield* Setting.read(ofScript)
  return yield* Effect.gen(function* () {
    const ended = databaseEnd(runDirectory)
    if (ended !== undefined) return yield* ended
    return ConnectionFile.read(dataHost)
  }).pipe(
    Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (found) => found?.run === run }),
    Effect.map((found) => found!)
  )
})

/** Portal secrets that the user did not set live beside the database: a restart keeps sessions and password. */
const portalSecrets = Effect.fnUntraced(function* (dataHost: string) {
  const file = path.join(dataHost, "portal.env")
  const known = yield* Setting.read({
    password: Setting.secret("WEB_PORTAL_PASSWORD", ""),
    key: Setting.secret("WEB_PORTAL_SECRET_KEY", "")
  })
  if (readText(file) === undefined)
    fs.writeFileSync(
      file,
      `WEB_PORTAL_PASSWORD=${randomBytes(9).toString("base64url")}\nWEB_PORTAL_SECRET_KEY=${randomBytes(32).toString("hex")}\n`,
      { mode: 0o600 }
    )
  const kept = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(readText(file) ?? "")?.[1] ?? ""
  return {
    ...(known.password === undefined ? { WEB_PORTAL_PASSWORD: kept("WEB_PORTAL_PASSWORD") } : {}),
    ...(known.key === undefined ? { WEB_PORTAL_SECRET_KEY: kept("WEB_PORTAL_SECRET_KEY") } : {})
  }
})

/** What `ws` takes to start, and a little more. */
const headStart = "4 seconds"

const startAll = Effect.fnUntraced(function* (
  url: Redacted.Redacted<string>,
  all: Chosen,
  users: ReadonlyMap<RoleName, Login>,
  specs: ReadonlyArray<Spec> = programsOf(all)
) {
  const children = yield* Children
  const portalEnv: Record<string, string> = all.portal ? yield* portalSecrets(all.dataHost) : {}
  for (const spec of specs) {
    const env = {
      ...spec.env,
      ...(spec.program === "portal" ? portalEnv : {}),
      DATABASE_URL: Redacted.value(RolePasswords.addressOf(url, spec.program, users)),
      SERVICE_ROLE: spec.program,
      SERVICE_ENV_GUARDRAILS: "enforce"
    }
    yield* children.supervise({ ...spec, env: yield* Environment.ofChild(spec.program, env, true) })
  }
  if (specs.length > 0)
    yield* Effect.logInfo("started", { programs: specs.map(({ label, program }) => label ?? program).join(", ") })
  if (programsOf(all).length === 0)
    yield* Effect.logWarning("nothing is to be run: see INGESTOR_MODE and KALSHI_WS_ENABLE")
})

const logDirectory = Effect.gen(function* () {
  const { dataHost } = yield* Setting.read(chosen)
  const { jobId } = yield* Setting.read(ofScript)
  return path.join(dataHost, "logs", jobId === undefined ? "" : `job-${jobId}`)
})

const withChildren = Layer.unwrap(Effect.map(logDirectory, (directory) => Children.layer({ logDirectory: directory })))

/** Applies what is pending, and the grants when they are not those of the last time. Succeeds with the users of the programs. */
const upToDate = Effect.fnUntraced(function* ({ applyRoles, dataHost }: Chosen) {
  const applied = yield* Migrations.use((migrations) => migrations.run).pipe(
    Effect.catchTag("MigrationError", ({ file, problem }) =>
      Effect.fail(new SettingError({ setting: file, problem, fix: "the database was left as it was" }))
    ),
    Effect.provide(Migrations.layer)
  )
  yield* Effect.logInfo("the database is up to date", { applied: applied.length })
  if (applyRoles === "0") return new Map<RoleName, Login>()
  const users = yield* RolePasswords.make(dataHost)
  const grants = `${version}\n${[...users.keys()].join()}\n${readText(rolesFile) ?? ""}`
  if (applied.length > 0 || !RolePasswords.isApplied(dataHost, grants)) {
    yield* DatabaseRoles.use((roles) => roles.apply(users)).pipe(Effect.provide(DatabaseRoles.layer))
    yield* RolePasswords.noteApplied(dataHost, grants)
  }
  return users
})

/** Waits for the database of this start, brings it up to date, and keeps the programs of INGESTOR_MODE running until it is stopped. */
export const programs = Effect.gen(function* () {
  const all = yield* Setting.read(chosen)
  const { runDirectory } = yield* Setting.read(ofScript)
  const url = yield* Effect.fromResult(ConnectionFile.urlHere(yield* ownConnection))
  const users = yield* upToDate(all).pipe(
    Effect.provide(Database.layerFrom({ url, applicationName: "kalshi-ingestor cluster", maxConnections: 1 }))
  )
  const isCapture = ({ program }: Spec) => program === "ws"
  yield* startAll(url, all, users, programsOf(all).filter(isCapture))
  // Capture starts first and, as these have children of their own, stops last.
  return yield* startAll(
    url,
    all,
    users,
    programsOf(all).filter((spec) => !isCapture(spec))
  ).pipe(
    Effect.andThen(
      Effect.sync(() => databaseEnd(runDirectory)).pipe(
        Effect.repeat({ schedule: Schedule.spaced("1 second"), until: (ended) => ended !== undefined })
      )
    ),
    Effect.flatMap((ended) => Effect.fail(ended!)),
    Effect.provide(Layer.fresh(withChildren))
  )
}).pipe(Effect.provide(withChildren))

/** Keeps workers or a predictor running on the database of another job, and follows it when it moves to another node. */
export const guests = Effect.gen(function* () {
  const all = yield* Setting.read(chosen)
  if (all.mode !== "worker" && all.mode !== "predictor")
    return yield* new SettingError({
      setting: "INGESTOR_MODE",
      problem: `${all.mode} needs the database's own job`,
      fix: "set it to worker or predictor here"
    })
  const found = Effect.sync(() => ConnectionFile.read(all.dataHost))
  const session = Effect.gen(function* () {
    const first = yield* found
    if (first === undefined)
      yield* Effect.logInfo("waiting for the job that runs the database", { folder: all.dataHost })
    const connection = (yield* found.pipe(
      Effect.repeat({ schedule: Schedule.spaced("1 second"), until: (one) => one !== undefined })
    ))!
    const url = yield* Effect.fromResult(ConnectionFile.urlHere(connection))
    yield* Effect.sleep(headStart)
    yield* startAll(url, all, RolePasswords.known(all.dataHost)).pipe(
      Effect.andThen(
        found.pipe(
          Effect.repeat({
            schedule: Schedule.spaced("2 seconds"),
            until: (one) => one?.run !== connection.run || Redacted.value(one.url) !== Redacted.value(connection.url)
          })
        )
      ),
      Effect.provide(Layer.fresh(withChildren))
    )
    yield* Effect.logInfo("the database is on the move: the programs stop until it is there again")
  })
  return yield* Effect.forever(session)
})
