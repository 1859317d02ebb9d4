import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { EmbeddedPostgres } from "./EmbeddedPostgres.ts"
import { complaintOf, sqlProblem } from "./SqlProblem.ts"

/** What every program that uses the database reads from the environment. */
export const databaseSettings = {
  url: Setting.secret(
    "DATABASE_URL",
    "PostgreSQL 15 or newer, postgres://user:password@host:5432/database. Unset: `npm run demo`, `npm start` and the migrator start a server of their own in DATA_DIR."
  ),
  dataDir: Setting.textOr(
    "DATA_DIR",
    "Where this machine keeps its own files: journals, and the embedded database.",
    ".data"
  ),
  pool: Setting.int("PG_POOL", "Most connections that one program opens to the database.", 8, { min: 1, max: 500 })
}

export interface DatabaseOptions {
  /** Shown by the server in `pg_stat_activity`. */
  readonly applicationName: string
  /** Share connections among small statements (faster reads; such statements cannot be interrupted). Default false. */
  readonly multiplex?: boolean | undefined
  /** Kept open while idle. Default 0. */
  readonly minConnections?: number | undefined
}

export interface ConnectOptions extends DatabaseOptions {
  readonly url: Redacted.Redacted<string>
  readonly maxConnections: number
  /** What the user set it by; DATABASE_URL by default. */
  readonly setting?: string
  /** Lowest version of the server, 15 by default. */
  readonly oldestVersion?: number
  /** How long the server may take to answer; 2 by default. */
  readonly connectSeconds?: number
  /** Session settings beside the time zone. */
  readonly startupParameters?: Readonly<Record<string, string>>
}

/** The database of this process, checked: its layers provide `PgClient` and `SqlClient` too. */
export class Database extends Context.Service<
  Database,
  {
    /** Holds the password: for child processes, never for a log. */
    readonly url: Redacted.Redacted<string>
    /** `host:port/database`, fit for a log. */
    readonly address: string
    /** As `server_version_num`: 150004, 180004. */
    readonly serverVersion: number
  }
>()("kalshi-ingestor/store/Database") {
  /** The server at `url`. Fails within 2 s when it cannot be used. */
  static readonly layerFrom = (options: ConnectOptions) =>
    Layer.effectContext(connect(options)).pipe(Layer.provide(Reactivity.layer))

  /** The server at DATABASE_URL; it must be set. */
  static readonly layerUrl = (options: DatabaseOptions & { readonly maxConnections?: number | undefined }) =>
    Layer.unwrap(
      Effect.gen(function* () {
        const { url, pool } = yield* Setting.read({ url: urlRequired, pool: databaseSettings.pool })
        return Database.layerFrom({ ...options, url, maxConnections: options.maxConnections ?? pool })
      })
    )

  /**
   * The server at DATABASE_URL, or, when that is unset, a server of our own in DATA_DIR that ends with this layer. Only for
   * programs that may own a server.
   */
  static readonly layerEmbeddedOrUrl = (options: DatabaseOptions & { readonly fallbackDataDir?: string | undefined }) =>
    Layer.unwrap(
      Effect.gen(function* () {
        const { dataDir, pool, url } = yield* Setting.read(databaseSettings)
        if (url !== undefined) return Database.layerFrom({ ...options, url, maxConnections: pool })
        return Layer.unwrap(
          EmbeddedPostgres.use((server) =>
            Effect.succeed(Database.layerFrom({ ...options, url: server.url, maxConnections: pool }))
          )
        ).pipe(Layer.provide(EmbeddedPostgres.layer({ dataDir, fallbackDataDir: options.fallbackDataDir })))
      })
    )
}

const example = "set it to postgres://user:password@host:5432/database"
const urlRequired = Setting.required(
  databaseSettings.url,
  `${example}, PostgreSQL 15 or newer (npm run demo needs none)`
)

const mistakeOf = (setting: string) => (problem: string, fix: string) => new SettingError({ setting, problem, fix })
type Mistake = ReturnType<typeof mistakeOf>

