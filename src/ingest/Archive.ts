import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import type { SettingError } from "../runtime/SettingError.ts"
import { sha256 } from "../runtime/Sha256.ts"
import { version } from "../runtime/Version.ts"
import { ArchiveError } from "../store/ArchiveError.ts"
import * as ArchiveFiles from "../store/ArchiveFiles.ts"
import { type ArchivedFile, ArchiveLedger, type Dataset } from "../store/ArchiveLedger.ts"
import { ArchiveSource, type AttachedPartition } from "../store/ArchiveSource.ts"
import * as ArchiveStage from "../store/ArchiveStage.ts"
import { archiveTables, difference, type Fingerprint, schemaVersion } from "../store/ArchiveTables.ts"
import * as LakeViews from "../store/LakeViews.ts"
import * as Lake from "./Lake.ts"

/** How far the archive of a partition has come: rows read so far, or a step that is done. */
export interface ArchiveStep {
  readonly dataset: string
  readonly step: "reading" | "staged" | "written" | "compared" | "published" | "described" | "recorded"
  readonly rows: number
}

/** Is told each step. */
export const ArchiveProgress = Context.Reference<(step: ArchiveStep) => Effect.Effect<void>>(
  "kalshi-ingestor/ingest/ArchiveProgress",
  { defaultValue: () => () => Effect.void }
)

export interface ArchiveOptions {
  readonly directory: string
  readonly memoryMegabytes: number
}

/** Copies partitions into Parquet files, and shows that these hold the same rows. */
export class Archive extends Context.Service<
  Archive,
  {
    /** Takes hold of the archive, one process at a time, until the scope closes. False: another process has it. */
    readonly hold: Effect.Effect<boolean, SqlError | SettingError | ArchiveError, Scope.Scope>
    /** The caller holds the archive. Succeeds once files and ledger say the same as the database. */
    readonly partition: (partition: AttachedPartition) => Effect.Effect<Dataset, SqlError | ArchiveError>
    /**
     * The caller holds the archive. Writes what only the database has, today included, under `live/`, in place of what was there.
     * Succeeds with how many rows.
     */
    readonly live: Effect.Effect<number, SqlError | ArchiveError>
    /** The first thing wrong with a dataset's files; nothing when all are as they were written. */
    readonly faultIn: (dataset: Dataset) => Effect.Effect<string | undefined, ArchiveError>
    /** Reads every row of a dataset's files, and compares them with what the database had. */
    readonly compare: (dataset: Dataset) => Effect.Effect<string | undefined, ArchiveError>
    /** Writes the views over what is there now. */
    readonly describe: Effect.Effect<void, ArchiveError>
  }
