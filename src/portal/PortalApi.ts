import * as Context from "effect/Context"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { Decimal } from "../market/Decimal.ts"
import { Timestamp } from "../market/Timestamp.ts"

export const maxPageSize = 500

const described = (description: string) => ({ description })

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

export const Overview = Schema.Struct({
  events: Schema.Int,
  markets: Schema.Int,
  active: Schema.Int.annotate(described("markets that are streamed now: open or paused")),
  closed: Schema.Int.annotate(described("markets past their close, settled ones included")),
  settled: Schema.Int,
  exact: Schema.Boolean.annotate(described("false when a count comes from the database's statistics")),
  ticksStored: Schema.Int.annotate(described("ticks stored within `ticksWindowSeconds`")),
  ticksWindowSeconds: Schema.Int.annotate(described("60, or less when this portal has been listening for less")),
  newestTickAt: Schema.NullOr(Timestamp).annotate(described("when the newest stored tick was received")),
  newestTickAgeSeconds: Schema.NullOr(Schema.Finite),
  openGaps: Schema.Int.annotate(described("spans of missing capture that have not ended")),
  simulated: Schema.Boolean.annotate(described("true when the exchange is a simulated one")),
  exchangeTime: Timestamp.annotate(described("the exchange's clock at the moment of this answer")),
  exchangeSpeed: Schema.Finite.annotate(described("seconds of exchange time per second; 1 for the real exchange"))
})
export type Overview = typeof Overview.Type

export const SessionInfo = Schema.Struct({
  signedIn: Schema.Boolean,
  expiresAt: Schema.NullOr(Timestamp)
})
export type SessionInfo = typeof SessionInfo.Type

/** One message of the live stream. `id`s rise by one; a reader that misses one should read the tables again. */
export const LiveEvent = Schema.TaggedUnion({
  Overview: { overview: Overview },
  Quotes: { quotes: Schema.Array(MarketQuote) },
  MarketsChanged: {},
  Heartbeat: { listening: Schema.Boolean.annotate(described("false while the database connection is lost")) }
})
export type LiveEvent = typeof LiveEvent.Type

export class SignInRequired extends Schema.TaggedError<SignInRequired>()(
  "SignInRequired",
  {},
  { httpApiStatus: 401, description: "no session, or it has expired" }
) {}
export class WrongPassword extends Schema.TaggedError<WrongPassword>()(
  "WrongPassword",
  {},
  { httpApiStatus: 403, description: "the password is wrong" }
) {}
export class TooManyAttempts extends Schema.TaggedError<TooManyAttempts>()(
  "TooManyAttempts",
  { retryAfterSeconds: Schema.Int },
  { httpApiStatus: 429, description: "too many wrong passwords from this address" }
) {}
export class BadCursor extends Schema.TaggedError<BadCursor>()(
  "BadCursor",
  {},
  { httpApiStatus: 400, description: "`after` is not a cursor that this route gave" }
) {}
export class Unavailable extends Schema.TaggedError<Unavailable>()(
  "Unavailable",
  {},
  { httpApiStatus: 503, description: "the database cannot answer now" }
) {}

export class CurrentSession extends Context.Service<CurrentSession, { readonly expiresMillis: number }>()(
  "kalshi-ingestor/portal/CurrentSession"
) {}

/** Lets only signed-in people pass. */
export class SignedIn extends HttpApiMiddleware.Service<SignedIn, { provides: CurrentSession }>()(
  "kalshi-ingestor/portal/SignedIn",
  { error: SignInRequired }
) {}

export const MarketsQuery = {
  after: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(400))),
  limit: Schema.optionalKey(
    Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: maxPageSize }))
  ),
  search: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200))).annotate(
    described("beginnings of words of the ticker, title or outcome; all must occur")
  ),
  strikePeriod: Schema.optionalKey(Schema.Literals(["hour", "day"]))
}

const pages = { query: MarketsQuery, success: MarketPage, error: [BadCursor, Unavailable] } as const

class Markets extends HttpApiGroup.make("markets")
  .add(
    HttpApiEndpoint.get("active", "/active", pages).annotate(
      OpenApi.Summary,
      "Markets that trade now, soonest to close first"
    ),
    HttpApiEndpoint.get("closed", "/closed", pages).annotate(OpenApi.Summary, "Markets past their close, latest first")
  )
  .prefix("/api/markets")
  .middleware(SignedIn) {}

class OverviewGroup extends HttpApiGroup.make("overview")
  .add(
    HttpApiEndpoint.get("get", "/api/overview", { success: Overview, error: Unavailable }).annotate(
      OpenApi.Summary,
      "Counts, rates and ages of the recording"
    )
  )
  .middleware(SignedIn) {}

class Live extends HttpApiGroup.make("live")
  .add(
    HttpApiEndpoint.get("stream", "/api/stream", { success: HttpApiSchema.StreamSse({ data: LiveEvent }) }).annotate(
      OpenApi.Summary,
      "Changes as they are stored: at most two updates a second, a heartbeat every five"
    )
  )
  .middleware(SignedIn) {}

class Session extends HttpApiGroup.make("session").add(
  HttpApiEndpoint.get("get", "/api/session", { success: SessionInfo }).annotate(OpenApi.Summary, "Who am I"),
  HttpApiEndpoint.post("login", "/api/session", {
    payload: Schema.Struct({ password: Schema.String.check(Schema.isMaxLength(1024)) }),
    success: SessionInfo,
    error: [WrongPassword, TooManyAttempts]
  }).annotate(OpenApi.Summary, "Sign in; sets the session cookie"),
  HttpApiEndpoint.delete("logout", "/api/session", { success: HttpApiSchema.NoContent }).annotate(
    OpenApi.Summary,
    "Sign out; clears the session cookie"
  )
) {}

/** The portal's HTTP interface apart from its handlers; browsers and servers share it. */
export class PortalApi extends HttpApi.make("portal")
  .add(Markets)
  .add(OverviewGroup)
  .add(Live)
  .add(Session)
  .annotateMerge(
    OpenApi.annotations({
      title: "Kalshi recorder portal",
      description: "What is trading, what was recorded and what is missing. Money and counts are exact decimal strings."
    })
  ) {}
