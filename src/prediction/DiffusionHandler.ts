import * as Effect from "effect/Effect"
import type { ForecastMarket } from "../store/ForecastInputs.ts"
import { model, type Strike } from "./Diffusion.ts"
import type { Handler } from "./Handler.ts"

/** Markets whose past is read: those nearest to one half tell the most. */
const watched = 12

/** The model of `Diffusion` over the event's strikes, quotes, ticks and candles; needs no language model. */
export const diffusion: Handler = {
  name: "statistical:diffusion",
  model: undefined,
  ready: Effect.succeed(true),
  predict: Effect.fn("diffusion.predict")(function* (request, notes) {
    const { at, event, markets } = request
    const strikes = markets.map(toStrike)
    const close = Math.max(...markets.map(({ closeTime }) => Date.parse(closeTime)))
    const history = yield* request.history(markets.slice(0, watched).map(({ ticker }) => ticker))
    const { law, probabilities } = model({ strikes, exclusive: event.mutuallyExclusive, now: at, close, history })
    notes.parameters = { ...law, samples: history.length, exclusive: event.mutuallyExclusive }
    return [...probabilities].map(([marketTicker, yesProb]) => ({ marketTicker, yesProb }))
  })
}

const toStrike = ({ capStrike, floorStrike, quote, strikeType, ticker }: ForecastMarket): Strike => {
  const floor = floorStrike === null ? Number.NaN : Number(floorStrike)
  const cap = capStrike === null ? Number.NaN : Number(capStrike)
  return { ticker, kind: kindOf(strikeType ?? "", floor, cap), floor, cap, seen: seenIn(quote) }
}

const kindOf = (type: string, floor: number, cap: number): Strike["kind"] => {
  if (type.startsWith("greater") && Number.isFinite(floor)) return "above"
  if (type.startsWith("less") && Number.isFinite(cap)) return "below"
  return type === "between" && floor <= cap ? "between" : "other"
}

/** The middle of the quote; with one side empty, the middle between the other side and the end of the scale. */
const seenIn = (quote: ForecastMarket["quote"]): number | undefined => {
  if (quote === undefined || quote.yesBid === null || quote.yesAsk === null) return undefined
  const bid = Number(quote.yesBid)
  const ask = Number(quote.yesAsk)
  return bid <= 0 && ask >= 1 ? undefined : (bid + ask) / 2
}
