import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import type { SettingError } from "../runtime/SettingError.ts"
import type { ArchiveError } from "../store/ArchiveError.ts"
import { ArchiveLedger, type StoredDataset } from "../store/ArchiveLedger.ts"
import { ArchiveSource, type AttachedPartition } from "../store/ArchiveSource.ts"
import type { ArchivedTable } from "../store/ArchiveTables.ts"
import { sqlProblem } from "../store/SqlProblem.ts"
import { isTransient } from "../store/SqlState.ts"
import { Archive } from "./Archive.ts"

export interface RetentionOptions {
  readonly tables: ReadonlyArray<string>
  readonly closedHours: number
  readonly ticksDays: number
  readonly booksDays: number
  readonly rollUp: boolean
  readonly lockMillis: number
}

export interface ArchivePass {
  /** Another process archives. */
  readonly busy: boolean
  readonly archived: ReadonlyArray<string>
  readonly rows: number
  readonly bytes: number
  /** Datasets whose partitions left the database. */
  readonly detached: ReadonlyArray<string>
  /** What was due and is not done, and why; the next pass tries again. */
  readonly waiting: ReadonlyArray<{ readonly partition: string; readonly problem: string }>
}

const hourMillis = 3_600_000

/** Archives what is finished, and lets go of what is old and archived. */
export class Retention extends Context.Service<
  Retention,
  {
    readonly pass: Effect.Effect<ArchivePass, SqlError | SettingError | ArchiveError>
    /** One partition of any age, now, unless it is archived and has not changed. Succeeds with what it waits for, or nothing. */
    readonly archiveOne: (
      table: string,
      partition: string
    ) => Effect.Effect<string | undefined, SqlError | SettingError | ArchiveError>
  }
>()("kalshi-ingestor/ingest/Retention") {
  static readonly layerWith = (options: RetentionOptions) =>
    Layer.effect(
      Retention,
      Effect.gen(function* () {
        const archive = yield* Archive
        const ledger = yield* ArchiveLedger
        const source = yield* ArchiveSource
        const time = yield* ExchangeTime

        const daysOf = (table: ArchivedTable): number =>
          table === "ticks"
            ? options.ticksDays
            : table === "book_events" || table === "book_snapshots"
              ? options.booksDays
              : 0

        const attached = Effect.map(
          ledger.list,
          (datasets) =>
            new Map(
              datasets.filter((d) => d.detachedAtMillis === undefined).map((dataset) => [dataset.partition, dataset])
            )
        )

        const isCurrent = (dataset: StoredDataset | undefined) =>
          dataset === undefined
            ? Effect.succeed(false)
            : Effect.map(ledger.changes(dataset), (changes) => changes === undefined)

        /** Lets go of a partition; archives it anew first where its rows or files are not what the ledger says. */
        const letGo = Effect.fnUntraced(function* (partition: AttachedPartition, known: StoredDataset) {
          const fault = yield* archive.faultIn(known)
          if (fault !== undefined)
            yield* Effect.logError("an archived file is not what was written, it is made anew", { file: fault })
          const dataset = fault === undefined ? known : yield* archive.partition(partition)
          const problem = yield* ledger.detach(dataset, options)
          if (problem === undefined || !problem.startsWith("rows changed")) return problem
          return yield* ledger.detach(yield* archive.partition(partition), options)
        })

        const overAll = Effect.gen(function* () {
          const done = { archived: [] as Array<string>, detached: [] as Array<string>, rows: 0, bytes: 0 }
          const waiting: Array<{ partition: string; problem: string }> = []
          if (!(yield* archive.hold)) return { ...done, busy: true, waiting }
          const now = yield* time.now
          const due = (yield* source.partitions).filter(
            ({ table, toMillis }) =>
              options.tables.includes(table) && toMillis <= now - options.closedHours * hourMillis
          )
          const known = yield* attached
          const tried = <A>(partition: string, effect: Effect.Effect<A, SqlError | ArchiveError>) =>
            effect.pipe(
              Effect.catchIf(
                (error) => !isSqlError(error) || !isTransient(error),
                (error) =>
                  Effect.sync(() => {
                    waiting.push({ partition, problem: isSqlError(error) ? sqlProblem(error) : error.message })
                    return undefined
                  })
              )
            )
          for (const partition of due) {
            const before = known.get(partition.partition)
            if (yield* isCurrent(before)) continue
            const dataset = yield* tried(partition.partition, archive.partition(partition))
            if (dataset === undefined) continue
            done.archived.push(dataset.name)
            done.rows += dataset.rows
            done.bytes += dataset.bytes
            yield* Effect.logInfo("partition archived", {
              dataset: dataset.name,
              rows: dataset.rows,
              bytes: dataset.bytes,
              id: dataset.datasetId
            })
          }
          const datasets = yield* attached
          for (const partition of due) {
            const days = daysOf(partition.table)
            const dataset = datasets.get(partition.partition)
            if (days === 0 || dataset === undefined || partition.toMillis > now - days * 24 * hourMillis) continue
            const problem = yield* tried(
              partition.partition,
              Effect.map(letGo(partition, dataset), (why) => why ?? "")
            )
            if (problem === undefined) continue
            if (problem === "") {
              done.detached.push(dataset.name)
              yield* Effect.logInfo("partition left the database, its rows are in the archive", {
                dataset: dataset.name
              })
            } else waiting.push({ partition: partition.partition, problem })
          }
          yield* archive.describe
          return { ...done, busy: false, waiting }
        }).pipe(Effect.scoped)

        /** How a pass went, or what ended it, is noted for whoever asks; not that another process was at it. */
        const pass = Effect.gen(function* () {
          const beganAtMillis = yield* Clock.currentTimeMillis
          const note = Effect.fnUntraced(function* (
            went: Pick<ArchivePass, "archived" | "rows" | "bytes" | "detached" | "waiting">,
            problem?: string
          ) {
            yield* ledger.notePass({
              ...went,
              archived: went.archived.length,
              detached: went.detached.length,
              beganAtMillis,
              endedAtMillis: yield* Clock.currentTimeMillis,
              problem
            })
          })
          return yield* overAll.pipe(
            Effect.tap((went) => (went.busy ? Effect.void : note(went))),
            Effect.tapError((error) =>
              isSqlError(error)
                ? Effect.void
                : note({ archived: [], rows: 0, bytes: 0, detached: [], waiting: [] }, error.message)
            )
          )
        }).pipe(Effect.withSpan("Retention.pass"))

        const archiveOne = Effect.fn("Retention.archiveOne")(function* (table: string, name: string) {
          const partition = (yield* source.partitions).find((one) => one.partition === name && one.table === table)
          if (partition === undefined) return `${table} has no partition ${name}`
          if (partition.toMillis > (yield* time.now)) return `${name} is not over`
          if (!(yield* archive.hold)) return "another process archives"
          if (yield* isCurrent((yield* attached).get(name))) return undefined
          yield* archive.partition(partition)
          yield* archive.describe
          return undefined
        }, Effect.scoped)

        return Retention.of({ pass, archiveOne })
      })
    )
}
