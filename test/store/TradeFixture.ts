import * as Effect from "effect/Effect"
import type { Decimal } from "../../src/market/Decimal.ts"
import { fromMillis, type Timestamp } from "../../src/market/Timestamp.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import type { StoredTrade } from "../../src/store/Trades.ts"

/** 2026-08-24T15:50:00Z */
export const start = 1_787_586_600_000

export const tradeId = (n: number) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`

const common = (n: number) => ({
  tradeId: tradeId(n),
  ticker: `M-${n % 3}`,
  count: `${n + 1}.50` as Decimal,
  yesPrice: "0.4710" as Decimal,
  noPrice: "0.5290" as Decimal,
  takerSide: n % 2 === 0 ? ("yes" as const) : ("no" as const),
  isBlockTrade: false
})

/** As the live feed shows it: milliseconds. */
export const live = (n: number, millis: number): StoredTrade => ({
  ...common(n),
  createdTime: fromMillis(millis),
  receivedMillis: millis + 7,
  provenance: "live"
})

/** As the exchange's list shows it: microseconds. */
export const listed = (n: number, millis: number, micros = 250): StoredTrade => ({
  ...common(n),
  createdTime: fromMillis(millis).replace("Z", `${String(micros).padStart(3, "0")}Z`) as Timestamp,
  receivedMillis: undefined,
  provenance: "repaired"
})

export const prepared = Effect.gen(function* () {
  yield* MarketKeys.use((keys) => keys.register(new Set(["M-0", "M-1", "M-2"])))
  yield* Partitions.use((partitions) => partitions.ensureDays("trades", [Partitions.dayOf(start)]))
})
