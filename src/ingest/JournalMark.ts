import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { gapCauses } from "../store/CaptureLedger.ts"

/** What a journal record that is no frame says beside its kind. Instants of connections are our wall clock. */
export const JournalMark = Schema.Struct({
  /** For people. */
  detail: Schema.optionalKey(Schema.String),
  /** Why the link ended. */
  cause: Schema.optionalKey(Schema.Literals(gapCauses)),
  /** The slots of markets it is about; absent: all that this journal records. */
  slots: Schema.optionalKey(Schema.Array(Schema.Int)),
  /** Since when what it is about may not have been heard, where that is earlier than the mark. */
  sinceMillis: Schema.optionalKey(Schema.Finite),
  /** The number of the connection that was opened: grows with each. */
  connection: Schema.optionalKey(Schema.Int)
})
export type JournalMark = typeof JournalMark.Type

const fromText = Schema.decodeUnknownOption(Schema.fromJsonString(JournalMark))

export const encodeMark = (mark: JournalMark): string => JSON.stringify(mark)

/** Total: text that is no mark is its detail, as in journals of earlier versions. */
export const decodeMark = (payload: string): JournalMark =>
  Option.getOrElse(fromText(payload), () => (payload === "" ? {} : { detail: payload }))