>()("kalshi-ingestor/ingest/Archive") {
  static readonly layerWith = ({ directory, memoryMegabytes }: ArchiveOptions) =>
    Layer.effect(
      Archive,
      Effect.gen(function* () {
        const source = yield* ArchiveSource
        const ledger = yield* ArchiveLedger
        const told = yield* ArchiveProgress
        const scratch = path.join(directory, Lake.partial)

        const hold = Effect.gen(function* () {
          if (!(yield* ledger.tryHold)) return false
          yield* Lake.prepare(directory, yield* ledger.lakeId)
          return true
        })

        const beside = Effect.fnUntraced(function* (
          stage: ArchiveStage.ArchiveStage,
          work: string,
          partition: AttachedPartition,
          kind: "coverage" | "gaps"
        ) {
          const lines = path.join(work, `${kind}.ndjson`)
          const file = path.join(work, `${kind}.parquet`)
          yield* Effect.try({
            try: () => fs.writeFileSync(lines, ""),
            catch: () => new ArchiveError({ problem: `${lines} cannot be written` })
          })
          yield* source[kind](partition.fromMillis, partition.toMillis).pipe(
            Stream.runForEachArray((some) => Effect.sync(() => fs.appendFileSync(lines, `${some.join("\n")}\n`)))
          )
          yield* stage.convert(lines, LakeViews.besideColumns[kind], file)
          return file
        })

        /** A partition as files in `work`, shown to hold the same rows. */
        const written = Effect.fn("Archive.written")(function* (
          partition: AttachedPartition,
          name: string,
          work: string
        ) {
          const table = archiveTables[partition.table]
          const { fromMillis, toMillis } = partition
          const wanted = { table: partition.table, fromMillis, toMillis }
          const step = (what: ArchiveStep["step"], rows: number) => told({ dataset: name, step: what, rows })

          const read = yield* source.snapshot(
            partition.table,
            Effect.gen(function* () {
              const widths = yield* source.widths(wanted)
              const fingerprint = yield* source.fingerprint(wanted)
              const versions = yield* source.versions(wanted)
              const stage = yield* ArchiveStage.make(table, widths, { directory: work, memoryMegabytes })
              yield* stage.markets(yield* source.markets(wanted))
              yield* stage.append(source.lines(wanted), (rows) => step("reading", rows))
              const coverage = yield* beside(stage, work, partition, "coverage")
              const gaps = yield* beside(stage, work, partition, "gaps")
              return { coverage, gaps, fingerprint, stage, versions }
            })
          )
          const rows = Number(read.fingerprint.rows)
          yield* step("staged", rows)

          const files: Array<ArchivedFile & { readonly from: string }> = []
          for (const unit of yield* read.stage.units) {
            const from = path.join(work, `${files.length}.parquet`)
            yield* read.stage.writeUnit(unit, from)
            const { bytes, sha256: hash } = yield* ArchiveFiles.digest(from)
            files.push({
              from,
              path: Lake.unitPath(table.name, unit.series, unit.date, name),
              sha256: hash,
              bytes,
              rows: unit.rows
            })
          }
          yield* step("written", rows)
          const wrong = difference(read.fingerprint, yield* read.stage.fingerprint(files.map(({ from }) => from)))
          if (wrong !== undefined) return yield* new ArchiveError({ problem: `${name}: ${wrong}; no file was kept` })
          yield* step("compared", rows)
          return { ...read, files, rows, step }
        })

        const write = Effect.fn("Archive.write")(function* (partition: AttachedPartition, work: string) {
          const name = yield* ledger.nextName(partition.partition)
          const activity = yield* ledger.activity(partition.partition)
          const { files, rows, step, ...read } = yield* written(partition, name, work)
          const listed = files.map(({ from: _, ...file }) => file)
          const dataset: Dataset = {
            ...partition,
            name,
            datasetId: identity(partition, listed),
            schemaVersion,
            codeVersion: version,
            rows,
            bytes: listed.reduce((sum, { bytes }) => sum + bytes, 0),
            files: listed,
            fingerprint: read.fingerprint,
            activity
          }
          for (const { from, path: to } of files) {
            yield* ArchiveFiles.publish(directory, from, to)
            yield* step("published", rows)
          }
          const paths = new Set(listed.map((file) => file.path))
          for (const old of yield* Lake.filesNamed(directory, partition.table, name))
            if (!paths.has(old)) yield* Lake.remove(directory, old)
          const besides: Array<{ path: string; sha256: string; bytes: number }> = []
          for (const [file, from] of [
            ["coverage.parquet", read.coverage],
            ["gaps.parquet", read.gaps]
          ] as const) {
            const to = Lake.datasetPath(name, file)
            besides.push({ path: to, ...(yield* ArchiveFiles.digest(from)) })
            yield* ArchiveFiles.publish(directory, from, to)
          }
          yield* Lake.writeText(
            directory,
            Lake.datasetPath(name, "manifest.json"),
            manifest(dataset, besides, yield* DateTime.now)
          )
          yield* step("described", rows)
          yield* ledger.save(dataset, read.versions)
          yield* step("recorded", rows)
          return dataset
        }, Effect.scoped)

        const working = (partition: AttachedPartition) =>
          Effect.acquireRelease(
            Effect.try({
              try: () => fs.mkdtempSync(path.join(scratch, `${partition.partition}-`)),
              catch: () => new ArchiveError({ problem: `${scratch} cannot be written to` })
            }),
            (work) => Effect.sync(() => fs.rmSync(work, { recursive: true, force: true }))
          )

        const liveOf = Effect.fnUntraced(function* (partition: AttachedPartition, collected: string) {
          const name = yield* ledger.nextName(partition.partition)
          const { files, rows } = yield* written(partition, name, yield* working(partition))
          for (const { from, path: to } of files) yield* ArchiveFiles.publish(collected, from, to)
          return rows
        }, Effect.scoped)

        const live = Effect.gen(function* () {
          const archived = new Set(
            (yield* ledger.list).filter((d) => d.detachedAtMillis === undefined).map((d) => d.partition)
          )
          const collected = path.join(scratch, "live")
          yield* Lake.makeEmpty(collected)
          let rows = 0
          for (const partition of yield* source.partitions)
            if (!archived.has(partition.partition)) rows += yield* liveOf(partition, collected)
          yield* Lake.replaceDirectory(directory, collected, "live")
          return rows
        }).pipe(Effect.withSpan("Archive.live"))

        return Archive.of({
          hold,
          live,
          partition: (partition) => Effect.scoped(Effect.flatMap(working(partition), (work) => write(partition, work))),
          faultIn: Effect.fn("Archive.faultIn")(function* (dataset) {
            for (const file of dataset.files) {
              const fault = yield* ArchiveFiles.fault(directory, file)
              if (fault !== undefined) return fault
            }
            return undefined
          }),
          compare: Effect.fn("Archive.compare")(function* (dataset) {
            const files = dataset.files.map((file) => path.join(directory, file.path))
            const missing = files.findIndex((file) => !fs.existsSync(file))
            if (missing >= 0) return `${dataset.files[missing]!.path} is missing`
            const work = yield* Effect.acquireRelease(
              Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "kalshi-archive-"))),
              (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
            )
            // Wide sums are exact for narrow columns, too.
            const table = archiveTables[dataset.table]
            const widths = Object.fromEntries(table.columns.map(({ name }) => [name, "wide" as const]))
            const stage = yield* ArchiveStage.make(table, widths, { directory: work, memoryMegabytes })
            return difference(dataset.fingerprint, yield* stage.fingerprint(files))
          }, Effect.scoped),
          describe: Effect.gen(function* () {
            yield* Lake.writeText(directory, "archive.sql", LakeViews.text(directory))
          })
        })
      })
    )
}

