import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { SignedIn } from "./ApiErrors.ts"
import { described, Money, Text, Ticker, Time } from "./ApiFields.ts"
import { MarketQuote } from "./MarketListsApi.ts"
import { Overview } from "./SystemApi.ts"

export const CardQuote = Schema.Struct({
  eventTicker: Schema.String,
  leaderName: Text,
  leaderMid: Money,
  volume: Money,
  quotedAt: Time
})
export type CardQuote = typeof CardQuote.Type

/** One message of a live stream. `id`s rise by one; a reader that misses one should read its tables again. */
export const LiveEvent = Schema.TaggedUnion({
  Overview: { overview: Overview },
  Quotes: { quotes: Schema.Array(MarketQuote) },
  CardQuotes: { quotes: Schema.Array(CardQuote) },
  CardsChanged: {},
  QueueChanged: {},
  Heartbeat: { listening: Schema.Boolean.annotate(described("false while the database connection is lost")) }
})
export type LiveEvent = typeof LiveEvent.Type

export class Live extends HttpApiGroup.make("live")
  .add(
    HttpApiEndpoint.get("stream", "/api/stream", {
      query: {
        page: Schema.optionalKey(Schema.Literals(["index", "queue", "health"])),
        event: Schema.optionalKey(Ticker),
        market: Schema.optionalKey(Ticker)
      },
      success: HttpApiSchema.StreamSse({ data: LiveEvent })
    }).annotate(
      OpenApi.Summary,
      "Changes of one page as they are stored: the lists (default), the queue, one event or one market; at most two messages a second, a heartbeat every five"
    )
  )
  .middleware(SignedIn) {}
