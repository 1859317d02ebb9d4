/** Known faults of the original's rows; `docs/import.md` says what each means and what is done about it. */
export const faultKinds = [
  "cents_missing",
  "counts_missing",
  "zero_lost",
  "stamp_in_seconds",
  "stamp_of_recorder",
  "mid_missing",
  "mid_of_one_side",
  "price_from_quote",
  "unit_guess",
  "impossible_number",
  "impossible_stamp",
  "snapshot",
  "raw_missing",
  "odd_interval",
  "repeated",
  "kind_missing",
  "title_erased",
  "times_erased",
  "series_missing",
  "strike_rounded",
  "strike_doubtful",
  "settlement_missing",
  "placeholder",
  "run_failed",
  "forecast_of_failed_run",
  "forecast_incomplete",
  "run_missing",
  "market_unknown",
  "after_close",
  "price_as_forecast",
  "document_empty",
  "document_too_long",
  "stamp_missing",
  "embedding_broken",
  "embedding_hashed"
] as const
export type FaultKind = (typeof faultKinds)[number]

/** `repaired`: what is stored here is right all the same. `detail`: what the source says instead. */
export interface Fault {
  readonly kind: FaultKind
  readonly repaired: boolean
  readonly detail?: unknown
}

/** A fault of one row. `key`: of the row in the source; `micros`: its stamp as stored here, where it has one. */
export interface RowFault extends Fault {
  readonly ticker: string | undefined
  readonly key: string
  readonly micros: number | undefined
}

/** Kinds that whole stretches of rows share: told by market and day. The others are told row by row. */
const shared: ReadonlySet<FaultKind> = new Set([
  "cents_missing",
  "counts_missing",
  "zero_lost",
  "stamp_in_seconds",
  "stamp_of_recorder",
  "mid_missing",
  "mid_of_one_side",
  "snapshot",
  "raw_missing",
  "repeated",
  "run_failed",
  "run_missing",
  "market_unknown",
  "after_close",
  "price_as_forecast",
  "document_empty",
  "stamp_missing",
  "embedding_hashed"
])

/** Whether a fault is told row by row: where somebody has to look at the very row. */
export const isToldByRow = ({ detail, kind, repaired }: Fault): boolean =>
  !shared.has(kind) && (!repaired || detail !== undefined)
