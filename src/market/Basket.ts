import type { Decimal } from "./Decimal.ts"
import * as DecimalOps from "./Decimal.ts"
import { type FeeRule, takerFee } from "./Fee.ts"

/** One outcome of an event as it is quoted: dollars and contracts. Null is not known or not there. */
export interface BasketLeg {
  readonly yesBid: Decimal | null
  readonly yesBidSize: Decimal | null
  readonly yesAsk: Decimal | null
  readonly yesAskSize: Decimal | null
}

/** One of each outcome, taken at once. Dollars. */
export interface Basket {
  /** `buy`: yes of every outcome at its ask, one of them pays 1. `sell`: yes of every outcome at its bid, one of them costs 1 at most. */
  readonly side: "buy" | "sell"
  /** Sum of the prices. */
  readonly sum: Decimal
  readonly legs: number
  /** Outcomes without a price on this side. A basket to buy that lacks one may pay nothing. */
  readonly missing: number
  /** Whole baskets that the sizes at these prices allow. */
  readonly size: Decimal
  /** Per basket, before fees. */
  readonly edge: Decimal
  /** On `size` baskets; null when the series' fee is not known. */
  readonly fee: Decimal | null
  /** On `size` baskets, fees taken off; null when they are not known. */
  readonly profit: Decimal | null
}

const zero = "0.0000" as Decimal
const one = "1.0000" as Decimal

const isBid = (price: Decimal | null): price is Decimal => price !== null && DecimalOps.compare(price, zero) > 0
const isAsk = (price: Decimal | null): price is Decimal =>
  price !== null && DecimalOps.compare(price, one) < 0 && DecimalOps.compare(price, zero) > 0

const unit = 10n ** 12n
const times = (price: Decimal, count: Decimal) =>
  DecimalOps.fromScaled((DecimalOps.toScaled(price) * DecimalOps.toScaled(count)) / unit)
const whole = (count: Decimal) => {
  const scaled = DecimalOps.toScaled(count)
  return DecimalOps.fromScaled(scaled <= 0n ? 0n : scaled - (scaled % unit))
}

const basket = (
  side: Basket["side"],
  priced: ReadonlyArray<readonly [price: Decimal, size: Decimal | null]>,
  missing: number,
  rule: FeeRule
): Basket | undefined => {
  const [first] = priced
  if (first === undefined) return undefined
  const sum = priced.reduce((total, [price]) => DecimalOps.add(total, price), zero)
  const size = whole(
    priced.reduce(
      (least, [, size]) => (DecimalOps.compare(size ?? zero, least) < 0 ? (size ?? zero) : least),
      first[1] ?? zero
    )
  )
  const edge = side === "buy" ? DecimalOps.subtract(one, sum) : DecimalOps.subtract(sum, one)
  const fee = priced.reduce<Decimal | null>((total, [price]) => {
    const own = takerFee(rule, price, size)
    return total === null || own === undefined ? null : DecimalOps.add(total, own)
  }, zero)
  const profit = fee === null ? null : DecimalOps.subtract(times(edge, size), fee)
  return { side, sum, legs: priced.length, missing, size, edge, fee, profit }
}

/**
 * The two baskets of an event of which at most one outcome comes true. Buying pays asks and needs every outcome; selling takes bids
 * and may leave out what nobody bids for. Never a midpoint, never a last price.
 */
export const baskets = (legs: ReadonlyArray<BasketLeg>, rule: FeeRule) => {
  const asks = legs.flatMap(({ yesAsk, yesAskSize }) => (isAsk(yesAsk) ? [[yesAsk, yesAskSize] as const] : []))
  const bids = legs.flatMap(({ yesBid, yesBidSize }) => (isBid(yesBid) ? [[yesBid, yesBidSize] as const] : []))
  return {
    buy: basket("buy", asks, legs.length - asks.length, rule),
    sell: basket("sell", bids, legs.length - bids.length, rule)
  }
}
