import * as fs from "node:fs"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import { SettingError } from "../runtime/SettingError.ts"
import { ArchiveError } from "../store/ArchiveError.ts"
import { ArchiveLedger } from "../store/ArchiveLedger.ts"
import { ArchiveSource, type RowsWanted } from "../store/ArchiveSource.ts"
import * as ArchiveStage from "../store/ArchiveStage.ts"
import { archiveTables, type Widths } from "../store/ArchiveTables.ts"
import { quoted } from "../store/DuckDb.ts"
import * as Lake from "./Lake.ts"

export interface ExportQuery extends RowsWanted {
  readonly fromMillis: number
  /** Excluded. */
  readonly toMillis: number
  readonly file: string
  readonly format: ArchiveStage.FileFormat
}

export interface Exported {
  readonly rows: number
  /** Of these, from the archive: the database does not have them any more. */
  readonly archived: number
  readonly bytes: number
}

export interface ExportOptions {
  /** Where what left the database is. */
  readonly directory: string | undefined
  readonly memoryMegabytes: number
}

/** Writes rows of any markets and span into one file, sorted, wherever they are: in the database or in the archive. */
export class Export extends Context.Service<
  Export,
  {
    readonly write: (
      query: ExportQuery,
      told: (rows: number) => Effect.Effect<void>
    ) => Effect.Effect<Exported, SqlError | ArchiveError | SettingError>
  }
>()("kalshi-ingestor/ingest/Export") {
  static readonly layerWith = ({ directory, memoryMegabytes }: ExportOptions) =>
    Layer.effect(
      Export,
      Effect.gen(function* () {
        const source = yield* ArchiveSource
        const ledger = yield* ArchiveLedger

        /** Files of what left the database, whole ones only. */
        const gone = Effect.fnUntraced(function* ({ fromMillis, series, table, toMillis }: ExportQuery) {
          const datasets = (yield* ledger.list).filter(
            (d) =>
              d.table === table &&
              d.detachedAtMillis !== undefined &&
              d.fromMillis < toMillis &&
              d.toMillis > fromMillis
          )
          const files = datasets
            .flatMap((dataset) => dataset.files)
            .filter(
              (file) =>
                series === undefined ||
                series.some((name) => file.path.startsWith(`${table}/series=${encodeURIComponent(name)}/`))
            )
          if (files.length > 0 && directory === undefined)
            return yield* new SettingError({
              setting: "ARCHIVE_DIR",
              problem: `a part of this span left the database (${datasets[0]!.name}), and the archive's directory is not set`,
              fix: "set it to the archive's directory, or ask for a later span"
            })
          for (const file of files) {
            const fault = yield* Lake.fault(directory!, file)
            if (fault !== undefined) return yield* new ArchiveError({ problem: fault })
          }
          return files.map((file) => path.join(directory!, file.path))
        })

        const write = Effect.fn("Export.write")(function* (
          query: ExportQuery,
          told: (rows: number) => Effect.Effect<void>
        ) {
          const table = archiveTables[query.table]
          const work = yield* Effect.acquireRelease(
            Effect.try({
              try: () =>
                fs.mkdtempSync(path.join(path.dirname(path.resolve(query.file)), `.${path.basename(query.file)}-`)),
              catch: () =>
                new SettingError({
                  setting: "--out",
                  problem: `${query.file} cannot be written`,
                  fix: "name a file in a directory that is there and that this user may write to"
                })
            }),
            (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
          )
          const done = yield* source.snapshot(
            query.table,
            Effect.gen(function* () {
              const files = yield* gone(query)
              const widths = wider(
                yield* source.widths(query),
                yield* ArchiveStage.widthsOf(files, memoryMegabytes),
                table.columns.filter(({ kind }) => kind === "decimals").map(({ name }) => name)
              )
              const stage = yield* ArchiveStage.make(table, widths, { directory: work, memoryMegabytes })
              yield* stage.markets(yield* source.markets(query))
              const live = yield* stage.append(source.lines(query), told)
              const archived = yield* stage.appendFiles(files, condition(query, table.time))
              yield* told(live + archived)
              return { stage, archived, rows: live + archived }
            })
          )
          const finished = path.join(work, "finished")
          yield* done.stage.writeAll(finished, query.format)
          const bytes = fs.statSync(finished).size
          yield* Lake.publish(path.dirname(path.resolve(query.file)), finished, path.basename(query.file))
          return { rows: done.rows, archived: done.archived, bytes }
        }, Effect.scoped)

        return Export.of({ write })
      })
    )
}

/** Elements of lists have no name of their own in a file: all lists are as wide as the widest. */
const wider = (database: Widths, files: Widths, lists: ReadonlyArray<string>): Widths => ({
  ...database,
  ...Object.fromEntries(Object.entries(files).filter(([, width]) => width === "wide")),
  ...(files["list"] === "wide" ? Object.fromEntries(lists.map((name) => [name, "wide" as const])) : {})
})

const condition = ({ fromMillis, series, tickers, toMillis }: ExportQuery, time: string): string =>
  [
    `f."${time}" >= make_timestamp(${fromMillis * 1000})::timestamptz`,
    `f."${time}" < make_timestamp(${toMillis * 1000})::timestamptz`,
    ...(tickers === undefined ? [] : [`f.ticker in (${tickers.map(quoted).join(", ")})`]),
    ...(series === undefined ? [] : [`f.series in (${series.map(quoted).join(", ")})`])
  ].join(" and ")
