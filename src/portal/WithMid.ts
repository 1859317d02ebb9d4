import type { Decimal } from "../market/Decimal.ts"
import * as Tick from "../market/Tick.ts"

/** A row with the midpoint that its quote implies; null for a quote with one side. */
export const withMid = <Row extends { readonly yesBid: Decimal | null; readonly yesAsk: Decimal | null }>(
  row: Row
) => ({
  ...row,
  impliedMid: Tick.impliedYesMid(row.yesBid ?? undefined, row.yesAsk ?? undefined) ?? null
})
