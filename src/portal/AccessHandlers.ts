import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Option from "effect/Option"
import { fromMillis } from "../market/Timestamp.ts"
import { NotKnown } from "./ApiErrors.ts"
import { ApiTokens } from "./ApiTokens.ts"
import { orUnavailable } from "./Guarded.ts"
import { PortalApi } from "./PortalApi.ts"
import { PortalConfig } from "./PortalConfig.ts"
import { Sessions, sessionMillis } from "./Sessions.ts"
import { addressOf, sessionOf } from "./Visitor.ts"

const setCookie = (config: PortalConfig["Service"], value: string, maxAgeMillis: number) =>
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

export const SessionHandlers = HttpApiBuilder.group(
  PortalApi,
  "session",
  Effect.fnUntraced(function* (handlers) {
    const sessions = yield* Sessions
    const config = yield* PortalConfig
    const context = yield* Effect.context<Sessions | PortalConfig>()
    const current = (request: HttpServerRequest.HttpServerRequest) =>
      orUnavailable(Effect.provideContext(sessionOf(request), context))
    return handlers.handleAll({
      get: Effect.fnUntraced(function* ({ request }) {
        const session = yield* current(request)
        return {
          signedIn: Option.isSome(session),
          expiresAt: Option.getOrNull(Option.map(session, ({ expiresMillis }) => fromMillis(expiresMillis)))
        }
      }),
      login: Effect.fnUntraced(function* ({ payload, request }) {
        const session = yield* orUnavailable(sessions.signIn(payload.password, addressOf(request, config.trustProxy)))
        yield* setCookie(config, session.token, sessionMillis)
        return { signedIn: true, expiresAt: fromMillis(session.expiresMillis) }
      }),
      logout: Effect.fnUntraced(function* ({ request }) {
        const session = yield* current(request)
        if (Option.isSome(session)) yield* orUnavailable(sessions.end(session.value))
        yield* setCookie(config, "", 0)
      })
    })
  })
)

export const AccessHandlers = HttpApiBuilder.group(
  PortalApi,
  "access",
  Effect.fnUntraced(function* (handlers) {
    const sessions = yield* Sessions
    const tokens = yield* ApiTokens
    const config = yield* PortalConfig
    return handlers.handleAll({
      logoutEverywhere: Effect.fnUntraced(function* () {
        yield* orUnavailable(sessions.endAll)
        yield* setCookie(config, "", 0)
      }),
      tokens: () => orUnavailable(tokens.list),
      createToken: ({ payload }) => orUnavailable(tokens.create(payload.name.trim() || "token", payload.days)),
      revokeToken: Effect.fnUntraced(function* ({ params }) {
        if (!(yield* orUnavailable(tokens.revoke(params.id)))) return yield* new NotKnown()
      })
    })
  })
)
