import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Layer from "effect/Layer"
import { AccessHandlers, SessionHandlers } from "./AccessHandlers.ts"
import { EventActionHandlers, EventsHandlers } from "./EventsHandlers.ts"
import { ExportHandlers } from "./ExportHandlers.ts"
import { ForecastHandlers } from "./ForecastHandlers.ts"
import { orUnavailable, PeopleOnly, SignedInOnly } from "./Guarded.ts"
import { ActionHandlers, MarketHandlers } from "./MarketHandlers.ts"
import { PortalApi } from "./PortalApi.ts"
import { PortalConfig } from "./PortalConfig.ts"
import { PortalLive, type Topic } from "./PortalLive.ts"
import { PortalQueries } from "./PortalQueries.ts"
import { QueueActionHandlers, SystemHandlers } from "./SystemHandlers.ts"

const Markets = HttpApiBuilder.group(
  PortalApi,
  "markets",
  Effect.fnUntraced(function* (handlers) {
    const queries = yield* PortalQueries
    const config = yield* PortalConfig
    return handlers.handleAll({
      active: ({ query }) => orUnavailable(queries.activeMarkets({ ...query, limit: query.limit ?? config.limit })),
      closed: ({ query }) => orUnavailable(queries.closedMarkets({ ...query, limit: query.limit ?? config.limit }))
    })
  })
)

const Live = HttpApiBuilder.group(
  PortalApi,
  "live",
  Effect.fnUntraced(function* (handlers) {
    const live = yield* PortalLive
    return handlers.handleRaw("stream", ({ query }) => {
      const topic: Topic =
        query.market !== undefined
          ? `market ${query.market}`
          : query.event !== undefined
            ? `event ${query.event}`
            : (query.page ?? "index")
      return Effect.succeed(
        HttpServerResponse.stream(live.events(topic), {
          contentType: "text/event-stream",
          headers: { "cache-control": "no-store, no-transform", "x-accel-buffering": "no" }
        })
      )
    })
  })
)

/** The handlers of every group of {@link PortalApi}. */
export const PortalHandlers = Layer.mergeAll(
  Layer.mergeAll(Markets, Live, EventsHandlers, MarketHandlers, ExportHandlers, SystemHandlers, ForecastHandlers).pipe(
    Layer.provide(SignedInOnly)
  ),
  Layer.mergeAll(ActionHandlers, EventActionHandlers, QueueActionHandlers, AccessHandlers).pipe(
    Layer.provide(PeopleOnly)
  ),
  SessionHandlers
)
