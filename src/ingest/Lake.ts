import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { SettingError } from "../runtime/SettingError.ts"
import { failing, makeDirectory, publish, syncDirectory } from "../store/ArchiveFiles.ts"

/*
 * The archive's directory:
 *   lake.json                                           whose it is
 *   ticks/series=KXBTC/date=2026-11-20/ticks_20261120.parquet    rows, sorted by ticker and time
 *   datasets/ticks_20261120/manifest.json               what belongs together, and how to check it
 *   datasets/ticks_20261120/coverage.parquet, gaps.parquet
 *   archive.sql                                         views for DuckDB
 *   .partial/                                           files that are not finished; nobody reads them
 * A file has its final name only once it is complete and on disk.
 */

export const partial = ".partial"

/** Of a file's path in the directory; a series may hold any character. */
export const unitPath = (table: string, series: string, date: string, dataset: string): string =>
  `${table}/series=${encodeURIComponent(series)}/date=${date}/${dataset}.parquet`

export const datasetPath = (dataset: string, file: string): string => `datasets/${dataset}/${file}`

const Lake = Schema.fromJsonString(Schema.Struct({ lake_id: Schema.String }))
const decodeLake = Schema.decodeUnknownOption(Lake)

/** The directory is ours, and can be written to; what an archive that ended half-way left in it is gone. */
export const prepare = Effect.fn("Lake.prepare")(function* (directory: string, lakeId: string) {
  const wrong = (problem: string, fix: string) => new SettingError({ setting: "ARCHIVE_DIR", problem, fix })
  const made = Result.try(() => {
    makeDirectory(path.resolve(directory))
    fs.rmSync(path.join(directory, partial), { recursive: true, force: true })
    fs.mkdirSync(path.join(directory, partial))
  })
  if (Result.isFailure(made))
    return yield* wrong(`${directory} cannot be written to`, "name a directory that this user may write to")
  const file = path.join(directory, "lake.json")
  if (!fs.existsSync(file))
    yield* writeText(directory, "lake.json", `${JSON.stringify({ lake_id: lakeId }, null, 2)}\n`)
  const found = Option.getOrUndefined(
    decodeLake(yield* failing(`${file} cannot be read`, () => fs.readFileSync(file, "utf8")))
  )
  if (found?.lake_id !== lakeId)
    return yield* wrong(
      `${directory} holds the archive of another database (lake.json)`,
      "name a directory of this database's own"
    )
})

export const writeText = Effect.fnUntraced(function* (directory: string, name: string, text: string) {
  const from = path.join(directory, partial, name.replaceAll("/", "_"))
  yield* failing(`${name} cannot be written`, () => fs.writeFileSync(from, text))
  yield* publish(directory, from, name)
})

export const makeEmpty = (directory: string) =>
  failing(`${directory} cannot be written`, () => {
    fs.rmSync(directory, { recursive: true, force: true })
    fs.mkdirSync(directory)
  })

/** Puts a finished directory in the place of another one. */
export const replaceDirectory = (directory: string, from: string, name: string) =>
  failing(`${name} cannot be replaced`, () => {
    const to = path.join(directory, name)
    const old = path.join(directory, partial, `old-${name}`)
    if (fs.existsSync(to)) fs.renameSync(to, old)
    fs.renameSync(from, to)
    syncDirectory(directory)
    fs.rmSync(old, { recursive: true, force: true })
  })

/** Takes a file away that a newer archive of the same rows does not have any more. */
export const remove = (directory: string, name: string) =>
  failing(`${name} cannot be removed`, () => fs.rmSync(path.join(directory, name), { force: true }))

/** The files of a dataset that are there, wherever they are: an archive that was cut short may have left some. */
export const filesNamed = (directory: string, table: string, dataset: string) =>
  failing(`${table} cannot be read`, () => {
    const under = (at: string) => {
      const there = path.join(directory, at)
      return fs.existsSync(there) ? fs.readdirSync(there).map((name) => `${at}/${name}`) : []
    }
    return under(table)
      .flatMap(under)
      .map((at) => `${at}/${dataset}.parquet`)
      .filter((name) => fs.existsSync(path.join(directory, name)))
  })
