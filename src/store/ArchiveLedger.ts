import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { AttachedPartition } from "./ArchiveSource.ts"
import type { Fingerprint } from "./ArchiveTables.ts"
import { transaction } from "./Transaction.ts"

export interface ArchivedFile {
  /** From the archive's directory, with `/`. */
  readonly path: string
  readonly sha256: string
  readonly bytes: number
  readonly rows: number
}

/** What was written, read back, and found equal to the partition. */
export interface Dataset extends AttachedPartition {
  readonly name: string
  readonly datasetId: string
  readonly schemaVersion: number
  readonly codeVersion: string
  readonly rows: number
  readonly bytes: number
  readonly files: ReadonlyArray<ArchivedFile>
  readonly fingerprint: Fingerprint
  /** Rows ever written to the partition, as known before it was read. */
  readonly activity: number
}

export interface StoredDataset extends Dataset {
  readonly archivedAtMillis: number
  /** Undefined while the rows are in the database, too. */
  readonly detachedAtMillis: number | undefined
}

/** How one pass over everything went. */
export interface StoredPass {
  readonly beganAtMillis: number
  readonly endedAtMillis: number
  readonly archived: number
  readonly rows: number
  readonly bytes: number
  readonly detached: number
  /** What was due and is not done, and why. */
  readonly waiting: ReadonlyArray<{ readonly partition: string; readonly problem: string }>
  /** What ended it early. */
  readonly problem: string | undefined
}

/** Which partitions are in verified files, and which of them left the database. */
export class ArchiveLedger extends Context.Service<
  ArchiveLedger,
  {
    /** Of this database: its archive directory carries it, too. */
    readonly lakeId: Effect.Effect<string, SqlError>
    /** Oldest first. */
    readonly list: Effect.Effect<ReadonlyArray<StoredDataset>, SqlError>
    /** What the next dataset of a partition is called: by the partition, numbered when one of that name left the database. */
    readonly nextName: (partition: string) => Effect.Effect<string, SqlError>
    readonly activity: (partition: string) => Effect.Effect<number, SqlError>
    /** Why an attached partition is not what its dataset holds any more; nothing when it is. Reads the rows only after writes. */
    readonly changes: (dataset: StoredDataset) => Effect.Effect<string | undefined, SqlError>
    /** `versions`: of the rows that were read, as `ArchiveSource` tells them. */
    readonly save: (dataset: Dataset, versions: string) => Effect.Effect<void, SqlError>
    /** Succeeds with why the partition is still there; nothing when it is gone. */
    readonly detach: (
      dataset: { readonly name: string; readonly datasetId: string },
      options: { readonly rollUp: boolean; readonly lockMillis: number }
    ) => Effect.Effect<string | undefined, SqlError>
    /** Of whichever process; undefined before the first. */
    readonly lastPass: Effect.Effect<StoredPass | undefined, SqlError>
    readonly notePass: (pass: StoredPass) => Effect.Effect<void, SqlError>
    /** One process at a time archives: fails to take hold when another does. Held until the scope closes. */
    readonly tryHold: Effect.Effect<boolean, SqlError, Scope.Scope>
  }
