import type { Decimal } from "./Decimal.ts"
import * as DecimalOps from "./Decimal.ts"

/**
 * One `ticker` message: the top of the book and the counters of one market at one instant. An absent number was
 * absent on the wire; zero is zero. `exchangeMillis` is the exchange's clock, `receivedMillis` ours (same epoch).
 */
export interface Tick {
  readonly ticker: string
  readonly exchangeMillis: number
  readonly receivedMillis: number
  readonly price: Decimal | undefined
  readonly yesBid: Decimal | undefined
  readonly yesAsk: Decimal | undefined
  readonly yesBidSize: Decimal | undefined
  readonly yesAskSize: Decimal | undefined
  readonly lastTradeSize: Decimal | undefined
  readonly volume: Decimal | undefined
  readonly openInterest: Decimal | undefined
  readonly dollarVolume: Decimal | undefined
  readonly dollarOpenInterest: Decimal | undefined
}

const noBid = "0.0000" as Decimal
const noAsk = "1.0000" as Decimal

/**
 * The probability that a quote implies: the midpoint of a two-sided book; absent when either side is empty
 * (bid 0.0000 or ask 1.0000), because the midpoint of an empty book says nothing.
 */
export const impliedYesMid = (yesBid: Decimal | undefined, yesAsk: Decimal | undefined): Decimal | undefined =>
  yesBid === undefined ||
  yesAsk === undefined ||
  DecimalOps.compare(yesBid, noBid) <= 0 ||
  DecimalOps.compare(yesAsk, noAsk) >= 0
    ? undefined
    : DecimalOps.midpoint(yesBid, yesAsk)
