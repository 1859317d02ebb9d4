import * as Schema from "effect/Schema"
import { Decimal } from "./Decimal.ts"
import { Timestamp } from "./Timestamp.ts"

/**
 * A family of recurring events, e.g. `KXBTCD`. An absent key was absent in the payload it came from and must
 * not erase what is known.
 */
export const Series = Schema.Struct({
  ticker: Schema.String,
  title: Schema.optionalKey(Schema.String),
  frequency: Schema.optionalKey(Schema.String),
  category: Schema.optionalKey(Schema.String),
  tags: Schema.optionalKey(Schema.Array(Schema.String)),
  feeType: Schema.optionalKey(Schema.String),
  feeMultiplier: Schema.optionalKey(Decimal),
  contractUrl: Schema.optionalKey(Schema.String),
  lastUpdated: Schema.optionalKey(Timestamp)
})
export type Series = typeof Series.Type
