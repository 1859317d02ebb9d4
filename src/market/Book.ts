import type { Decimal } from "./Decimal.ts"

/** Price in dollars, size in contracts. */
export type BookLevel = readonly [price: Decimal, size: Decimal]

/** Resting bids of both sides, ascending by price: the best level is the last. */
export interface Book {
  readonly ticker: string
  readonly yes: ReadonlyArray<BookLevel>
  readonly no: ReadonlyArray<BookLevel>
}
