import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ImportedLifecycle } from "../store/ImportedHistory.ts"
import type { Fault } from "../store/ImportFaults.ts"
import type { OriginalLifecycle } from "../store/OriginalRows.ts"
import { isPossible, type Judged } from "./OriginalTicks.ts"

/**
 * One lifecycle message. The exchange stamps none of them, so the original's `ts` is when it was received. A message that an earlier
 * row says too is refused: each subscription of the original brought the whole exchange's messages once more.
 */
export const judgeLifecycle = (row: OriginalLifecycle, nowMillis: number): Judged<ImportedLifecycle> => {
  const detail = { ...row, id: String(row.id), micros: undefined }
  if (!isPossible(row.micros, nowMillis))
    return { row: undefined, faults: [{ kind: "impossible_stamp", repaired: false, detail }] }
  if (row.repeated) return { row: undefined, faults: [{ kind: "repeated", repaired: true }] }
  const faults: Array<Fault> = []
  if (row.raw === null || row.raw === "null") faults.push({ kind: "raw_missing", repaired: false })
  if (row.event_type === "unknown" || row.event_type === "") faults.push({ kind: "kind_missing", repaired: false })
  return {
    row: {
      id: row.id,
      micros: row.micros,
      marketTicker: row.market_ticker ?? undefined,
      kind: row.event_type === "" ? "unknown" : row.event_type,
      raw: row.raw === null || row.raw === "null" ? encodeRest(rest(row)) : row.raw
    },
    faults
  }
}

const Rest = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite])))
const encodeRest = Schema.encodeSync(Rest)

/** What is left of a message that was not kept. */
const rest = (row: OriginalLifecycle): Record<string, string | number> => ({
  event_type: row.event_type,
  ...Option.match(Option.fromNullishOr(row.market_ticker), {
    onNone: () => ({}),
    onSome: (market_ticker) => ({ market_ticker })
  }),
  ...(row.open_ts === null ? {} : { open_ts: Number(row.open_ts) }),
  ...(row.close_ts === null ? {} : { close_ts: Number(row.close_ts) })
})
