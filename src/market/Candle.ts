import type { Decimal } from "./Decimal.ts"

/** Minutes of one candle. */
export type CandleInterval = 1 | 60 | 1440

export interface Ohlc {
  readonly open: Decimal
  readonly high: Decimal
  readonly low: Decimal
  readonly close: Decimal
}

/**
 * One period of one market. `endSeconds` is the inclusive end of the period (epoch seconds). `price` is absent when
 * nothing traded in it; bid 0.0000 and ask 1.0000 mean an empty side.
 */
export interface Candle {
  readonly ticker: string
  readonly intervalMinutes: CandleInterval
  readonly endSeconds: number
  readonly yesBid: Ohlc
  readonly yesAsk: Ohlc
  readonly price: (Ohlc & { readonly mean: Decimal | undefined }) | undefined
  readonly previousPrice: Decimal | undefined
  readonly volume: Decimal
  readonly openInterest: Decimal
}
