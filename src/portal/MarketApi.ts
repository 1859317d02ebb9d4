import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { Decimal } from "../market/Decimal.ts"
import { Timestamp } from "../market/Timestamp.ts"
import { BadRange, NoRoom, NotKnown, PersonOnly, Refused, SignedIn, TooManyRequests, Unavailable } from "./ApiErrors.ts"
import {
  Asked,
  described,
  exchangeUrl,
  FileProgress,
  fileFormats,
  Instant,
  impliedMid,
  limit,
  Money,
  quoteFields,
  quoteSizes,
  quoteSource,
  span,
  Text,
  Ticker,
  Time
} from "./ApiFields.ts"
import { ArchivedDay, ArchivedOnly } from "./ArchiveFields.ts"

export const MarketDetail = Schema.Struct({
  ticker: Schema.String,
  eventTicker: Text,
  seriesTicker: Text,
  eventTitle: Text,
  strikePeriod: Text,
  title: Text,
  yesSubTitle: Text,
  noSubTitle: Text,
  status: Text,
  openTime: Time,
  closeTime: Time,
  determinedAt: Time,
  settledAt: Time,
  result: Text,
  settlementValue: Money,
  expirationValue: Text,
  completion: Text.annotate(described("null while something may still come; else how the record ended")),
  strikeType: Text,
  floorStrike: Money,
  capStrike: Money,
  rulesPrimary: Text,
  rulesSecondary: Text,
  feeType: Text,
  feeMultiplier: Money,
  ...quoteFields,
  ...quoteSizes,
  quotedAt: Time,
  source: quoteSource,
  firstSeenAt: Timestamp,
  impliedMid,
  exchangeUrl,
  canSnapshot: Schema.Boolean.annotate(described("whether this portal would read a quote from the exchange now")),
  canBackfill: Schema.Boolean.annotate(described("whether this portal may ask for a backfill"))
})
export type MarketDetail = typeof MarketDetail.Type

export const ChartCandle = Schema.Struct({
  seconds: Schema.Finite.annotate(described("inclusive end of the period, epoch seconds")),
  open: Money,
  high: Money,
  low: Money,
  close: Money,
  volume: Money,
  openInterest: Money,
  yesBid: Money,
  yesAsk: Money,
  source: Schema.Literals(["candle", "ticks"]).annotate(
    described("candle: the exchange's own; ticks: made from recorded ticks until that one is read")
  )
})
export type ChartCandle = typeof ChartCandle.Type

export const TickRow = Schema.Struct({
  at: Timestamp,
  receivedAt: Timestamp,
  ...quoteFields,
  ...quoteSizes,
  provenance: Text
})

export const TradeRow = Schema.Struct({
  tradeId: Schema.String,
  at: Timestamp,
  count: Decimal,
  yesPrice: Decimal,
  takerSide: Text,
  isBlock: Schema.Boolean,
  provenance: Text
})
export type TradeRow = typeof TradeRow.Type

export const Gap = Schema.Struct({
  id: Schema.String,
  feed: Schema.String.annotate(described("the channel, or all")),
  from: Timestamp,
  to: Time.annotate(described("null while it lasts")),
  cause: Schema.String,
  repairedBy: Text
})
export type Gap = typeof Gap.Type

export const Book = Schema.Struct({
  at: Instant,
  quality: Schema.String.annotate(
    described("exact; uncertain: a gap lies between the last whole book and the instant; absent: no book was received")
  ),
  snapshotAt: Time,
  changes: Schema.Finite,
  levels: Schema.Array(Schema.Struct({ side: Schema.Literals(["yes", "no"]), price: Decimal, size: Decimal })).annotate(
    described("resting bids of both sides, best last; a bid for no at p is an ask for yes at 1 − p")
  )
})
export type Book = typeof Book.Type

export const LifeStep = Schema.Struct({
  at: Timestamp,
  source: Schema.Literals(["lifecycle", "catalog"]).annotate(
    described("announced on the stream, or learned by reading the catalog")
  ),
  what: Schema.String,
  detail: Text
})
export type LifeStep = typeof LifeStep.Type

export const Prediction = Schema.Struct({
  at: Timestamp,
  agent: Text,
  model: Text,
  yesProbability: Money,
  confidence: Money,
  rationale: Text
})
export type Prediction = typeof Prediction.Type

const market = { params: { ticker: Ticker } }
const errors = [NotKnown, BadRange, Unavailable] as const

