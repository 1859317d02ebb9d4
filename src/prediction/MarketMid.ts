import * as Effect from "effect/Effect"
import type { Handler } from "./Handler.ts"

/** The market's own probability: the middle of its quote. A market with an empty side says nothing and is left out. */
export const marketMid: Handler = {
  name: "baseline:market_mid",
  model: undefined,
  ready: Effect.succeed(true),
  predict: ({ markets }) =>
    Effect.succeed(
      markets.flatMap(({ quote, ticker }) => {
        const mid = quote?.mid
        return mid === undefined || mid === null ? [] : [{ marketTicker: ticker, yesProb: Number(mid) }]
      })
    )
}
