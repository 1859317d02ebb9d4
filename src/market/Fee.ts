import type { Decimal } from "./Decimal.ts"
import * as DecimalOps from "./Decimal.ts"

/** How a series, or an event of its own, charges for trades. */
export interface FeeRule {
  /** The exchange's word, e.g. `quadratic`; null when it was never read. */
  readonly type: string | null
  readonly multiplier: Decimal | null
}

/** What a taker pays is the same in all of these; they differ in what a maker pays. */
const quadratic: ReadonlySet<string> = new Set([
  "quadratic",
  "quadratic_with_maker_fees",
  "quadratic_with_combo_maker_fees"
])

const one = 10n ** 12n
const takerRate = (7n * one) / 100n
const cent = one / 100n

/**
 * The exchange's fee, in dollars, on taking `count` contracts at `price`: 0.07 × multiplier × count × price × (1 − price), up to the
 * next cent. Undefined when the rule's formula is not known; a fee that is not known is not zero.
 */
export const takerFee = (rule: FeeRule, price: Decimal, count: Decimal): Decimal | undefined => {
  if (rule.type === null || rule.multiplier === null || !quadratic.has(rule.type)) return undefined
  const p = DecimalOps.toScaled(price)
  const exact = takerRate * DecimalOps.toScaled(rule.multiplier) * DecimalOps.toScaled(count) * p * (one - p)
  const perCent = one ** 4n * cent
  return DecimalOps.fromScaled(((exact + perCent - 1n) / perCent) * cent)
}
