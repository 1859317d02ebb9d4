import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as pg from "pg"
import * as copy from "pg-copy-streams"
import { fromMillis } from "../market/Timestamp.ts"
import { groupOf } from "../runtime/Access.ts"
import { version } from "../runtime/Version.ts"
import { BackupError, type BackupTable, draft, type Manifest, readManifest, readTable } from "./BackupFiles.ts"
import { Database } from "./Database.ts"
import * as Grants from "./Grants.ts"
import { Migrations } from "./Migrations.ts"
import { transaction } from "./Transaction.ts"

export interface TableDone {
  readonly table: string
  readonly rows: number
}

/** `described`: complete, and not yet under its name. `created`: an empty database is beside the old one. `built`: it is complete. */
export type BackupStep = "described" | "created" | "built" | "renamed"

export interface BackupOptions {
  readonly directory: string
  readonly onTable: (done: TableDone) => Effect.Effect<void>
  readonly onStep?: (step: BackupStep) => Effect.Effect<void>
}

export interface RestoreOptions extends BackupOptions {
  /** Also in the place of a database that holds data, which is then gone. */
  readonly force: boolean
}

/** Rows that a new database has of itself. */
const ownRows = new Set(["schema_version", "archive_lake", "event_quotes_refreshed", "portal_sessions", "shard_leases"])

const digestOf = "coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text"

/** How values are written does not depend on the settings of a server. */
const plainSettings =
  "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set extra_float_digits = 3; set statement_timeout = 0; set idle_in_transaction_session_timeout = 0"

const named = pg.escapeIdentifier

const tablesQuery = `
  select c.relname as name, p.relname as parent, pg_get_expr(c.relpartbound, c.oid) as bound,
    array(
      select a.attname::text from pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum) as columns
  from pg_class c
  left join pg_inherits i on i.inhrelid = c.oid
  left join pg_class p on p.oid = i.inhparent
  where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relname <> 'schema_version'
  order by c.relname collate "C"`

const referencesQuery = `
  select f.conrelid::regclass::text as name, f.confrelid::regclass::text as needs
  from pg_constraint f where f.contype = 'f' and f.conrelid <> f.confrelid`

const sequencesQuery = `
  select sequencename as name, coalesce(last_value, start_value)::text as "lastValue", last_value is not null as "isCalled"
  from pg_sequences where schemaname = current_schema() order by sequencename collate "C"`

const complaint = (cause: unknown) => (cause instanceof Error ? cause.message : "the database does not answer")

const client = (url: string) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        const made = new pg.Client({ connectionString: url, application_name: "kalshi-ingestor backup" })
        made.on("error", () => {})
        await made.connect()
        await made.query(plainSettings)
        return made
      },
      catch: (cause) =>
        new BackupError({ problem: complaint(cause), fix: "check DATABASE_URL, and what this user may do" })
    }),
    (made) => Effect.promise(() => made.end().catch(() => {}))
  )

const ask = <A extends pg.QueryResultRow>(on: pg.Client, text: string, values: Array<unknown> = []) =>
  Effect.tryPromise({
    try: async () => (await on.query<A>(text, values)).rows,
    catch: (cause) => new BackupError({ problem: complaint(cause), fix: "mend that and try again" })
  })

const databaseOf = (url: string, name: string): string => {
  const changed = new URL(url)
  changed.pathname = `/${encodeURIComponent(name)}`
  return changed.href
}

/** Those that others refer to come first. */
const inOrder = (
  tables: ReadonlyArray<BackupTable>,
  references: ReadonlyArray<{ readonly name: string; readonly needs: string }>
): ReadonlyArray<BackupTable> => {
  const done = new Set<string>()
  const out: Array<BackupTable> = []
  const byName = new Map(tables.map((table) => [table.name, table]))
  const visit = (table: BackupTable) => {
    if (done.has(table.name)) return
    done.add(table.name)
    for (const { name, needs } of references) {
      const needed = byName.get(needs)
      if ((name === table.name || name === table.parent) && needed !== undefined) visit(needed)
    }
    out.push(table)
  }
  for (const table of tables) visit(table)
  return out
}

/** Whole copies of this process's database: every row as of one instant, fit for any PostgreSQL 15 or newer. */
export class Backups extends Context.Service<
  Backups,
  {
    /** Readers and writers go on meanwhile. */
    create(options: BackupOptions): Effect.Effect<Manifest, BackupError>
    /**
     * Puts a backup in the place of the database, all of it or nothing: it is built and compared beside it, then takes its name. Nobody
     * else may be connected.
     */
    restore(options: RestoreOptions): Effect.Effect<Manifest, BackupError>
  }
