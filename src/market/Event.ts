import * as Schema from "effect/Schema"
import { Decimal } from "./Decimal.ts"
import { Market } from "./Market.ts"
import { Timestamp } from "./Timestamp.ts"

/**
 * A question with one or more markets, e.g. `KXBTCD-26AUG2417`. An absent key was absent in the payload it came from
 * and must not erase what is known; `markets` is absent when none were asked for or all of them are archived.
 */
export const Event = Schema.Struct({
  eventTicker: Schema.String,
  seriesTicker: Schema.optionalKey(Schema.String),
  title: Schema.optionalKey(Schema.String),
  subTitle: Schema.optionalKey(Schema.String),
  category: Schema.optionalKey(Schema.String),
  collateralReturnType: Schema.optionalKey(Schema.String),
  mutuallyExclusive: Schema.optionalKey(Schema.Boolean),
  strikeDate: Schema.optionalKey(Timestamp),
  strikePeriod: Schema.optionalKey(Schema.String),
  cadence: Schema.optionalKey(Schema.String),
  /** False: the exchange says that there is none, or none any more. */
  hasFeeOverride: Schema.optionalKey(Schema.Boolean),
  feeTypeOverride: Schema.optionalKey(Schema.String),
  feeMultiplierOverride: Schema.optionalKey(Decimal),
  lastUpdated: Schema.optionalKey(Timestamp),
  exchangeIndex: Schema.optionalKey(Schema.Int),
  markets: Schema.optionalKey(Schema.Array(Market))
})
export type Event = typeof Event.Type
