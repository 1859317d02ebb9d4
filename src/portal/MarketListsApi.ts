import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { Decimal } from "../market/Decimal.ts"
import { Timestamp } from "../market/Timestamp.ts"
import { BadCursor, SignedIn, Unavailable } from "./ApiErrors.ts"
import { described, limit, maxPageSize } from "./ApiFields.ts"

/** The live part of a market's row. A null number is not known; zero is zero. */
export const MarketQuote = Schema.Struct({
  ticker: Schema.String,
  status: Schema.String.annotate(described("the exchange's own word")),
  yesBid: Schema.NullOr(Decimal).annotate(described("best bid for yes, dollars")),
  yesAsk: Schema.NullOr(Decimal).annotate(described("best ask for yes, dollars")),
  lastPrice: Schema.NullOr(Decimal).annotate(described("last traded price of yes, dollars")),
  impliedMid: Schema.NullOr(Decimal).annotate(described("midpoint of a two-sided quote, else null")),
  volume: Schema.NullOr(Decimal).annotate(described("contracts traded so far")),
  openInterest: Schema.NullOr(Decimal).annotate(described("contracts held")),
  lastTickAt: Schema.NullOr(Timestamp).annotate(described("newest stored tick, the exchange's clock"))
})
export type MarketQuote = typeof MarketQuote.Type

export const MarketRow = Schema.Struct({
  ...MarketQuote.fields,
  eventTicker: Schema.NullOr(Schema.String),
  seriesTicker: Schema.NullOr(Schema.String),
  eventTitle: Schema.NullOr(Schema.String),
  title: Schema.NullOr(Schema.String),
  yesSubTitle: Schema.NullOr(Schema.String),
  strikePeriod: Schema.NullOr(Schema.String).annotate(described("hour or day")),
  openTime: Schema.NullOr(Timestamp),
  closeTime: Schema.NullOr(Timestamp),
  result: Schema.NullOr(Schema.String).annotate(described("yes, no or the exchange's own word; null until determined")),
  settlementValue: Schema.NullOr(Decimal).annotate(described("dollars paid for one yes contract"))
})
export type MarketRow = typeof MarketRow.Type

export const MarketPage = Schema.Struct({
  markets: Schema.Array(MarketRow),
  next: Schema.NullOr(Schema.String).annotate(described("pass as `after` for the following page; null on the last one"))
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
