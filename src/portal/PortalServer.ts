import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiScalar from "effect/http-api/HttpApiScalar"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import * as RabbitWakeUp from "../queue/RabbitWakeUp.ts"
import { WorkQueue } from "../queue/WorkQueue.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { ArchivedBooks } from "../store/ArchivedBooks.ts"
import { ArchivedDays } from "../store/ArchivedDays.ts"
import { ArchivedTicks } from "../store/ArchivedTicks.ts"
import { ArchiveSource } from "../store/ArchiveSource.ts"
import { CoverageReads } from "../store/CoverageReads.ts"
import { EventCards } from "../store/EventCards.ts"
import { EventReads } from "../store/EventReads.ts"
import { Export } from "../store/Export.ts"
import { ForecastScores } from "../store/ForecastScores.ts"
import { HealthReads } from "../store/HealthReads.ts"
import { MarketDownloads } from "../store/MarketDownloads.ts"
import { MarketReads } from "../store/MarketReads.ts"
import { MarketSelection } from "../store/MarketSelection.ts"
import { OpportunityReads } from "../store/OpportunityReads.ts"
import { PortalAccess } from "../store/PortalAccess.ts"
import { QueueJobs } from "../store/QueueJobs.ts"
import { QueueReads } from "../store/QueueReads.ts"
import { ApiTokens } from "./ApiTokens.ts"
import { CardUpkeep } from "./CardUpkeep.ts"
import { DownloadSlots } from "./DownloadSlots.ts"
import { Opportunities } from "./Opportunities.ts"
import { PortalApi } from "./PortalApi.ts"
import { PortalConfig } from "./PortalConfig.ts"
import { PortalHandlers } from "./PortalHandlers.ts"
import { PortalLive } from "./PortalLive.ts"
import { PortalQueries } from "./PortalQueries.ts"
import { PreparedFiles } from "./PreparedFiles.ts"
import { RequestGuard } from "./RequestGuard.ts"
import { RequestRate } from "./RequestRate.ts"
import { Sessions } from "./Sessions.ts"
import { Snapshots } from "./Snapshots.ts"
import { WebAssets } from "./WebAssets.ts"

const pages = [
  "/",
  "/login",
  "/event/*",
  "/market/*",
  "/opportunities",
  "/forecasts",
  "/health",
  "/coverage",
  "/queue",
  "/access"
] as const

const Pages = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const assets = yield* WebAssets
    for (const page of pages)
      yield* router.add("GET", page, (request) => Effect.succeed(assets.respond("index.html", request)))
    yield* router.add("GET", "/favicon.svg", (request) => Effect.succeed(assets.respond("favicon.svg", request)))
    yield* router.add("GET", "/assets/*", (request) =>
      Effect.succeed(assets.respond(request.url.split("?")[0]!.slice(1), request))
    )
  })
)

const Health = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const sql = yield* SqlClient.SqlClient
    yield* router.add(
      "GET",
      "/healthz",
      sql`select 1`.pipe(
        Effect.timeout("2 seconds"),
        Effect.as(HttpServerResponse.text("ok\n")),
        Effect.orElseSucceed(() => HttpServerResponse.text("the database does not answer\n", { status: 503 }))
      )
    )
  })
)

const Compression = HttpRouter.middleware(
  HttpMiddleware.compression({
    algorithms: ["gzip"],
    compressible: (contentType) => /^(application\/json|text\/html)/.test(contentType)
  }),
  { global: true }
)

/** Longer than proxies keep their connections to us, so that none is closed under a request. */
const idleMillis = 75_000

const cannotListen = (cause: unknown, host: string, port: number) => {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  switch (code) {
    case "EADDRINUSE":
      return new SettingError({
        setting: "WEB_PORTAL_PORT",
        problem: `port ${port} is in use`,
        fix: "stop the other program or set another port"
      })
    case "EACCES":
      return new SettingError({
        setting: "WEB_PORTAL_PORT",
        problem: `port ${port} is not allowed to this user`,
        fix: "set a port above 1023"
      })
    default:
      return new SettingError({
        setting: "WEB_PORTAL_HOST",
        problem: `cannot listen on ${host}`,
        fix: "set an address of this machine, or 0.0.0.0 for all of them"
      })
  }
}

/** What left the database, where ARCHIVE_DIR says; a file for a download is made with half of the memory, as two may be at once. */
const Archived = Layer.unwrap(
  Effect.map(PortalConfig, ({ archiveDirectory: directory, archiveMemory }) =>
    Layer.mergeAll(
      Export.layerWith({ directory, memoryMegabytes: Math.max(128, Math.floor(archiveMemory / 2)) }),
      ArchivedTicks.layer,
      ArchivedBooks.layer
    ).pipe(Layer.provideMerge([MarketReads.layer, ArchiveSource.layer, ArchivedDays.layerWith({ directory })]))
  )
)

/** All routes of the portal and the services behind them, on whatever server; reads the database of the program. */
export const PortalRoutes = Layer.mergeAll(
  HttpApiBuilder.layer(PortalApi, { openapiPath: "/openapi.json" }).pipe(Layer.provide(PortalHandlers)),
  HttpApiScalar.layer(PortalApi, {
    path: "/docs",
    scalar: { hideTestRequestButton: true, withDefaultFonts: false, favicon: "/favicon.svg" }
  }),
  Pages,
  Health,
  RequestGuard,
  CardUpkeep,
  Compression
).pipe(
  Layer.provide([
    PortalLive.layerNoDeps,
    Sessions.layer,
    ApiTokens.layer,
    RequestRate.layer,
    PreparedFiles.layerWith({ idle: "30 seconds" }).pipe(Layer.provideMerge(DownloadSlots.layer)),
    Opportunities.layer,
    Snapshots.layer
  ]),
  Layer.provide([
    PortalQueries.layerNoDeps,
    PortalAccess.layer,
    EventCards.layer,
    EventReads.layer,
    MarketDownloads.layer,
    MarketSelection.layer,
    Archived,
    HealthReads.layer,
    CoverageReads.layer,
    OpportunityReads.layer,
    QueueReads.layer,
    WorkQueue.layer.pipe(Layer.provide(RabbitWakeUp.layer), Layer.provideMerge(QueueJobs.layer)),
    ForecastScores.layer
  ])
)

const Listener = Layer.unwrap(
  Effect.gen(function* () {
    const { host, port } = yield* PortalConfig
    // It listens before its routes are there: who asks in that moment would never be answered.
    const server = createServer({ keepAliveTimeout: idleMillis }, (_, response) => {
      if (server.listenerCount("request") === 1) response.writeHead(503, { "retry-after": "1" }).end("starting\n")
    })
    const listening = NodeHttpServer.layerServer(() => server, {
      host,
      port,
      gracefulShutdownTimeout: "1 second"
    }).pipe(
      Layer.catchTag("ServeError", ({ cause }) =>
        Layer.effectContext<HttpServer.HttpServer, SettingError, never>(Effect.fail(cannotListen(cause, host, port)))
      )
    )
    const streamsEnd = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections())))
    return streamsEnd.pipe(Layer.provideMerge(listening))
  })
)

/** The portal as a loop of a program: listens on WEB_PORTAL_HOST and WEB_PORTAL_PORT. */
export const PortalServer = HttpRouter.serve(PortalRoutes, { disableLogger: true }).pipe(
  Layer.provide([WebAssets.layer, Listener]),
  Layer.provide([NodeHttpServer.layerHttpServices, PortalConfig.layer])
)
