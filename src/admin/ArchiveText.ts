import type { ArchiveStatus } from "../ingest/ArchiveStatus.ts"
import type * as Facts from "./Facts.ts"
import { bytes, plain, seconds, table } from "./Table.ts"

const places = { both: "database and archive", archive: "archive", database: "database" }

const second = (instant: string) => `${instant.slice(0, 19)}Z`

const directoryLine = ({ directory, freeBytes }: ArchiveStatus) =>
  directory === null
    ? "ARCHIVE_DIR is not set: nothing is archived here"
    : `archive in ${directory}, ${freeBytes === null ? "which cannot be reached from here" : `${bytes(freeBytes)} free`}`

const stays = (what: string, days: number) => (days === 0 ? `${what} stay` : `${what} stay ${days} d`)

const settingsLine = ({
  settings: { booksDays, closedHours, everySeconds, rollUp, tables, ticksDays }
}: ArchiveStatus) =>
  [
    everySeconds === 0 ? "no passes by itself" : `a pass every ${seconds(everySeconds)}`,
    `of ${tables.join(", ")}, ${closedHours} h after the end of a partition`,
    stays("ticks", ticksDays),
    stays("books", booksDays),
    ...(ticksDays === 0 ? [] : [rollUp ? "minutes of ticks are kept" : "minutes of ticks are not kept"])
  ].join("; ")

const passLines = ({ lastPass }: ArchiveStatus): ReadonlyArray<string> => {
  if (lastPass === null) return ["no pass yet"]
  const { archived, beganAt, detached, endedAt, problem, rows, waiting } = lastPass
  const took = seconds(Math.max(0, (Date.parse(endedAt) - Date.parse(beganAt)) / 1000))
  const began = `last pass ${second(beganAt)}, ${took}`
  return [
    problem === null
      ? `${began}: ${archived} archived (${rows} rows, ${bytes(lastPass.bytes)}), ${detached} left the database, ${waiting.length} wait`
      : `${began}: ended early, ${problem}`,
    ...waiting.map((one) => `  ${one.partition} waits: ${one.problem}`)
  ]
}

const loopLine = ({ isPaused, nextAt, phase }: Facts.Loop) =>
  `loop archive: ${phase}${isPaused ? ", and no further pass until: loops resume archive" : nextAt === null ? "" : `, the next pass ${second(nextAt)}`}`

/** For people; the loop is that of the program that was asked, where it has one. */
export const lines = (status: ArchiveStatus, loop: Facts.Loop | null): ReadonlyArray<string> => [
  ...[
    directoryLine(status),
    settingsLine(status),
    ...passLines(status),
    ...(loop === null ? [] : [loopLine(loop)])
  ].map(plain),
  "",
  ...table(
    ["dataset", "from", "to", "rows", "size", "where", "id"],
    status.datasets.map((one) => [
      one.dataset,
      one.from,
      one.to,
      one.rows,
      one.bytes === null ? "" : bytes(one.bytes),
      places[one.state],
      one.datasetId?.slice(0, 16)
    ])
  )
]

/** Nothing was left undone. */
export const isWell = ({ lastPass }: ArchiveStatus): boolean =>
  lastPass === null || (lastPass.problem === null && lastPass.waiting.length === 0)