>()("kalshi-ingestor/store/ArchiveLedger") {
  static readonly layer = Layer.effect(
    ArchiveLedger,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const inTransaction = transaction(sql)

      const list = sql<StoredDataset & { detachedAtMillis: number | null }>`
        select name, parent as table, partition, (extract(epoch from from_ts) * 1000)::float8 as "fromMillis",
          (extract(epoch from to_ts) * 1000)::float8 as "toMillis", dataset_id as "datasetId",
          schema_version as "schemaVersion", code_version as "codeVersion", rows::float8 as rows, bytes::float8 as bytes,
          files, fingerprint, activity::float8 as activity,
          (extract(epoch from archived_at) * 1000)::float8 as "archivedAtMillis",
          (extract(epoch from detached_at) * 1000)::float8 as "detachedAtMillis"
        from archive_datasets order by from_ts, name`.pipe(
        Effect.map((rows) => rows.map((row) => ({ ...row, detachedAtMillis: row.detachedAtMillis ?? undefined }))),
        Effect.withSpan("ArchiveLedger.list")
      )

      const nextName = Effect.fnUntraced(function* (partition: string) {
        const [row] = yield* sql<{ gone: number }>`
          select count(*)::int as gone from archive_datasets where partition = ${partition} and detached_at is not null`
        return row!.gone === 0 ? partition : `${partition}-${row!.gone + 1}`
      })

      const activity = (partition: string) =>
        Effect.map(
          sql<{ rows: number | null }>`select partition_activity(${partition})::float8 as rows`,
          (found) => found[0]?.rows ?? 0
        )

      const changes = Effect.fn("ArchiveLedger.changes")(function* (dataset: StoredDataset) {
        const now = yield* activity(dataset.partition)
        if (now === dataset.activity) return undefined
        const [row] = yield* sql<{ problem: string | null }>`select archive_changes(${dataset.name}) as problem`
        if (row?.problem === null)
          yield* sql`update archive_datasets set activity = ${now} where name = ${dataset.name}`
        return row?.problem ?? undefined
      })

      const save = Effect.fn("ArchiveLedger.save")(function* (d: Dataset, versions: string) {
        yield* sql`
          insert into archive_datasets (
            name, parent, partition, from_ts, to_ts, dataset_id, schema_version, code_version, rows, bytes, files, fingerprint,
            row_versions, activity)
          values (
            ${d.name}, ${d.table}, ${d.partition}, to_timestamp(${d.fromMillis}::float8 / 1000),
            to_timestamp(${d.toMillis}::float8 / 1000), ${d.datasetId}, ${d.schemaVersion}, ${d.codeVersion},
            ${d.rows}, ${d.bytes}, ${JSON.stringify(d.files)}::jsonb, ${JSON.stringify(d.fingerprint)}::jsonb, ${versions}::numeric, ${d.activity})
          on conflict (name) do update set
            dataset_id = excluded.dataset_id, schema_version = excluded.schema_version, code_version = excluded.code_version,
            rows = excluded.rows, bytes = excluded.bytes, files = excluded.files, fingerprint = excluded.fingerprint,
            row_versions = excluded.row_versions, activity = excluded.activity, archived_at = clock_timestamp()
          where archive_datasets.detached_at is null`
      })

      const lastPass = sql<StoredPass & { problem: string | null }>`
        select (extract(epoch from began_at) * 1000)::float8 as "beganAtMillis",
          (extract(epoch from ended_at) * 1000)::float8 as "endedAtMillis",
          archived, rows::float8 as rows, bytes::float8 as bytes, detached, waiting, problem
        from archive_last_pass`.pipe(
        Effect.map(([row]) => (row === undefined ? undefined : { ...row, problem: row.problem ?? undefined })),
        Effect.withSpan("ArchiveLedger.lastPass")
      )

      const notePass = Effect.fn("ArchiveLedger.notePass")(function* (pass: StoredPass) {
        yield* sql`
          insert into archive_last_pass (began_at, ended_at, archived, rows, bytes, detached, waiting, problem)
          values (to_timestamp(${pass.beganAtMillis}::float8 / 1000), to_timestamp(${pass.endedAtMillis}::float8 / 1000),
            ${pass.archived}, ${pass.rows}, ${pass.bytes}, ${pass.detached}, ${JSON.stringify(pass.waiting)}::jsonb,
            ${pass.problem ?? null})
          on conflict (one) do update set
            began_at = excluded.began_at, ended_at = excluded.ended_at, archived = excluded.archived, rows = excluded.rows,
            bytes = excluded.bytes, detached = excluded.detached, waiting = excluded.waiting, problem = excluded.problem`
      })

      const tryHold = Effect.gen(function* () {
        const connection = yield* sql.reserve
        const take = connection.execute(
          "select pg_try_advisory_lock(hashtext('archive')) as held",
          [],
          undefined
        ) as Effect.Effect<ReadonlyArray<{ held: boolean }>, SqlError>
        const [row] = yield* Effect.acquireRelease(take, ([taken]) =>
          taken?.held === true
            ? Effect.ignore(connection.execute("select pg_advisory_unlock(hashtext('archive'))", [], undefined))
            : Effect.void
        )
        return row?.held === true
      })

      return ArchiveLedger.of({
        lakeId: Effect.map(sql<{ id: string }>`select lake_id::text as id from archive_lake`, (rows) => rows[0]!.id),
        list,
        nextName,
        activity,
        changes,
        save,
        lastPass,
        notePass,
        detach: ({ datasetId, name }, { lockMillis, rollUp }) =>
          inTransaction(
            Effect.andThen(
              // It compares rows once it has its lock: what others committed until then must be seen.
              sql`set transaction isolation level read committed`,
              sql<{ problem: string | null }>`
                select detach_archived(${name}, ${datasetId}, ${rollUp}, ${lockMillis}::int) as problem`
            )
          ).pipe(
            Effect.map((rows) => rows[0]?.problem ?? undefined),
            Effect.withSpan("ArchiveLedger.detach")
          ),
        tryHold
      })
    })
  )
}
