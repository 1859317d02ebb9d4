import * as Schema from "effect/Schema"
import { Decimal } from "../market/Decimal.ts"
import { Timestamp } from "../market/Timestamp.ts"

export const maxPageSize = 500

export const described = (description: string) => ({ description })

export const Money = Schema.NullOr(Decimal)
export const Time = Schema.NullOr(Timestamp)
export const Text = Schema.NullOr(Schema.String)

export const Ticker = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(200)).annotate(
  described("as the exchange writes it, e.g. KXBTCD-26AUG2417-T80749.99")
)

/** An instant of a query: RFC 3339 in UTC. */
export const Instant = Schema.String.check(
  Schema.isPattern(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?Z$/),
  Schema.makeFilter((text) => !Number.isNaN(Date.parse(text)), { description: "an instant" })
).annotate(described("RFC 3339 in UTC, e.g. 2026-08-24T20:00:00Z"))

export const limit = (most: number) =>
  Schema.optionalKey(
    Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: most })).annotate(
      described(`at most ${most}`)
    )
  )

export const span = { from: Schema.optionalKey(Instant), to: Schema.optionalKey(Instant) }
