import * as Cache from "effect/Cache"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import { baskets, type Basket as MarketBasket } from "../market/Basket.ts"
import type { Decimal } from "../market/Decimal.ts"
import * as DecimalOps from "../market/Decimal.ts"
import * as Tick from "../market/Tick.ts"
import { fromMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { OpportunityReads, type QuotedLeg } from "../store/OpportunityReads.ts"
import { PortalConfig } from "./PortalConfig.ts"
import type { Basket, ModelGap } from "./SystemApi.ts"

export interface BasketQuery {
  readonly quality?: "confirmed" | "all" | undefined
  readonly side?: "buy" | "sell" | undefined
  readonly maxTickAgeMinutes?: number | undefined
  readonly limit?: number | undefined
}

export interface ModelQuery {
  readonly minGap?: number | undefined
  readonly minConfidence?: number | undefined
  readonly maxAgeMinutes?: number | undefined
  readonly maxTickAgeMinutes?: number | undefined
  readonly limit?: number | undefined
}

const shownAtFirst = 75
const zero = "0.0000" as Decimal
const isPositive = (value: Decimal | null) => value !== null && DecimalOps.compare(value, zero) > 0

const doubts = (
  basket: MarketBasket,
  legs: ReadonlyArray<QuotedLeg>,
  ageMillis: number | null,
  maxAgeMillis: number
) => {
  const [first] = legs
  const why: Array<string> = []
  if (basket.side === "buy" && (basket.missing > 0 || first!.others > 0 || first!.siblings < legs.length))
    why.push("not every outcome can be bought")
  if (DecimalOps.compare(basket.size, zero) <= 0) why.push("no whole basket is offered")
  if (basket.fee === null) why.push("the fee of this series is not known")
  if (ageMillis === null || ageMillis > maxAgeMillis) why.push("a quote is old")
  if (legs.some(({ source }) => source !== "live")) why.push("a quote is not from the stream")
  return why
}

const byEvent = (legs: ReadonlyArray<QuotedLeg>) => {
  const events = new Map<string, Array<QuotedLeg>>()
  for (const leg of legs) {
    const known = events.get(leg.eventTicker)
    if (known === undefined) events.set(leg.eventTicker, [leg])
    else known.push(leg)
  }
  return events
}

/** What prices say against each other, and against forecasts. Read at most every two seconds, whoever asks. */
export class Opportunities extends Context.Service<
  Opportunities,
  {
    readonly baskets: (query: BasketQuery) => Effect.Effect<ReadonlyArray<Basket>, SqlError>
    readonly modelGaps: (query: ModelQuery) => Effect.Effect<ReadonlyArray<ModelGap>, SqlError>
  }
>()("kalshi-ingestor/portal/Opportunities") {
  static readonly layer = Layer.effect(
    Opportunities,
    Effect.gen(function* () {
      const reads = yield* OpportunityReads
      const config = yield* PortalConfig
      const time = yield* ExchangeTime
      const legs = yield* Effect.cachedWithTTL(reads.legs, "2 seconds")
      const closes = (millis: number | null) => (millis === null ? null : fromMillis(millis))

      /** Every basket with an edge before fees, best first. */
      const compute = Effect.fn("Opportunities.compute")(function* (maxAgeMinutes: number) {
        const now = yield* time.now
        const found = [...byEvent(yield* legs)].flatMap(([eventTicker, own]): ReadonlyArray<Basket> => {
          const [first] = own
          if (first === undefined || first.mutuallyExclusive !== true || own.length < 2) return []
          const ages = own.map(({ quotedMillis }) =>
            quotedMillis === null ? null : time.toWallSpan(now - quotedMillis)
          )
          const oldest = ages.reduce<number | null>(
            (most, age) => (most === null || age === null ? null : Math.max(most, age)),
            0
          )
          const both = baskets(own, { type: first.feeType, multiplier: first.feeMultiplier })
          return [both.buy, both.sell].flatMap((basket) => {
            if (basket === undefined || DecimalOps.compare(basket.edge, zero) <= 0) return []
            const why = doubts(basket, own, oldest, maxAgeMinutes * 60_000)
            const pays = isPositive(basket.profit)
            return [
              {
                ...basket,
                eventTicker,
                title: first.eventTitle,
                strikePeriod: first.strikePeriod,
                closeTime: closes(first.closeMillis),
                quality: why.length === 0 && pays ? ("confirmed" as const) : ("indicative" as const),
                why: why.length === 0 && !pays ? ["fees take it"] : why,
                oldestQuoteSeconds: oldest === null ? null : oldest / 1000
              }
            ]
          })
        })
        return found.toSorted(
          (a, b) =>
            Number(b.quality === "confirmed") - Number(a.quality === "confirmed") ||
            DecimalOps.compare(b.profit ?? zero, a.profit ?? zero) ||
            DecimalOps.compare(b.edge, a.edge)
        )
      })
      const computed = yield* Cache.make({ capacity: 20, timeToLive: "2 seconds", lookup: compute })

      const findBaskets = Effect.fn("Opportunities.baskets")(function* (query: BasketQuery) {
        const all = yield* Cache.get(computed, query.maxTickAgeMinutes ?? config.opportunityMaxTickAgeMinutes)
        return all
          .filter(
            ({ quality, side }) =>
              (query.quality === "all" || quality === "confirmed") && (query.side === undefined || query.side === side)
          )
          .slice(0, query.limit ?? shownAtFirst)
      })

      const modelGaps = Effect.fn("Opportunities.modelGaps")(function* (query: ModelQuery) {
        const now = yield* time.now
        const minGap = query.minGap ?? config.opportunityMinGap
        const minConfidence = query.minConfidence ?? config.opportunityMinConfidence
        const maxAge = (query.maxAgeMinutes ?? config.opportunityMaxAgeMinutes) * 60_000
        const maxTickAge = (query.maxTickAgeMinutes ?? config.opportunityMaxTickAgeMinutes) * 60_000
        const found = (yield* legs).flatMap((leg): ReadonlyArray<ModelGap> => {
          const mid = Tick.impliedYesMid(leg.yesBid ?? undefined, leg.yesAsk ?? undefined)
          if (leg.forecast === null || leg.forecastMillis === null || mid === undefined) return []
          const age = time.toWallSpan(now - leg.forecastMillis)
          const tickAge = leg.quotedMillis === null ? null : time.toWallSpan(now - leg.quotedMillis)
          if (age > maxAge || tickAge === null || tickAge > maxTickAge) return []
          if (leg.confidence !== null && Number(leg.confidence) < minConfidence) return []
          const gap = DecimalOps.subtract(leg.forecast, mid)
          if (Math.abs(Number(gap)) < minGap) return []
          return [
            {
              ticker: leg.ticker,
              name: leg.name,
              eventTicker: leg.eventTicker,
              title: leg.eventTitle,
              strikePeriod: leg.strikePeriod,
              closeTime: closes(leg.closeMillis),
              forecast: leg.forecast,
              confidence: leg.confidence,
              impliedMid: mid,
              gap,
              yesBid: leg.yesBid,
              yesAsk: leg.yesAsk,
              forecastAgeSeconds: age / 1000,
              quoteAgeSeconds: tickAge / 1000
            }
          ]
        })
        return found
          .toSorted((a, b) => Math.abs(Number(b.gap)) - Math.abs(Number(a.gap)))
          .slice(0, query.limit ?? shownAtFirst)
      })

      return Opportunities.of({ baskets: findBaskets, modelGaps })
    })
  )
}
