import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { JournalPosition } from "./JournalRecord.ts"

const reaches = (stored: JournalPosition, wanted: JournalPosition) =>
  stored.segment > wanted.segment || (stored.segment === wanted.segment && stored.offset >= wanted.offset)

/** How far the journal of this process is in the database. */
export class CaptureProgress extends Context.Service<
  CaptureProgress,
  {
    readonly position: Effect.Effect<JournalPosition>
    moved(position: JournalPosition): Effect.Effect<void>
    /** Waits until everything before the position is stored. */
    until(position: JournalPosition): Effect.Effect<void>
  }
>()("kalshi-ingestor/ingest/CaptureProgress") {
  static readonly layer = Layer.effect(
    CaptureProgress,
    Effect.gen(function* () {
      const stored = yield* SubscriptionRef.make<JournalPosition>({ segment: 0, offset: 0 })
      return CaptureProgress.of({
        position: SubscriptionRef.get(stored),
        moved: (position) => SubscriptionRef.set(stored, position),
        until: (wanted) =>
          SubscriptionRef.changes(stored).pipe(
            Stream.takeUntil((position) => reaches(position, wanted)),
            Stream.runDrain
          )
      })
    })
  )
}
