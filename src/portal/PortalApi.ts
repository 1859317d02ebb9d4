import * as HttpApi from "effect/http-api/HttpApi"
import * as OpenApi from "effect/http-api/OpenApi"
import { Access, Session } from "./AccessApi.ts"
import { EventActions, Events } from "./EventsApi.ts"
import { Exports } from "./ExportApi.ts"
import { Forecasts } from "./ForecastApi.ts"
import { Live } from "./LiveApi.ts"
import { MarketActions, MarketReadsGroup } from "./MarketApi.ts"
import { Markets } from "./MarketListsApi.ts"
import { QueueActions, System } from "./SystemApi.ts"

/** The portal's HTTP interface apart from its handlers; browsers and servers share it. */
export class PortalApi extends HttpApi.make("portal")
  .add(Events)
  .add(Markets)
  .add(MarketReadsGroup)
  .add(Exports)
  .add(System)
  .add(Forecasts)
  .add(Live)
  .add(EventActions)
  .add(MarketActions)
  .add(QueueActions)
  .add(Session)
  .add(Access)
  .annotateMerge(
    OpenApi.annotations({
      title: "Kalshi recorder portal",
      description:
        "What is trading, what was recorded and what is missing. Money and counts are exact decimal strings; instants are RFC 3339 in UTC. Programs send a read-only token: `Authorization: Bearer …`."
    })
  ) {}
