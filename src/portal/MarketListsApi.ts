import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { BadCursor, SignedIn, Unavailable } from "./ApiErrors.ts"
import { described, impliedMid, limit, Money, maxPageSize, quoteFields, Text, Time } from "./ApiFields.ts"

/** The live part of a market's row. */
export const MarketQuote = Schema.Struct({
  ticker: Schema.String,
  status: Schema.String.annotate(described("the exchange's own word")),
  ...quoteFields,
  impliedMid,
  lastTickAt: Time.annotate(described("newest stored tick, the exchange's clock"))
})
export type MarketQuote = typeof MarketQuote.Type

export const MarketRow = Schema.Struct({
  ...MarketQuote.fields,
  eventTicker: Text,
  seriesTicker: Text,
  eventTitle: Text,
  title: Text,
  yesSubTitle: Text,
  strikePeriod: Text.annotate(described("hour or day")),
  openTime: Time,
  closeTime: Time,
  result: Text.annotate(described("yes, no or the exchange's own word; null until determined")),
  settlementValue: Money.annotate(described("dollars paid for one yes contract"))
})
export type MarketRow = typeof MarketRow.Type

export const MarketPage = Schema.Struct({
  markets: Schema.Array(MarketRow),
  next: Text.annotate(described("pass as `after` for the following page; null on the last one"))
})
export type MarketPage = typeof MarketPage.Type

export const MarketsQuery = {
  after: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(400))),
  limit: limit(maxPageSize),
  search: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200))).annotate(
    described("beginnings of words of the ticker, title or outcome; all must occur")
  ),
  strikePeriod: Schema.optionalKey(Schema.Literals(["hour", "day"]))
}

const pages = { query: MarketsQuery, success: MarketPage, error: [BadCursor, Unavailable] } as const

export class Markets extends HttpApiGroup.make("markets")
  .add(
    HttpApiEndpoint.get("active", "/active", pages).annotate(
      OpenApi.Summary,
      "Markets that trade now, soonest to close first"
    ),
    HttpApiEndpoint.get("closed", "/closed", pages).annotate(OpenApi.Summary, "Markets past their close, latest first")
  )
  .prefix("/api/markets")
  .middleware(SignedIn) {}
