import * as Schema from "effect/Schema"
import { Decimal } from "../market/Decimal.ts"
import { Timestamp } from "../market/Timestamp.ts"

export const maxPageSize = 500

export const described = (description: string) => ({ description })

export const Money = Schema.NullOr(Decimal)
export const Time = Schema.NullOr(Timestamp)
export const Text = Schema.NullOr(Schema.String)

/** A market's quote, dollars of one yes contract. A null number is not known; zero is zero. */
export const quoteFields = {
  yesBid: Money.annotate(described("best bid for yes, dollars")),
  yesAsk: Money.annotate(described("best ask for yes, dollars")),
  lastPrice: Money.annotate(described("last traded price of yes, dollars")),
  volume: Money.annotate(described("contracts traded so far")),
  openInterest: Money.annotate(described("contracts held"))
}
export const quoteSizes = {
  yesBidSize: Money.annotate(described("contracts bid for at the best price")),
  yesAskSize: Money.annotate(described("contracts offered at the best price"))
}
export const impliedMid = Money.annotate(described("midpoint of a two-sided quote, else null"))
export const quoteSource = Text.annotate(described("live: a tick; snapshot: read over REST; null without a quote"))
export const exchangeUrl = Text.annotate(described("its page at the exchange; null for a simulated one"))

/** What an action answers: whether it was done, in a sentence. */
export const Asked = Schema.Struct({ done: Schema.Boolean, said: Schema.String })

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

/** The same, or a day in UTC: its first instant. */
export const DayOrInstant = Schema.String.check(
  Schema.isPattern(/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?Z)?$/),
  Schema.makeFilter((text) => !Number.isNaN(Date.parse(text)), { description: "an instant" })
).annotate(described("a UTC day or an instant in UTC, e.g. 2026-08-24 or 2026-08-24T20:00:00Z"))

export const fileFormats = ["ndjson", "csv", "parquet"] as const

export const FileProgress = Schema.Struct({
  state: Schema.Literals(["waiting", "reading", "ready"]).annotate(
    described("waiting: others are made first; ready: the same address without /progress gives it at once")
  ),
  rows: Schema.Finite.annotate(described("rows read so far; the number of its rows once it is ready")),
  bytes: Schema.NullOr(Schema.Finite).annotate(
    described("of the file; null until it is ready, and where rows are sent as they are read")
  )
})
export type FileProgress = typeof FileProgress.Type
