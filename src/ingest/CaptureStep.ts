import { CaptureBatch, type Reading } from "./CaptureBatch.ts"
import type { FeedState } from "./FeedState.ts"
import type { JournalPosition, JournalRecord } from "./JournalRecord.ts"

/** A run of journal records and what it means: `after` is the state past them, `before` the one they were read from. */
export interface CaptureStep {
  readonly records: ReadonlyArray<JournalRecord>
  /** The stored position that this goes on from. */
  readonly from: JournalPosition
  /** Where the first record begins: not at `from` when that is the end of a segment. */
  readonly start: JournalPosition
  readonly to: JournalPosition
  readonly before: FeedState
  readonly after: FeedState
  readonly batch: CaptureBatch
  /** How the records are read when they must be read again. */
  readonly again: Reading
}

/** Where the first of some records begins that were read from a position. */
export const startOf = (records: ReadonlyArray<JournalRecord>, from: JournalPosition): JournalPosition => {
  const { segment } = records[0]!.end
  return segment === from.segment ? from : { segment, offset: 0 }
}

export const read = (
  records: ReadonlyArray<JournalRecord>,
  from: JournalPosition,
  before: FeedState,
  how: Reading,
  again = how
): CaptureStep => {
  const batch = new CaptureBatch()
  const after = before.clone()
  const start = startOf(records, from)
  let at = start
  for (const record of records) {
    batch.read(record, at, after, how)
    at = record.end
  }
  return { records, from, start, to: at, before, after, batch, again }
}

/** The same records read in another way. */
export const readAgain = ({ again, before, from, records }: CaptureStep, how = again): CaptureStep =>
  read(records, from, before, how)

/** The same records in two halves; there must be two. */
export const split = ({ again, before, from, records }: CaptureStep): readonly [CaptureStep, CaptureStep] => {
  const middle = Math.floor(records.length / 2)
  const head = read(records.slice(0, middle), from, before, again)
  return [head, read(records.slice(middle), head.to, head.after, again)]
}

/** The same single record, put aside because the database refuses it. */
export const refused = (step: CaptureStep, cause: string): CaptureStep => {
  const batch = new CaptureBatch()
  const after = step.before.clone()
  batch.refuse(step.records[0]!, step.start, after, step.again, cause)
  return { ...step, after, batch }
}

/** Whether a step of one record may be put aside: it is a frame and was not put aside already. */
export const isRefusable = ({ batch }: CaptureStep): boolean => batch.frames > 0 && batch.quarantined.length === 0