/** A checked connection to a server: what `Database.layerFrom` makes, without its layer. */
export const connect = Effect.fnUntraced(function* (options: ConnectOptions) {
  const wrong = mistakeOf(options.setting ?? "DATABASE_URL")
  const target = yield* describe(options.url, wrong)
  const seconds = options.connectSeconds ?? 2
  const client = yield* PgClient.make({
    url: options.url,
    applicationName: options.applicationName,
    maxConnections: options.maxConnections,
    minConnections: Math.min(options.minConnections ?? 0, options.maxConnections),
    multiplex: options.multiplex ?? false,
    connectTimeout: Duration.seconds(seconds),
    startupParameters: { ...options.startupParameters, timezone: "UTC" }
  }).pipe(Effect.mapError((error) => refusal(error, target, wrong, seconds)))
  const serverVersion = yield* client<{ readonly version: number }>`
    select current_setting('server_version_num')::int as version`.pipe(
    Effect.map((rows) => rows[0]?.version ?? 0),
    Effect.mapError((error) => refusal(error, target, wrong, seconds)),
    Effect.timeoutOrElse({
      duration: Duration.seconds(seconds),
      orElse: () => Effect.fail(silence(target, wrong, seconds))
    })
  )
  const oldest = options.oldestVersion ?? 15
  if (serverVersion < oldest * 10_000) {
    return yield* wrong(
      `${target.address} is PostgreSQL ${Math.floor(serverVersion / 10000)}`,
      `use a server of version ${oldest} or newer`
    )
  }
  return Context.make(PgClient.PgClient, client).pipe(
    Context.add(SqlClient.SqlClient, client),
    Context.add(Database, { url: options.url, address: target.address, serverVersion })
  )
})

interface Target {
  readonly address: string
  readonly user: string
  readonly database: string
}

const describe = Effect.fnUntraced(function* (secret: Redacted.Redacted<string>, wrong: Mistake) {
  const text = Redacted.value(secret)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol)) {
    return yield* wrong("it is not a postgres:// address", example)
  }
  const decoded = Result.try(() => ({
    user: decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)) || decodeURIComponent(url.username),
    password: decodeURIComponent(url.password)
  }))
  if (Result.isFailure(decoded)) {
    return yield* wrong("it holds a % that starts no percent-encoding", "write % in a user or password as %25")
  }
  const { database, user } = decoded.success
  const address = `${url.hostname || url.searchParams.get("host") || "localhost"}:${url.port || "5432"}/${database}`
  return { address, user, database } satisfies Target
})

const silence = (target: Target, wrong: Mistake, seconds: number) =>
  wrong(
    `${target.address} did not answer within ${seconds} s`,
    "check host and port, and that a firewall lets us through"
  )

const refusal = (error: SqlError, target: Target, wrong: Mistake, seconds: number): SettingError => {
  const { code } = complaintOf(error)
  const problem = sqlProblem(error)
  switch (code) {
    case "ECONNREFUSED":
    case "ENOENT":
      return wrong(`${target.address} refused the connection`, "start the server there, or correct host and port")
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return wrong(`${target.address} has a host name that is not known here`, "correct the host")
    case "28P01":
    case "28000":
      return wrong(
        `${target.address} refused user "${target.user}" (${problem})`,
        "correct user and password (percent-encode : / @ # % in them)"
      )
    case "3D000":
      return wrong(`${target.address}: database "${target.database}" does not exist`, "create it, or correct the name")
    case "53300":
      return wrong(
        `${target.address} has no connection left for us (${problem})`,
        "lower PG_POOL, or raise max_connections there"
      )
    case "57P03":
      return wrong(`${target.address} is not ready yet (${problem})`, "try again when it has started")
  }
  if (/timed out/i.test(problem)) return silence(target, wrong, seconds)
  return wrong(`${target.address} cannot be used (${problem})`, "correct the address or the server")
}
