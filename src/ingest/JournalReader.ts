import * as Effect from "effect/Effect"
import { attempt, type JournalError } from "./JournalError.ts"
import type { JournalPosition } from "./JournalRecord.ts"
import * as JournalRecord from "./JournalRecord.ts"
import type { JournalSegments } from "./JournalSegments.ts"

/** `next`: where to go on. */
export interface RecordsRead {
  readonly records: ReadonlyArray<JournalRecord.JournalRecord>
  readonly next: JournalPosition
}

const readBytes = 1024 * 1024

/** The next whole record after damaged bytes is looked for within this many. */
const resumeWithin = 128 * 1024 * 1024

/** Reads the records of a journal's files up to `endOf`, over torn and damaged ones. */
export const makeReader = (
  files: JournalSegments,
  endOf: () => JournalPosition
): {
  /** Whole records after `from`, in order; none at the end. */
  readonly read: (from: JournalPosition, limit: number) => Effect.Effect<RecordsRead, JournalError>
} => {
  const segments = attempt("read", () => files.list())
  const readAt = (position: JournalPosition, bytes: number) =>
    attempt("read", () => files.read(position.segment, position.offset, bytes))
  const nextSegment = Effect.fnUntraced(function* (after: number) {
    const following = (yield* segments).find((segment) => segment > after)
    return following === undefined || following > endOf().segment ? undefined : { segment: following, offset: 0 }
  })

  /** Past damaged bytes, to the next whole record of the segment; nothing when none follows. */
  const skipDamage = Effect.fnUntraced(function* (position: JournalPosition, limitBytes: number) {
    const rest = yield* readAt(position, Math.min(limitBytes, resumeWithin))
    if (rest.length === 0) return undefined
    const skipped = JournalRecord.resume(rest)
    if (skipped === undefined)
      yield* Effect.logWarning("journal segment ends in a torn record", { ...position, bytes: rest.length })
    else yield* Effect.logError("journal segment is damaged, bytes are skipped", { ...position, bytes: skipped })
    return skipped === undefined ? undefined : { ...position, offset: position.offset + skipped }
  })

  const read = Effect.fnUntraced(function* (from: JournalPosition, limit: number) {
    let position = from
    while (true) {
      const end = endOf()
      const live = position.segment === end.segment
      const limitBytes = live ? end.offset - position.offset : Number.POSITIVE_INFINITY
      if (live && limitBytes <= 0) return { records: [], next: position }
      let wanted = Math.min(readBytes, limitBytes)
      let resumed: JournalPosition | undefined
      while (true) {
        const buffer = yield* readAt(position, wanted)
        const decoded = JournalRecord.decode(buffer, position, limit)
        if (decoded.consumed > 0)
          return {
            records: decoded.records,
            next: { segment: position.segment, offset: position.offset + decoded.consumed }
          }
        if (decoded.tail === "more" && decoded.needed > wanted && buffer.length === wanted && wanted < limitBytes) {
          wanted = Math.min(decoded.needed, limitBytes)
          continue
        }
        if (buffer.length > 0) resumed = yield* skipDamage(position, limitBytes)
        break
      }
      if (resumed !== undefined) {
        position = resumed
        continue
      }
      if (live) return { records: [], next: position }
      const following = yield* nextSegment(position.segment)
      if (following === undefined) return { records: [], next: position }
      position = following
    }
  })

  return { read }
}
