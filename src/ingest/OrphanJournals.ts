import * as fs from "node:fs"
import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { CaptureLedger } from "../store/CaptureLedger.ts"
import { CaptureProgress } from "./CaptureProgress.ts"
import { CaptureWriter } from "./CaptureWriter.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { Journal, type JournalOptions } from "./Journal.ts"
import * as JournalDirectory from "./JournalDirectory.ts"
import { ShardShare } from "./ShardShare.ts"

/** What one journal still holds goes into the database; what is stored and old enough is deleted. */
const finish = Effect.gen(function* () {
  const journal = yield* Journal
  const ledger = yield* CaptureLedger
  const progress = yield* CaptureProgress
  const loops = yield* Loops
  const { journalKeepHours } = yield* Setting.read(IngestConfig.capture)
  const end = yield* journal.end
  const before = Option.getOrUndefined(yield* ledger.position(journal.id))
  yield* Effect.raceFirst(progress.until(end), loops.ended)
  yield* journal.retire(end, (yield* Clock.currentTimeMillis) - journalKeepHours * 3_600_000)
  const after = Option.getOrUndefined(yield* ledger.position(journal.id))
  return before?.segment !== after?.segment || before?.offset !== after?.offset
})

const captureOf = (options: JournalOptions, { key, slotCount }: JournalDirectory.JournalShare) =>
  Layer.fresh(
    CaptureWriter.pipe(
      Layer.provideMerge(CaptureProgress.layer),
      Layer.provideMerge(Journal.layer({ ...options, compress: false })),
      Layer.provideMerge(Loops.layer),
      Layer.provide([Health.layer, ShardShare.layerStatic(key, slotCount, 0)])
    )
  )

/**
 * Stores what processes of this machine that are gone have left in their journals. Each process looks for such journals at its
 * start and every minute.
 */
export const OrphanJournals = Layer.effectDiscard(
  Effect.gen(function* () {
    const loops = yield* Loops
    const directory = yield* JournalDirectory.root

    const services = yield* Effect.context<Layer.Services<ReturnType<typeof captureOf>> | CaptureLedger>()

    const store = (name: string) =>
      Effect.gen(function* () {
        const share = JournalDirectory.shareOf(name)
        if (share === undefined) return
        const at = path.join(directory, name)
        if (Option.isNone(yield* Effect.option(JournalDirectory.hold(at)))) return
        const options = yield* JournalDirectory.optionsOf(at)
        if (yield* finish.pipe(Effect.provide(captureOf(options, share))))
          yield* Effect.logInfo("stored what another process left in its journal", { journal: name })
      }).pipe(Effect.scoped, Effect.provideContext(services))

    const pass = Effect.gen(function* () {
      const names = yield* Effect.sync(() => fs.readdirSync(directory))
      yield* Effect.forEach(
        names,
        (name) =>
          store(name).pipe(
            Effect.catch((error) =>
              Effect.logWarning("what another process left in its journal is not stored yet", {
                journal: name,
                reason: String(error)
              })
            )
          ),
        { discard: true }
      )
    })
    yield* loops.cycle("orphan-journals", { pass, every: "1 minute" })
  })
)
