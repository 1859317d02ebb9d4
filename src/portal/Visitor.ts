import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import type { Visitor } from "./ApiErrors.ts"
import { ApiTokens } from "./ApiTokens.ts"
import { PortalConfig } from "./PortalConfig.ts"
import { Sessions, type ValidSession } from "./Sessions.ts"

type Request = HttpServerRequest.HttpServerRequest

/** The value that the outermost trusted proxy appended: the `proxies`-th from the right. */
const forwarded = (request: Request, header: string, proxies: number) =>
  proxies === 0
    ? undefined
    : request.headers[header]
        ?.split(",")
        .map((part) => part.trim())
        .at(-proxies)

/** The address a request comes from, as far as the configured number of proxies can be believed. */
export const addressOf = (request: Request, proxies: number): string =>
  forwarded(request, "x-forwarded-for", proxies) ?? Option.getOrElse(request.remoteAddress, () => "unknown")

const hostOf = (origin: string) => (URL.canParse(origin) ? new URL(origin).host : undefined)

/** False when a browser says that another site sent the request. */
export const isSameOrigin = (request: Request, proxies: number): boolean => {
  const site = request.headers["sec-fetch-site"]
  if (site !== undefined) return site === "same-origin" || site === "none"
  const origin = request.headers["origin"]
  return (
    origin === undefined ||
    hostOf(origin) === (forwarded(request, "x-forwarded-host", proxies) ?? request.headers["host"])
  )
}

/** The session of a request; none when it carries no valid one. */
export const sessionOf = Effect.fnUntraced(function* (request: Request) {
  const { cookieName } = yield* PortalConfig
  const token = request.cookies[cookieName]
  if (token === undefined) return Option.none<ValidSession>()
  const sessions = yield* Sessions
  return yield* sessions.verify(token)
})

/** Who sends a request: a session, or, where tokens are allowed, a token. */
export const visitorOf = Effect.fnUntraced(function* (request: Request, tokensAllowed: boolean) {
  const bearer = /^bearer +(\S+)$/i.exec(request.headers["authorization"] ?? "")?.[1]
  if (bearer !== undefined && tokensAllowed) {
    const tokens = yield* ApiTokens
    const id = yield* tokens.verify(bearer)
    return id === undefined ? Option.none<Visitor>() : Option.some<Visitor>({ kind: "token", id: `token ${id}` })
  }
  const session = yield* sessionOf(request)
  return Option.map(session, ({ nonce }): Visitor => ({ kind: "session", id: `session ${nonce}` }))
})
