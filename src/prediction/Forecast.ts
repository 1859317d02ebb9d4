import * as Schema from "effect/Schema"

/** What a handler says about one market. */
export const Forecast = Schema.Struct({
  marketTicker: Schema.String,
  /** The probability of YES, 0 to 1, both included. */
  yesProb: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
  /** How sure the handler is, 0 to 1. */
  confidence: Schema.optional(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
  rationale: Schema.optional(Schema.String),
  /** Whatever else should be kept; JSON. */
  raw: Schema.optional(Schema.Json)
})
export type Forecast = typeof Forecast.Type

export const longestRationale = 4000

/** What is wrong with a set of forecasts of these markets; nothing when it can be stored. */
export const problemOf = (
  forecasts: ReadonlyArray<Forecast>,
  marketTickers: ReadonlySet<string>
): string | undefined => {
  const seen = new Set<string>()
  for (const { marketTicker } of forecasts) {
    if (!marketTickers.has(marketTicker)) return `a forecast is about ${shown(marketTicker)}, which was not asked`
    if (seen.has(marketTicker)) return `there are two forecasts of ${marketTicker}`
    seen.add(marketTicker)
  }
  return undefined
}

const shown = (text: string) => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