>()("kalshi-ingestor/store/Backups") {
  /** It holds no connection of its own: a database that is replaced must have none. */
  static readonly layer = (secret: Redacted.Redacted<string>) =>
    Layer.effect(
      Backups,
      Effect.gen(function* () {
        const url = Redacted.value(secret)
        const { host, pathname } = yield* Effect.try({
          try: () => new URL(url),
          catch: () => new BackupError({ problem: "DATABASE_URL is not a postgres:// address", fix: "correct it" })
        })
        const address = `${host}${pathname}`

        const create = Effect.fn("Backups.create")(function* ({ directory, onStep, onTable }: BackupOptions) {
          const files = yield* draft(directory)
          const on = yield* client(url)
          const createdAt = fromMillis(yield* Clock.currentTimeMillis)
          yield* ask(on, "begin isolation level repeatable read read only")
          const [schema] = yield* ask<{ found: boolean }>(
            on,
            "select to_regclass('schema_version') is not null as found"
          )
          if (schema?.found !== true)
            return yield* new BackupError({ problem: `${address} is no database of ours`, fix: "correct DATABASE_URL" })
          const found = yield* ask<Pick<BackupTable, "name" | "parent" | "bound" | "columns">>(on, tablesQuery)
          yield* ask(on, `lock table ${found.map(({ name }) => named(name)).join(", ")} in access share mode`)
          const [server] = yield* ask<{ version: number }>(
            on,
            "select current_setting('server_version_num')::int as version"
          )
          const migrations = yield* ask<Manifest["schema"][number]>(
            on,
            "select version, file, checksum from schema_version order by version"
          )
          const tables: Array<BackupTable> = []
          for (const table of found) {
            const columns = table.columns.map(named).join(", ")
            const stream = on.query(copy.to(`copy ${named(table.name)} (${columns}) to stdout`))
            const { bytes, sha256 } = yield* files.write(table.name, stream)
            const [sum] = yield* ask<{ rows: string; digest: string }>(
              on,
              `select count(*) as rows, ${digestOf} as digest from ${named(table.name)} t`
            )
            const rows = Number(sum!.rows)
            tables.push({ ...table, rows, digest: sum!.digest, bytes, sha256 })
            yield* onTable({ table: table.name, rows })
          }
          const sequences = yield* ask<Manifest["sequences"][number]>(on, sequencesQuery)
          yield* ask(on, "commit")
          const manifest: Manifest = {
            format: 1,
            createdAt,
            codeVersion: version,
            serverVersion: server!.version,
            database: address,
            schema: migrations,
            tables,
            sequences
          }
          yield* files.describe(manifest)
          yield* onStep?.("described") ?? Effect.void
          yield* files.publish
          return manifest
        }, Effect.scoped)

        const load = Effect.fnUntraced(function* (target: string, manifest: Manifest, options: RestoreOptions) {
          const on = yield* client(target)
          yield* ask(on, "begin")
          const applied = yield* ask<Manifest["schema"][number]>(
            on,
            "select version, file, checksum from schema_version order by version"
          )
          const last = manifest.schema.at(-1)
          if (
            applied.length !== manifest.schema.length ||
            applied.some(({ checksum }, at) => checksum !== manifest.schema[at]?.checksum)
          )
            return yield* new BackupError({
              problem: `the backup's schema, ${last?.file ?? "none"}, is not one that this version can make`,
              fix: `restore it with the version it was made with or a newer one (it was ${manifest.codeVersion})`
            })
          const there = new Set(
            (yield* ask<{ name: string }>(
              on,
              "select relname as name from pg_class where relnamespace = current_schema()::regnamespace and relkind = 'r'"
            )).map(({ name }) => name)
          )
          for (const { bound, name, parent } of manifest.tables) {
            if (there.has(name))
              yield* ask(on, `alter table ${named(name)} disable trigger user; delete from ${named(name)}`)
            else if (parent !== null && bound !== null)
              yield* ask(on, `create table ${named(name)} partition of ${named(parent)} ${bound}`)
            else
              return yield* new BackupError({
                problem: `the backup holds ${name}, which its schema does not have`,
                fix: "a table that we did not make is not restored: move it on its own"
              })
            yield* ask(on, `alter table ${named(name)} disable trigger user`)
          }
          const references = yield* ask<{ name: string; needs: string }>(on, referencesQuery)
          for (const table of inOrder(manifest.tables, references)) {
            const columns = table.columns.map(named).join(", ")
            yield* readTable(
              options.directory,
              table,
              on.query(copy.from(`copy ${named(table.name)} (${columns}) from stdin`))
            )
            yield* ask(on, `alter table ${named(table.name)} enable trigger user`)
            const [sum] = yield* ask<{ rows: string; digest: string }>(
              on,
              `select count(*) as rows, ${digestOf} as digest from ${named(table.name)} t`
            )
            if (Number(sum!.rows) !== table.rows || sum!.digest !== table.digest)
              return yield* new BackupError({
                problem: `${table.name} is not what it was: ${sum!.rows} rows where the backup says ${table.rows}, or other values`,
                fix: "use another backup"
              })
            yield* options.onTable({ table: table.name, rows: table.rows })
          }
          for (const { isCalled, lastValue, name } of manifest.sequences)
            yield* ask(on, "select setval(format('%I', $1::text)::regclass, $2::bigint, $3)", [
              name,
              lastValue,
              isCalled
            ])
          yield* ask(on, "commit")
          yield* ask(on, "analyze")
        }, Effect.scoped)

        const migrated = (
          target: string,
          run: (migrations: Migrations["Service"], sql: PgClient.PgClient) => Effect.Effect<unknown, Error>
        ) =>
          Effect.scoped(
            Effect.gen(function* () {
              const context = yield* Layer.build(
                Layer.fresh(
                  Migrations.layer.pipe(
                    Layer.provideMerge(
                      Database.layerFrom({
                        url: Redacted.make(target),
                        applicationName: "kalshi-ingestor backup",
                        maxConnections: 2
                      })
                    )
                  )
                )
              )
              yield* run(Context.get(context, Migrations), Context.get(context, PgClient.PgClient))
            })
          ).pipe(
            Effect.mapError(
              (error) => new BackupError({ problem: error.message, fix: "the database was left as it was" })
            )
          )

        /** Succeeds with whether the database's tables are divided among roles, which the restored ones then are, too. */
        const refuseData = Effect.fnUntraced(function* (force: boolean) {
          const on = yield* client(url)
          const [owner] = yield* ask<{ name: string | null }>(
            on,
            "select (select pg_get_userbyid(relowner) from pg_class where oid = to_regclass('schema_version')) as name"
          )
          const hasGrants = owner?.name === groupOf("owner")
          // A connection that was just closed is still there for a moment.
          const [others] = yield* ask<{ n: number }>(
            on,
            `select count(*)::int as n from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`
          ).pipe(Effect.repeat({ until: ([row]) => row!.n === 0, schedule: Schedule.spaced("200 millis"), times: 5 }))
          if (others!.n > 0)
            return yield* new BackupError({
              problem: `${others!.n} other connections use ${address}`,
              fix: "stop every program that uses it first"
            })
          if (force) return hasGrants
          for (const { name } of yield* ask<{ name: string }>(on, tablesQuery)) {
            if (ownRows.has(name)) continue
            const [row] = yield* ask<{ any: boolean }>(on, `select exists (select from ${named(name)}) as any`)
            if (row!.any)
              return yield* new BackupError({
                problem: `${address} holds data (${name} has rows)`,
                fix: "restore into an empty database, or say --force to replace it"
              })
          }
          return hasGrants
        }, Effect.scoped)

        const restore = Effect.fn("Backups.restore")(function* (options: RestoreOptions) {
          const step = options.onStep ?? (() => Effect.void)
          const manifest = yield* readManifest(options.directory)
          const hasGrants = yield* refuseData(options.force)
          const name = decodeURIComponent(new URL(url).pathname.slice(1))
          const built = `${name}_restoring`
          const replaced = `${name}_replaced`
          const admin = yield* client(databaseOf(url, name === "postgres" ? "template1" : "postgres"))
          const [held] = yield* ask<{ held: boolean }>(admin, "select pg_try_advisory_lock(hashtext($1)) as held", [
            `restore ${name}`
          ])
          if (held?.held !== true)
            return yield* new BackupError({
              problem: `another restore into ${address} is under way`,
              fix: "wait for its end"
            })
          // Of one that was killed; a session of its may still be at work.
          yield* ask(admin, `drop database if exists ${named(built)} with (force)`)
          yield* ask(admin, `drop database if exists ${named(replaced)}`)
          yield* Effect.acquireRelease(
            ask(admin, `create database ${named(built)} template template0 encoding 'UTF8'`),
            () => Effect.ignore(ask(admin, `drop database if exists ${named(built)} with (force)`))
          )
          yield* step("created")
          const target = databaseOf(url, built)
          yield* migrated(target, (migrations) => migrations.runUpTo(manifest.schema.at(-1)?.version ?? 0))
          yield* load(target, manifest, options)
          yield* migrated(target, (migrations, sql) =>
            hasGrants ? Effect.andThen(migrations.run, Grants.apply(sql).pipe(transaction(sql))) : migrations.run
          )
          yield* step("built")
          // One statement, one transaction: there is no moment without a database of this name.
          yield* ask(
            admin,
            `alter database ${named(name)} rename to ${named(replaced)}; alter database ${named(built)} rename to ${named(name)}`
          )
          yield* step("renamed")
          yield* ask(admin, `drop database ${named(replaced)}`)
          return manifest
        }, Effect.scoped)

        return Backups.of({ create, restore })
      })
    )
}