export const downloadTables = ["ticks", "candles", "trades"] as const
const download = {
  params: { ticker: Ticker, table: Schema.Literals(downloadTables) },
  query: { ...span, format: Schema.optionalKey(Schema.Literals(fileFormats)) }
}
export const downloadErrors = [NotKnown, BadRange, ArchivedOnly, Refused, NoRoom, TooManyRequests, Unavailable] as const

export class MarketReadsGroup extends HttpApiGroup.make("market")
  .add(
    HttpApiEndpoint.get("get", "/:ticker", {
      ...market,
      success: MarketDetail,
      error: [NotKnown, Unavailable]
    }).annotate(OpenApi.Summary, "Facts, rules, settlement and quote of one market"),
    HttpApiEndpoint.get("candles", "/:ticker/candles", {
      ...market,
      query: { ...span, interval: Schema.optionalKey(Schema.Literals(["1", "60", "1440"])) },
      success: Schema.Array(ChartCandle),
      error: errors
    }).annotate(OpenApi.Summary, "Candles of 1, 60 or 1440 minutes, ascending; at most the newest 5,000"),
    HttpApiEndpoint.get("ticks", "/:ticker/ticks", {
      ...market,
      query: { ...span, limit: limit(5000) },
      success: Schema.Array(TickRow),
      error: [...errors, ArchivedOnly]
    }).annotate(OpenApi.Summary, "Ticks, newest first, those of days that left the database read from the archive"),
    HttpApiEndpoint.get("archived", "/:ticker/archived", {
      ...market,
      query: span,
      success: Schema.Struct({
        days: Schema.Array(ArchivedDay),
        problem: Text.annotate(described("why this portal cannot read them; null when nothing is in the way"))
      }),
      error: errors
    }).annotate(
      OpenApi.Summary,
      "Days of the market of which ticks, books or else are in the archive only, oldest first"
    ),
    HttpApiEndpoint.get("trades", "/:ticker/trades", {
      ...market,
      query: { ...span, limit: limit(5000) },
      success: Schema.Array(TradeRow),
      error: errors
    }).annotate(OpenApi.Summary, "Trades, newest first"),
    HttpApiEndpoint.get("gaps", "/:ticker/gaps", {
      ...market,
      query: span,
      success: Schema.Array(Gap),
      error: errors
    }).annotate(OpenApi.Summary, "Spans in which a feed of the market was not received"),
    HttpApiEndpoint.get("book", "/:ticker/book", {
      ...market,
      query: { at: Schema.optionalKey(Instant) },
      success: Book,
      error: [...errors, ArchivedOnly]
    }).annotate(OpenApi.Summary, "The order book at an instant, now by default"),
    HttpApiEndpoint.get("lifecycle", "/:ticker/lifecycle", {
      ...market,
      success: Schema.Array(LifeStep),
      error: errors
    }).annotate(OpenApi.Summary, "What happened to the market, newest first"),
    HttpApiEndpoint.get("predictions", "/:ticker/predictions", {
      ...market,
      query: { limit: limit(500) },
      success: Schema.Array(Prediction),
      error: errors
    }).annotate(OpenApi.Summary, "Forecasts of models, newest first"),
    HttpApiEndpoint.get("download", "/:ticker/download/:table", {
      ...download,
      success: HttpApiSchema.StreamUint8Array({ contentType: "application/x-ndjson" }),
      error: downloadErrors
    }).annotate(
      OpenApi.Summary,
      "All ticks, candles or trades of a market and range as NDJSON (default), CSV or Parquet; `from` inclusive, `to` exclusive. Parquet, and days that left the database, come when the file is made: /progress says how far it is"
    ),
    HttpApiEndpoint.get("downloadProgress", "/:ticker/download/:table/progress", {
      ...download,
      success: FileProgress,
      error: downloadErrors
    }).annotate(OpenApi.Summary, "Begins with the file of a download, and says how far it is; ask again each second")
  )
  .prefix("/api/markets")
  .middleware(SignedIn) {}

export class MarketActions extends HttpApiGroup.make("actions")
  .add(
    HttpApiEndpoint.post("snapshot", "/:ticker/snapshot", {
      ...market,
      success: Asked,
      error: [NotKnown, Refused, Unavailable]
    }).annotate(OpenApi.Summary, "Reads the market's quote from the exchange once, within the shared budget of calls"),
    HttpApiEndpoint.post("backfill", "/:ticker/backfill", {
      ...market,
      success: Asked,
      error: [NotKnown, Refused, Unavailable]
    }).annotate(OpenApi.Summary, "Enters a job that reads all candles of the market once more")
  )
  .prefix("/api/markets")
  .middleware(PersonOnly) {}
