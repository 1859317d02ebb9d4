import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { BadCursor, BadRange, NotKnown, PersonOnly, Refused, SignedIn, Unavailable } from "./ApiErrors.ts"
import {
  Asked,
  described,
  exchangeUrl,
  Instant,
  impliedMid,
  limit,
  Money,
  maxPageSize,
  quoteFields,
  quoteSizes,
  quoteSource,
  span,
  Text,
  Ticker,
  Time
} from "./ApiFields.ts"

export const EventCard = Schema.Struct({
  eventTicker: Schema.String,
  seriesTicker: Text,
  title: Text,
  subTitle: Text,
  category: Schema.String.annotate(described("empty when unknown")),
  strikePeriod: Schema.String.annotate(described("hour or day; empty when unknown")),
  status: Schema.Literals(["open", "paused", "scheduled", "closed", "settled"]),
  openTime: Time,
  closeTime: Time,
  markets: Schema.Int.annotate(described("outcomes of the event")),
  settled: Schema.Int.annotate(described("outcomes that are final")),
  complete: Schema.Boolean.annotate(described("results, settlements and candles of every outcome are stored")),
  outcome: Text.annotate(described("the winning outcome, or how many were yes; null until determined")),
  leaderTicker: Text,
  leaderName: Text.annotate(described("the outcome with the highest chance")),
  leaderMid: Money.annotate(described("its chance: the midpoint of its quote")),
  forecast: Money.annotate(described("the newest model probability of that outcome")),
  volume: Money.annotate(described("contracts traded in all outcomes")),
  quotedAt: Time.annotate(described("the newest quote, the exchange's clock"))
})
export type EventCard = typeof EventCard.Type

export const EventPage = Schema.Struct({
  events: Schema.Array(EventCard),
  next: Text.annotate(described("pass as `after` for the following page; null on the last one"))
})
export type EventPage = typeof EventPage.Type

export const cardSorts = ["close_time", "open_time", "title", "category", "strike_period", "market_count"] as const
export const closeWindows = ["15m", "1h", "4h", "8h", "24h"] as const

export const EventsQuery = {
  section: Schema.optionalKey(Schema.Literals(["active", "scheduled", "closed"])).annotate(
    described("active by default")
  ),
  sort: Schema.optionalKey(Schema.Literals(cardSorts)),
  order: Schema.optionalKey(Schema.Literals(["asc", "desc"])).annotate(
    described("asc by default; desc by default for the close time of closed events")
  ),
  search: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200))).annotate(
    described("beginnings of words of tickers, titles, category or outcomes; all must occur")
  ),
  category: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(1000))).annotate(
    described("one category, or several divided by |")
  ),
  strikePeriod: Schema.optionalKey(Schema.Literals(["hour", "day"])),
  status: Schema.optionalKey(Schema.Literals(["open", "paused", "scheduled", "closed", "settled"])),
  closeWindow: Schema.optionalKey(Schema.Literals(closeWindows)).annotate(
    described("closes within that time from now; of closed events: closed within that time")
  ),
  after: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(2000))),
  limit: limit(maxPageSize)
}

export const EventCount = Schema.Struct({
  section: Schema.Literals(["active", "scheduled", "closed"]),
  category: Schema.String,
  strikePeriod: Schema.String,
  status: Schema.String,
  complete: Schema.Boolean,
  events: Schema.Int,
  markets: Schema.Int,
  settled: Schema.Int
})
export type EventCount = typeof EventCount.Type

export const Outcome = Schema.Struct({
  ticker: Schema.String,
  name: Schema.String,
  status: Text,
  result: Text,
  settlementValue: Money,
  ...quoteFields,
  ...quoteSizes,
  quotedAt: Time,
  source: quoteSource,
  forecast: Money.annotate(described("newest probability of a model")),
  confidence: Money,
  forecastAt: Time,
  impliedMid
})
export type Outcome = typeof Outcome.Type

export const EventDetail = Schema.Struct({
  eventTicker: Schema.String,
  seriesTicker: Text,
  seriesTitle: Text,
  title: Text,
  subTitle: Text,
  category: Text,
  strikePeriod: Text,
  strikeDate: Time,
  mutuallyExclusive: Schema.NullOr(Schema.Boolean),
  feeType: Text,
  feeMultiplier: Money,
  contractUrl: Text,
  status: Text,
  outcome: Text,
  openTime: Time,
  closeTime: Time,
  complete: Schema.NullOr(Schema.Boolean),
  exchangeUrl,
  canSnapshot: Schema.Boolean.annotate(
    described("whether this portal would read the quotes of the event from the exchange now")
  ),
  autoSnapshotSeconds: Schema.Int.annotate(
    described("how often pages that were told to may ask for a snapshot; 0: they do not offer it")
  ),
  outcomes: Schema.Array(Outcome)
})
export type EventDetail = typeof EventDetail.Type

/** `points` are pairs of epoch seconds and probability, ascending. */
export const ForecastLine = Schema.Struct({
  ticker: Schema.String,
  points: Schema.Array(Schema.Tuple([Schema.Finite, Schema.Finite]))
})
export type ForecastLine = typeof ForecastLine.Type

const event = { params: { eventTicker: Ticker } }

export class Events extends HttpApiGroup.make("events")
  .add(
    HttpApiEndpoint.get("list", "/", {
      query: EventsQuery,
      success: EventPage,
      error: [BadCursor, Unavailable]
    }).annotate(OpenApi.Summary, "Events of one section, filtered, sorted and in pages"),
    HttpApiEndpoint.get("counts", "/counts", {
      success: Schema.Array(EventCount),
      error: Unavailable
    }).annotate(OpenApi.Summary, "How many events and markets there are of each kind"),
    HttpApiEndpoint.get("get", "/:eventTicker", {
      ...event,
      success: EventDetail,
      error: [NotKnown, Unavailable]
    }).annotate(OpenApi.Summary, "One event with its outcomes"),
    HttpApiEndpoint.get("forecast", "/:eventTicker/forecast", {
      ...event,
      query: {
        ...span,
        points: limit(500),
        lines: limit(200)
      },
      success: Schema.Struct({ from: Instant, to: Instant, lines: Schema.Array(ForecastLine) }),
      error: [NotKnown, BadRange, Unavailable]
    }).annotate(OpenApi.Summary, "Chance of the outcomes over time: those with the most volume")
  )
  .prefix("/api/events")
  .middleware(SignedIn) {}

export class EventActions extends HttpApiGroup.make("eventActions")
  .add(
    HttpApiEndpoint.post("snapshot", "/:eventTicker/snapshot", {
      ...event,
      success: Asked,
      error: [NotKnown, Refused, Unavailable]
    }).annotate(
      OpenApi.Summary,
      "Reads the quotes of the event's outcomes from the exchange in one call, within the shared budget of calls"
    )
  )
  .prefix("/api/events")
  .middleware(PersonOnly) {}
