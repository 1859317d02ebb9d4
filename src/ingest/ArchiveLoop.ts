import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { ArchiveLedger } from "../store/ArchiveLedger.ts"
import { ArchiveSource } from "../store/ArchiveSource.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { Archive } from "./Archive.ts"
import * as ArchiveConfig from "./ArchiveConfig.ts"
import { Retention } from "./Retention.ts"

const archivedRows = Metric.counter("archived_rows", {
  description: "Rows that were copied into verified files",
  incremental: true
})
const detachedPartitions = Metric.counter("archive_partitions_detached", {
  description: "Partitions that left the database",
  incremental: true
})
const waitingPartitions = Metric.gauge("archive_partitions_waiting", {
  description: "Partitions that the last pass could not archive or let go of"
})

const directoryFix = "name a directory with room, on a disk that is backed up"

/** Archive and retention as the settings say; ARCHIVE_DIR must be set. */
export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const config = yield* Setting.read({
      ...ArchiveConfig.all,
      directory: Setting.required(ArchiveConfig.archive.directory, directoryFix)
    })
    return Retention.layerWith(config).pipe(
      Layer.provideMerge(Archive.layerWith(config)),
      Layer.provideMerge(Layer.merge(ArchiveLedger.layer, ArchiveSource.layer))
    )
  })
)

/** Nothing when ARCHIVE_DIR is unset. */
export const layerIfSet = Layer.unwrap(
  Effect.map(Setting.read({ directory: ArchiveConfig.archive.directory }), ({ directory }) =>
    directory === undefined ? Layer.empty : layer
  )
)

/** Archives what is finished, and lets go of what is old; with ARCHIVE_DIR only. */
export const ArchiveLoop = Layer.unwrap(
  Effect.gen(function* () {
    const config = yield* Setting.read(ArchiveConfig.all)
    if (config.directory === undefined) {
      const name =
        config.ticksDays > 0 ? "RETENTION_TICKS_DAYS" : config.booksDays > 0 ? "RETENTION_BOOKS_DAYS" : undefined
      if (name !== undefined)
        return yield* new SettingError({
          setting: name,
          problem: "nothing may leave the database without an archive, and ARCHIVE_DIR is not set",
          fix: `set ARCHIVE_DIR, or ${name}=0`
        })
      return Layer.empty
    }
    return config.everySeconds === 0 ? Layer.empty : Passes(config.everySeconds).pipe(Layer.provide(layer))
  })
)

const Passes = (everySeconds: number) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const loops = yield* Loops
      const health = yield* Health
      const retention = yield* Retention
      const state = { ok: true, detail: "no pass yet" }

      const pass = Effect.gen(function* () {
        const done = yield* untilDatabaseAnswers(retention.pass)
        if (done.busy) return
        yield* Metric.update(archivedRows, done.rows)
        yield* Metric.update(detachedPartitions, done.detached.length)
        yield* Metric.update(waitingPartitions, done.waiting.length)
        for (const { partition, problem } of done.waiting)
          yield* Effect.logWarning("partition waits for the archive", { partition, problem })
        state.ok = done.waiting.length === 0
        state.detail = state.ok
          ? `${done.archived.length} archived, ${done.detached.length} left the database`
          : `${done.waiting.length} partitions wait: ${done.waiting[0]!.problem}`
      }).pipe(
        // A full or missing disk is told, and tried again: recording goes on.
        Effect.catchTag("ArchiveError", (error) => {
          state.ok = false
          state.detail = error.message
          return Effect.logError("the archive cannot be written", { problem: error.message })
        })
      )
      yield* health.register(
        "archive",
        Effect.sync(() => ({ ...state }))
      )
      yield* loops.cycle("archive", { pass, every: Duration.seconds(everySeconds) })
    })
  )
