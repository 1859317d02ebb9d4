import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"
import { CurrentSession, PortalApi, SignedIn, SignInRequired, Unavailable } from "./PortalApi.ts"
import { PortalConfig } from "./PortalConfig.ts"
import { PortalLive } from "./PortalLive.ts"
import { PortalQueries } from "./PortalQueries.ts"
import { Sessions, sessionMillis } from "./Sessions.ts"
import { addressOf, sessionOf } from "./Visitor.ts"

const refuse = (error: SqlError) =>
  Effect.logWarning("database cannot answer", { reason: error.reason._tag }).pipe(
    Effect.andThen(Effect.fail(new Unavailable()))
  )

const SignedInOnly = Layer.effect(
  SignedIn,
  Effect.gen(function* () {
    const context = yield* Effect.context<Sessions | PortalConfig>()
    return SignedIn.of(
      Effect.fnUntraced(function* (handler) {
        const request = yield* HttpServerRequest.HttpServerRequest
        const session = yield* Effect.provideContext(sessionOf(request), context)
        if (Option.isNone(session)) return yield* new SignInRequired()
        return yield* Effect.provideService(handler, CurrentSession, { expiresMillis: session.value })
      })
    )
  })
)

const Markets = HttpApiBuilder.group(
  PortalApi,
  "markets",
  Effect.fnUntraced(function* (handlers) {
    const queries = yield* PortalQueries
    const config = yield* PortalConfig
    return handlers.handleAll({
      active: ({ query }) =>
        queries
          .activeMarkets({ ...query, limit: query.limit ?? config.limit })
          .pipe(Effect.catchTag("SqlError", refuse)),
      closed: ({ query }) =>
        queries
          .closedMarkets({ ...query, limit: query.limit ?? config.limit })
          .pipe(Effect.catchTag("SqlError", refuse))
    })
  })
)

const Overview = HttpApiBuilder.group(
  PortalApi,
  "overview",
  Effect.fnUntraced(function* (handlers) {
    const live = yield* PortalLive
    return handlers.handleAll({ get: () => live.overview.pipe(Effect.catchTag("SqlError", refuse)) })
  })
)

const Live = HttpApiBuilder.group(
  PortalApi,
  "live",
  Effect.fnUntraced(function* (handlers) {
    const live = yield* PortalLive
    return handlers.handleRaw("stream", () =>
      Effect.succeed(
        HttpServerResponse.stream(live.events, {
          contentType: "text/event-stream",
          headers: { "cache-control": "no-store, no-transform", "x-accel-buffering": "no" }
        })
      )
    )
  })
)

const Session = HttpApiBuilder.group(
  PortalApi,
  "session",
  Effect.fnUntraced(function* (handlers) {
    const sessions = yield* Sessions
    const config = yield* PortalConfig
    const context = yield* Effect.context<Sessions | PortalConfig>()
    const setCookie = (value: string, maxAgeMillis: number) =>
      HttpEffect.appendPreResponseHandler((_request, response) =>
        Effect.orDie(
          HttpServerResponse.setCookie(response, config.cookieName, value, {
            httpOnly: config.cookieHttpOnly,
            secure: config.cookieSecure,
            sameSite: config.cookieSameSite === "None" ? "none" : config.cookieSameSite === "Strict" ? "strict" : "lax",
            path: config.cookiePath,
            maxAge: maxAgeMillis,
            ...(config.cookieDomain === undefined ? {} : { domain: config.cookieDomain })
          })
        )
      )
    return handlers.handleAll({
      get: Effect.fnUntraced(function* ({ request }) {
        const session = yield* Effect.provideContext(sessionOf(request), context)
        return { signedIn: Option.isSome(session), expiresAt: Option.getOrNull(Option.map(session, fromMillis)) }
      }),
      login: Effect.fnUntraced(function* ({ payload, request }) {
        const session = yield* sessions.signIn(payload.password, addressOf(request, config.trustProxy))
        yield* setCookie(session.token, sessionMillis)
        return { signedIn: true, expiresAt: fromMillis(session.expiresMillis) }
      }),
      logout: () => setCookie("", 0)
    })
  })
)

/** The handlers of every group of {@link PortalApi}. */
export const PortalHandlers = Layer.mergeAll(
  Layer.mergeAll(Markets, Overview, Live).pipe(Layer.provide(SignedInOnly)),
  Session
)
