import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { SqlError } from "effect/sql/SqlError"
import * as Setting from "../runtime/Setting.ts"
import * as Grants from "./Grants.ts"
import { Blocked, patiently } from "./LockPatience.ts"
import { Partitions } from "./Partitions.ts"
import { locking } from "./SchemaSettings.ts"
import { asOneStatement } from "./SqlFile.ts"
import { complaintOf, sqlProblem } from "./SqlProblem.ts"
import { transaction } from "./Transaction.ts"

export interface Migration {
  readonly version: number
  /** The file's name, `0001_catalog.sql`. */
  readonly file: string
}

/** A migration that cannot be applied, or a database that does not fit the files. The message names the file. */
export class MigrationError extends Schema.TaggedError<MigrationError>()("MigrationError", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.file}: ${this.problem}`
  }
}

/** The database's schema and the files', by the numbers of their last ones; 0: none. */
export interface SchemaState {
  readonly database: number
  readonly files: number
  readonly pending: ReadonlyArray<Migration>
}

/**
 * The numbered files of `sql/`, applied in order, all in one transaction, by one process at a time. What else uses the database goes on
 * meanwhile: an attempt that does not get a lock soon is given up and repeated later.
 */
export class Migrations extends Context.Service<
  Migrations,
  {
    /** Applies what is pending, then makes today's partitions. Succeeds with what it applied. */
    readonly run: Effect.Effect<ReadonlyArray<Migration>, MigrationError>
    /** Applies what is pending up to a version, and makes no partitions: for rows that come from elsewhere. */
    runUpTo(version: number): Effect.Effect<ReadonlyArray<Migration>, MigrationError>
    readonly pending: Effect.Effect<ReadonlyArray<Migration>, MigrationError>
    /** The number of the last file. */
    readonly newest: Effect.Effect<number, MigrationError>
    /** Accepts a database that is newer than the files, up to this version. */
    state(newest: number): Effect.Effect<SchemaState, MigrationError>
  }
>()("kalshi-ingestor/store/Migrations") {
  static readonly layerNoDeps = (directory: string) =>
    Layer.effect(
      Migrations,
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const partitions = yield* Partitions
        const patience = yield* Setting.read(locking)

        const compared = Effect.fnUntraced(function* (newest: number) {
          const scripts = yield* readScripts(directory)
          const [found] = yield* sql<{ readonly exists: boolean; readonly ours: boolean }>`
            select to_regclass('schema_version') is not null as exists, exists (
              select from pg_attribute where attrelid = to_regclass('schema_version') and attname = 'checksum') as ours`
          if (found?.exists === true && !found.ours)
            return yield* new MigrationError({ file: "schema_version", problem: foreign })
          const applied = found?.exists
            ? yield* sql<Applied>`select version, file, checksum from schema_version order by version`
            : []
          const database = applied.at(-1)?.version ?? 0
          const files = scripts.at(-1)?.version ?? 0
          yield* verify(
            scripts,
            applied.filter(({ version }) => version <= files || version > newest)
          )
          return { database, files, scripts: scripts.slice(applied.length) }
        })
        const outstanding = Effect.map(compared(0), ({ scripts }) => scripts)

        const apply = Effect.fnUntraced(function* (script: Script) {
          yield* sql
            .unsafe(asOneStatement(script.text))
            .pipe(Effect.mapError((error) => Blocked.from(error, script.file) ?? failure(script, error)))
          yield* sql`
            insert into schema_version (version, file, checksum)
            values (${script.version}, ${script.file}, ${script.checksum})`
        })

        const applyUpTo = Effect.fnUntraced(function* (last: number) {
          yield* sql`select pg_advisory_xact_lock(${lockKey}::bigint)`
          yield* sql`set local lock_timeout = ${sql.literal(String(Math.round(patience.lockSeconds * 1000)))}`
          yield* sql`
            create table if not exists schema_version (
              version integer primary key,
              file text not null,
              checksum text not null,
              applied_at timestamptz not null default clock_timestamp()
            )`
          const scripts = (yield* outstanding).filter(({ version }) => version <= last)
          yield* Effect.forEach(scripts, apply, { discard: true })
          // What is new must be granted before anybody sees it.
          if (yield* Grants.areApplied(sql))
            yield* Grants.apply(sql).pipe(Effect.mapError((error) => Blocked.from(error, "roles.sql") ?? error))
          return scripts.map(identify)
        }, transaction(sql))

        const run = Effect.gen(function* () {
          const applied = yield* patiently(sql, patience, applyUpTo(Number.POSITIVE_INFINITY))
          yield* partitions.ahead(yield* Clock.currentTimeMillis)
          return applied
        }).pipe(Effect.mapError(nameDatabase), Effect.withSpan("Migrations.run"))

        const runUpTo = Effect.fn("Migrations.runUpTo")(
          (version: number) => patiently(sql, patience, applyUpTo(version)),
          Effect.mapError(nameDatabase)
        )

        const pending = outstanding.pipe(
          Effect.map((scripts) => scripts.map(identify)),
          Effect.mapError(nameDatabase),
          Effect.withSpan("Migrations.pending")
        )

        const state = Effect.fn("Migrations.state")(
          (newest: number) =>
            Effect.map(compared(newest), ({ database, files, scripts }) => ({
              database,
              files,
              pending: scripts.map(identify)
            })),
          Effect.mapError(nameDatabase)
        )

        const newest = Effect.map(readScripts(directory), (scripts) => scripts.at(-1)?.version ?? 0)

        return Migrations.of({ run, runUpTo, pending, newest, state })
      })
    )

  /** With the files of this package. */
  static readonly layer = this.layerNoDeps(fileURLToPath(new URL("../../sql", import.meta.url))).pipe(
    Layer.provide(Partitions.layer)
  )

  /** A database that is up to date once this layer is built. */
  static readonly layerApplied = Layer.effectDiscard(Migrations.use((migrations) => migrations.run)).pipe(
    Layer.provide(this.layer)
  )
}

/** Any number, but the same in every process of ours. */
const lockKey = "4915270041"

interface Script extends Migration {
  readonly text: string
  readonly checksum: string
}

interface Applied extends Migration {
  readonly checksum: string
}

const identify = ({ file, version }: Script): Migration => ({ version, file })

const foreign = "is of the Python original"

const nameDatabase = (error: MigrationError | Blocked | SqlError) => {
  if (error._tag === "MigrationError") return error
  return error._tag === "Blocked"
    ? new MigrationError({ file: error.what, problem: error.message })
    : new MigrationError({ file: "schema_version", problem: sqlProblem(error) })
}

const readScripts = Effect.fnUntraced(function* (directory: string) {
  const scripts = yield* Effect.try({
    try: () =>
      readdirSync(directory)
        .filter((file) => /^\d{4}_\w+\.sql$/.test(file))
        .sort()
        .map((file): Script => {
          const text = readFileSync(`${directory}/${file}`, "utf8").replaceAll("\r\n", "\n")
          const checksum = createHash("sha256").update(text).digest("hex")
          return { version: Number(file.slice(0, 4)), file, text, checksum }
        }),
    catch: () => new MigrationError({ file: directory, problem: "cannot be read" })
  })
  const repeated = scripts.find((script, index) => script.version === scripts[index - 1]?.version)
  if (repeated !== undefined) {
    return yield* new MigrationError({ file: repeated.file, problem: `number ${repeated.version} is used twice` })
  }
  return scripts
})

const verify = Effect.fnUntraced(function* (scripts: ReadonlyArray<Script>, applied: ReadonlyArray<Applied>) {
  for (const [index, row] of applied.entries()) {
    const script = scripts[index]
    if (script === undefined || script.version > row.version) {
      return yield* new MigrationError({
        file: row.file,
        problem: "was applied to this database, but these programs do not have it; upgrade them"
      })
    }
    if (script.version < row.version) {
      return yield* new MigrationError({
        file: script.file,
        problem: `was never applied to this database, but ${row.file} after it was; give it the next free number`
      })
    }
    if (script.checksum !== row.checksum) {
      return yield* new MigrationError({
        file: script.file,
        problem: "was edited after it was applied to this database; restore it and write a new file instead"
      })
    }
  }
})

const failure = (script: Script, error: SqlError) => {
  const position = Number(complaintOf(error).internalPosition ?? 0)
  const line = position > 0 ? `line ${Array.from(script.text).slice(0, position).join("").split("\n").length}: ` : ""
  return new MigrationError({ file: script.file, problem: `${line}${sqlProblem(error)}` })
}
