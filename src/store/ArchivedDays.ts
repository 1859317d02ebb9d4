import * as fs from "node:fs"
import * as path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { SettingError } from "../runtime/SettingError.ts"
import { ArchiveError } from "./ArchiveError.ts"
import * as ArchiveFiles from "./ArchiveFiles.ts"
import type { ArchivedFile } from "./ArchiveLedger.ts"
import type { ArchivedTable } from "./ArchiveTables.ts"

/** A dataset whose rows are in the archive only, and those of its files that were asked for. */
export interface ArchivedDay {
  readonly dataset: string
  readonly datasetId: string
  readonly table: ArchivedTable
  /** `to` excluded. */
  readonly fromMillis: number
  readonly toMillis: number
  readonly detachedAtMillis: number
  readonly files: ReadonlyArray<ArchivedFile>
}

export interface DaysWanted {
  readonly tables: ReadonlyArray<ArchivedTable>
  readonly fromMillis: number
  /** Excluded. */
  readonly toMillis: number
  /** Only files that may hold a row of these. */
  readonly tickers?: ReadonlyArray<string> | undefined
  readonly series?: ReadonlyArray<string> | undefined
}

/** Days that an answer would have needed and could not have. */
export interface Unread {
  readonly days: ReadonlyArray<ArchivedDay>
  /** For people. */
  readonly problem: string
}

/** Days of the archive that one answer about a market looks into. */
export const daysAtMost = 31

/** Why the archive cannot be read, for whoever asked; what only the operator should know goes to the log. */
export const problemOf = (error: SettingError | ArchiveError): Effect.Effect<string> =>
  error._tag === "SettingError"
    ? Effect.succeed(untold)
    : /^\S+ is (missing|not )/.test(error.problem)
      ? Effect.succeed(error.problem)
      : Effect.as(Effect.logError("the archive cannot be read", { problem: error.problem }), "it cannot be read now")

const untold = "ARCHIVE_DIR, where the archive is, is not set here"

/** Nothing of a ledger leads out of the directory. */
const isOurs = /^[a-z_]+\/series=[^/\\]+\/date=\d{4}-\d\d-\d\d\/[\w-]+\.parquet$/

/** Files found whole are remembered by what the disk says of them. */
const rememberedAtMost = 10_000

/** What left the database, and its files. */
export class ArchivedDays extends Context.Service<
  ArchivedDays,
  {
    /** Oldest first; those without a file that may hold what is wanted are left out. */
    readonly gone: (wanted: DaysWanted) => Effect.Effect<ReadonlyArray<ArchivedDay>, SqlError>
    /** Why a day cannot be read here, as far as a look at the directory tells; nothing when it can. */
    readonly trouble: (days: ReadonlyArray<ArchivedDay>) => Effect.Effect<string | undefined>
    /**
     * Paths of all files of these days, each of them as it was archived. `again`: computed from every byte, else only where a file is
     * not the one that was found whole before.
     */
    readonly whole: (
      days: ReadonlyArray<ArchivedDay>,
      again: boolean
    ) => Effect.Effect<ReadonlyArray<string>, SettingError | ArchiveError>
  }
>()("kalshi-ingestor/store/ArchivedDays") {
  static readonly layerWith = ({ directory }: { readonly directory: string | undefined }) =>
    Layer.effect(
      ArchivedDays,
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient

        // As the archive sorts rows into files: by the series of the catalog, or the ticker's first word.
        const seriesOf = (tickers: ReadonlyArray<string>) => sql<{ series: string }>`
          select coalesce(nullif(split_part(w.ticker, '-', 1), ''), 'unknown') as series
          from unnest(${tickers}::text[]) w (ticker)
          union
          select e.series_ticker from markets m join events e using (event_ticker)
          where m.ticker = any (${tickers}::text[]) and e.series_ticker is not null`

        const gone = Effect.fn("ArchivedDays.gone")(function* (wanted: DaysWanted) {
          const series =
            wanted.series ??
            (wanted.tickers === undefined ? undefined : (yield* seriesOf(wanted.tickers)).map((row) => row.series))
          const units = series?.map((name) => `series=${encodeURIComponent(name)}`) ?? null
          return yield* sql<ArchivedDay>`
            select d.name as dataset, d.dataset_id as "datasetId", d.parent as table,
              (extract(epoch from d.from_ts) * 1000)::float8 as "fromMillis",
              (extract(epoch from d.to_ts) * 1000)::float8 as "toMillis",
              (extract(epoch from d.detached_at) * 1000)::float8 as "detachedAtMillis",
              f.files
            from archive_datasets d
            cross join lateral (
              select jsonb_agg(e.file order by e.file ->> 'path') as files from jsonb_array_elements(d.files) e (file)
              where ${units}::text[] is null or split_part(e.file ->> 'path', '/', 2) = any (${units}::text[])
            ) f
            where d.parent = any (${wanted.tables}::text[]) and d.detached_at is not null and f.files is not null
              and d.from_ts < to_timestamp(${wanted.toMillis}::float8 / 1000)
              and d.to_ts > to_timestamp(${wanted.fromMillis}::float8 / 1000)
            order by d.from_ts, d.name`
        })

        const unset = (day: ArchivedDay) =>
          new SettingError({
            setting: "ARCHIVE_DIR",
            problem: `a part of this span left the database (${day.dataset}), and the archive's directory is not set`,
            fix: "set it to the archive's directory, or ask for a later span"
          })

        const trouble = (days: ReadonlyArray<ArchivedDay>) =>
          Effect.sync(() => {
            if (days.length === 0) return undefined
            if (directory === undefined) return untold
            const missing = days
              .flatMap(({ files }) => files)
              .find((file) => !isOurs.test(file.path) || !fs.existsSync(path.join(directory, file.path)))
            return missing === undefined ? undefined : `${missing.path} is missing`
          })

        const known = new Map<string, string>()
        const faultOf = Effect.fnUntraced(function* (root: string, file: ArchivedFile, again: boolean) {
          if (!isOurs.test(file.path)) return `${file.path} is not a path of an archive`
          const at = path.join(root, file.path)
          if (!fs.existsSync(at)) return `${file.path} is missing`
          const { ctimeMs, ino, mtimeMs, size } = yield* ArchiveFiles.failing(`${file.path} cannot be read`, () =>
            fs.statSync(at)
          )
          const mark = [file.sha256, size, mtimeMs, ctimeMs, ino].join(" ")
          if (!again && known.get(at) === mark) return undefined
          const fault = yield* ArchiveFiles.fault(root, file)
          if (fault !== undefined) return fault
          if (known.size >= rememberedAtMost) known.clear()
          known.set(at, mark)
          return undefined
        })

        const whole = Effect.fn("ArchivedDays.whole")(function* (days: ReadonlyArray<ArchivedDay>, again: boolean) {
          const [first] = days
          if (first === undefined) return []
          if (directory === undefined) return yield* unset(first)
          const files = days.flatMap((day) => day.files)
          for (const file of files) {
            const fault = yield* faultOf(directory, file, again)
            if (fault !== undefined) return yield* new ArchiveError({ problem: fault })
          }
          return files.map((file) => path.resolve(directory, file.path))
        })

        return ArchivedDays.of({ gone, trouble, whole })
      })
    )
}
