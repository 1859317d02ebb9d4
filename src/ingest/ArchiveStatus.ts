import * as fs from "node:fs"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Setting from "../runtime/Setting.ts"
import type { SettingError } from "../runtime/SettingError.ts"
import { ArchiveLedger } from "../store/ArchiveLedger.ts"
import { ArchiveSource } from "../store/ArchiveSource.ts"
import * as ArchiveConfig from "./ArchiveConfig.ts"

/** A dataset, or a partition that is none yet. Days are UTC, `to` excluded. */
export interface DatasetState {
  readonly dataset: string
  readonly table: string
  readonly from: string
  readonly to: string
  readonly state: "database" | "both" | "archive"
  /** Null where nothing is archived. */
  readonly rows: number | null
  readonly bytes: number | null
  readonly datasetId: string | null
}

/** Where everything is, how the last pass went, and what this process is set to do; instants are RFC 3339. */
export interface ArchiveStatus {
  readonly directory: string | null
  /** Room on the disk of `directory`; null where this process cannot see it. */
  readonly freeBytes: number | null
  readonly settings: {
    readonly everySeconds: number
    readonly closedHours: number
    readonly tables: ReadonlyArray<string>
    readonly ticksDays: number
    readonly booksDays: number
    readonly rollUp: boolean
    readonly lockMillis: number
  }
  /** Of whichever program made it; null before the first. */
  readonly lastPass: {
    readonly beganAt: string
    readonly endedAt: string
    readonly archived: number
    readonly rows: number
    readonly bytes: number
    readonly detached: number
    readonly waiting: ReadonlyArray<{ readonly partition: string; readonly problem: string }>
    /** What ended it early. */
    readonly problem: string | null
  } | null
  readonly datasets: ReadonlyArray<DatasetState>
}

const instant = (millis: number) => DateTime.formatIso(DateTime.makeUnsafe(millis))
const day = (millis: number) => instant(millis).slice(0, 10)

const roomIn = (directory: string) =>
  Effect.sync(() => {
    const { bavail, bsize } = fs.statfsSync(directory)
    return bavail * bsize
  }).pipe(Effect.catchDefect(() => Effect.succeed(null)))

const datasets = Effect.gen(function* () {
  const ledger = yield* (yield* ArchiveLedger).list
  const attached = new Set(ledger.filter((d) => d.detachedAtMillis === undefined).map((d) => d.partition))
  const only = (yield* (yield* ArchiveSource).partitions).filter(({ partition }) => !attached.has(partition))
  return [
    ...ledger.map(
      (d): DatasetState => ({
        dataset: d.name,
        table: d.table,
        from: day(d.fromMillis),
        to: day(d.toMillis),
        state: d.detachedAtMillis === undefined ? "both" : "archive",
        rows: d.rows,
        bytes: d.bytes,
        datasetId: d.datasetId
      })
    ),
    ...only.map(
      (p): DatasetState => ({
        dataset: p.partition,
        table: p.table,
        from: day(p.fromMillis),
        to: day(p.toMillis),
        state: "database",
        rows: null,
        bytes: null,
        datasetId: null
      })
    )
  ].sort((a, b) => a.table.localeCompare(b.table) || a.from.localeCompare(b.from) || a.dataset.localeCompare(b.dataset))
})

/** Read of the database, of this process's settings and of its disk. */
export const read: Effect.Effect<ArchiveStatus, SqlError | SettingError, ArchiveLedger | ArchiveSource> = Effect.gen(
  function* () {
    const { directory, memoryMegabytes: _, ...settings } = yield* Setting.read(ArchiveConfig.all)
    const last = yield* (yield* ArchiveLedger).lastPass
    return {
      directory: directory ?? null,
      freeBytes: directory === undefined ? null : yield* roomIn(directory),
      settings,
      lastPass:
        last === undefined
          ? null
          : (({ beganAtMillis, endedAtMillis, problem, ...rest }) => ({
              beganAt: instant(beganAtMillis),
              endedAt: instant(endedAtMillis),
              ...rest,
              problem: problem ?? null
            }))(last),
      datasets: yield* datasets
    }
  }
).pipe(Effect.withSpan("ArchiveStatus.read"))