/** Names the bytes of a dataset: the same rows, archived by the same version, have the same one. */
const identity = (partition: AttachedPartition, files: ReadonlyArray<ArchivedFile>): string =>
  sha256(
    JSON.stringify({
      table: partition.table,
      from: iso(partition.fromMillis),
      to: iso(partition.toMillis),
      schema: schemaVersion,
      files: files.map(({ path: name, sha256: hash }) => [name, hash])
    })
  )

const iso = (millis: number) => DateTime.formatIso(DateTime.makeUnsafe(millis))

const manifest = (
  dataset: Dataset,
  beside: ReadonlyArray<{ readonly path: string; readonly sha256: string; readonly bytes: number }>,
  archivedAt: DateTime.Utc
): string => {
  const { fingerprint }: { readonly fingerprint: Fingerprint } = dataset
  return `${JSON.stringify(
    {
      dataset_id: dataset.datasetId,
      dataset: dataset.name,
      table: dataset.table,
      partition: dataset.partition,
      from: iso(dataset.fromMillis),
      to: iso(dataset.toMillis),
      rows: dataset.rows,
      bytes: dataset.bytes,
      schema_version: dataset.schemaVersion,
      code_version: dataset.codeVersion,
      archived_at: DateTime.formatIso(archivedAt),
      row_sum: fingerprint.rowSum,
      columns: fingerprint.columns,
      files: dataset.files,
      beside
    },
    null,
    2
  )}\n`
}
