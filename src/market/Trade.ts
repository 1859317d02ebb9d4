import type { Decimal } from "./Decimal.ts"
import type { Timestamp } from "./Timestamp.ts"

/** One public fill. `count` is contracts; `yesPrice + noPrice = 1` dollar. Key: `tradeId`. */
export interface Trade {
  readonly tradeId: string
  readonly ticker: string
  readonly count: Decimal
  readonly yesPrice: Decimal
  readonly noPrice: Decimal
  readonly takerSide: "yes" | "no" | undefined
  readonly isBlockTrade: boolean
  readonly createdTime: Timestamp
}
