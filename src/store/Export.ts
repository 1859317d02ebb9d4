import * as fs from "node:fs"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import { SettingError } from "../runtime/SettingError.ts"
import { ArchivedDays } from "./ArchivedDays.ts"
import type { ArchiveError } from "./ArchiveError.ts"
import * as ArchiveFiles from "./ArchiveFiles.ts"
import { ArchiveSource, type RowsWanted } from "./ArchiveSource.ts"
import * as ArchiveStage from "./ArchiveStage.ts"
import { archiveTables, type Widths } from "./ArchiveTables.ts"

export interface ExportQuery extends RowsWanted {
  readonly fromMillis: number
  /** Excluded. */
  readonly toMillis: number
  readonly file: string
  readonly format: ArchiveStage.FileFormat
  /** In place of the table's own. */
  readonly columns?: ArchiveStage.ShownColumns
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
    /** `told`: rows taken in so far; when it fails there is no file. */
    readonly write: <E = never>(
      query: ExportQuery,
      told: (rows: number) => Effect.Effect<void, E>
    ) => Effect.Effect<Exported, E | SqlError | ArchiveError | SettingError>
  }
>()("kalshi-ingestor/store/Export") {
  static readonly layerWith = ({ directory, memoryMegabytes }: ExportOptions) =>
    Layer.effect(
      Export,
      Effect.gen(function* () {
        const source = yield* ArchiveSource
        const archived = yield* ArchivedDays

        const write = Effect.fn("Export.write")(function* <E = never>(
          query: ExportQuery,
          told: (rows: number) => Effect.Effect<void, E>
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
              const files = yield* archived.whole(yield* archived.gone({ ...query, tables: [query.table] }), true)
              const widths = wider(
                yield* source.widths(query),
                yield* ArchiveStage.widthsOf(files, memoryMegabytes),
                table.columns.filter(({ kind }) => kind === "decimals").map(({ name }) => name)
              )
              const stage = yield* ArchiveStage.make(table, widths, {
                directory: work,
                memoryMegabytes,
                readable: files
              })
              yield* stage.markets(yield* source.markets(query))
              const live = yield* stage.append(source.lines(query), told)
              const fromFiles = yield* stage.appendFiles(files, condition(query, table.time))
              yield* told(live + fromFiles)
              return { stage, archived: fromFiles, rows: live + fromFiles }
            })
          )
          const finished = path.join(work, "finished")
          yield* done.stage.writeAll(finished, query.format, query.columns)
          const bytes = fs.statSync(finished).size
          yield* ArchiveFiles.publish(path.dirname(path.resolve(query.file)), finished, path.basename(query.file))
          return { rows: done.rows, archived: done.archived, bytes }
        }, Effect.scoped)

        return Export.of({ write })
      })
    ).pipe(Layer.provide(ArchivedDays.layerWith({ directory })))
}

/** Elements of lists have no name of their own in a file: all lists are as wide as the widest. */
const wider = (database: Widths, files: Widths, lists: ReadonlyArray<string>): Widths => ({
  ...database,
  ...Object.fromEntries(Object.entries(files).filter(([, width]) => width === "wide")),
  ...(files["list"] === "wide" ? Object.fromEntries(lists.map((name) => [name, "wide" as const])) : {})
})

const condition = ({ fromMillis, series, tickers, toMillis }: ExportQuery, time: string): ArchiveStage.RowsOfFiles => {
  const values: Array<string> = []
  const listed = (texts: ReadonlyArray<string>) =>
    texts.length === 0 ? "null" : texts.map((text) => `$${values.push(text)}`).join(", ")
  return {
    where: [
      `f."${time}" >= make_timestamp(${fromMillis * 1000})::timestamptz`,
      `f."${time}" < make_timestamp(${toMillis * 1000})::timestamptz`,
      ...(tickers === undefined ? [] : [`f.ticker in (${listed(tickers)})`]),
      ...(series === undefined ? [] : [`f.series in (${listed(series)})`])
    ].join(" and "),
    values
  }
}
