import * as Schema from "effect/Schema"
import { Decimal } from "./Decimal.ts"
import { Timestamp } from "./Timestamp.ts"

/** The exchange's own status words; an unknown word is kept as it came. */
export const MarketStatus = Schema.String
export type MarketStatus = typeof MarketStatus.Type

/** Statuses of a market that can still trade, now or after a pause. */
export const liveStatuses: ReadonlySet<MarketStatus> = new Set(["active", "inactive"])
/** Statuses after which the result cannot change any more. */
export const finalStatuses: ReadonlySet<MarketStatus> = new Set(["finalized", "settled"])

export const PriceRange = Schema.Struct({ start: Decimal, end: Decimal, step: Decimal })
export type PriceRange = typeof PriceRange.Type

/** The quote and counters of a market at one moment. Prices in dollars, sizes in contracts. */
export const Quote = Schema.Struct({
  price: Schema.optionalKey(Decimal),
  yesBid: Schema.optionalKey(Decimal),
  yesAsk: Schema.optionalKey(Decimal),
  yesBidSize: Schema.optionalKey(Decimal),
  yesAskSize: Schema.optionalKey(Decimal),
  volume: Schema.optionalKey(Decimal),
  volume24h: Schema.optionalKey(Decimal),
  openInterest: Schema.optionalKey(Decimal)
})
export type Quote = typeof Quote.Type

/**
 * One outcome of an event, e.g. `KXBTCD-26AUG2417-T80749.99`. Only `ticker` is certain: an absent key was absent
 * in the payload it came from (REST, or one WebSocket lifecycle message) and must not erase what is known.
 */
export const Market = Schema.Struct({
  ticker: Schema.String,
  eventTicker: Schema.optionalKey(Schema.String),
  marketType: Schema.optionalKey(Schema.String),
  title: Schema.optionalKey(Schema.String),
  yesSubTitle: Schema.optionalKey(Schema.String),
  noSubTitle: Schema.optionalKey(Schema.String),
  status: Schema.optionalKey(MarketStatus),
  createdTime: Schema.optionalKey(Timestamp),
  updatedTime: Schema.optionalKey(Timestamp),
  openTime: Schema.optionalKey(Timestamp),
  closeTime: Schema.optionalKey(Timestamp),
  expectedExpirationTime: Schema.optionalKey(Timestamp),
  latestExpirationTime: Schema.optionalKey(Timestamp),
  determinationTime: Schema.optionalKey(Timestamp),
  settlementTime: Schema.optionalKey(Timestamp),
  settlementTimerSeconds: Schema.optionalKey(Schema.Int),
  settlementValue: Schema.optionalKey(Decimal),
  result: Schema.optionalKey(Schema.String),
  expirationValue: Schema.optionalKey(Schema.String),
  canCloseEarly: Schema.optionalKey(Schema.Boolean),
  strikeType: Schema.optionalKey(Schema.String),
  floorStrike: Schema.optionalKey(Decimal),
  capStrike: Schema.optionalKey(Decimal),
  functionalStrike: Schema.optionalKey(Schema.String),
  customStrike: Schema.optionalKey(Schema.Unknown),
  rulesPrimary: Schema.optionalKey(Schema.String),
  rulesSecondary: Schema.optionalKey(Schema.String),
  priceLevelStructure: Schema.optionalKey(Schema.String),
  priceRanges: Schema.optionalKey(Schema.Array(PriceRange)),
  isProvisional: Schema.optionalKey(Schema.Boolean),
  isMultivariate: Schema.optionalKey(Schema.Boolean),
  exchangeIndex: Schema.optionalKey(Schema.Int),
  quote: Schema.optionalKey(Quote)
})
export type Market = typeof Market.Type
