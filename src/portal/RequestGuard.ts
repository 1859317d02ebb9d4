import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import type { ApiTokens } from "./ApiTokens.ts"
import { PortalConfig } from "./PortalConfig.ts"
import type { Sessions } from "./Sessions.ts"
import { isSameOrigin, visitorOf } from "./Visitor.ts"

const readOnly = new Set(["GET", "HEAD", "OPTIONS"])

const contentSecurity = (scripts: string, styles: string) =>
  [
    "default-src 'none'",
    `script-src ${scripts}`,
    `style-src ${styles}`,
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'"
  ].join("; ")

const policy = contentSecurity("'self'", "'self'")

const secure = (request: HttpServerRequest.HttpServerRequest, response: HttpServerResponse.HttpServerResponse) =>
  HttpServerResponse.setHeaders(response, {
    "content-security-policy": response.headers["content-security-policy"] ?? policy,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    ...(request.url.startsWith("/api/") && response.headers["cache-control"] === undefined
      ? { "cache-control": "no-store" }
      : {})
  })

/** The documentation page brings its own scripts inside itself: exactly those may run. */
const withScriptHashes = (response: HttpServerResponse.HttpServerResponse) => {
  if (response.body._tag !== "Uint8Array") return response
  const html = new TextDecoder().decode(response.body.body)
  const hashes = Array.from(
    html.matchAll(/<script>([\s\S]*?)<\/script>/g),
    ([, source]) => `'sha256-${createHash("sha256").update(source!).digest("base64")}'`
  )
  return HttpServerResponse.setHeader(
    response,
    "content-security-policy",
    contentSecurity(hashes.join(" "), "'unsafe-inline'")
  )
}

/**
 * What holds for every request whatever its route: protective headers on every answer, no change asked by another site, and no
 * documentation without a session.
 */
export const RequestGuard = HttpRouter.middleware(
  Effect.gen(function* () {
    const config = yield* PortalConfig
    const context = yield* Effect.context<Sessions | ApiTokens | PortalConfig>()
    let docs: HttpServerResponse.HttpServerResponse | undefined
    return (handler) =>
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        yield* HttpEffect.appendPreResponseHandler((_request, response) => Effect.succeed(secure(request, response)))
        if (!readOnly.has(request.method) && !isSameOrigin(request, config.trustProxy))
          return HttpServerResponse.text("refused: another site sent this request\n", { status: 403 })
        const [path] = request.url.split("?")
        if (path !== "/docs" && path !== "/openapi.json") return yield* handler
        const visitor = yield* visitorOf(request, true).pipe(
          Effect.provideContext(context),
          Effect.orElseSucceed(() => Option.none())
        )
        if (Option.isNone(visitor))
          return path === "/docs"
            ? HttpServerResponse.redirect("/login?next=/docs", { status: 303 })
            : HttpServerResponse.text("sign in first\n", { status: 401 })
        if (path !== "/docs") return yield* handler
        docs ??= withScriptHashes(yield* handler)
        return docs
      })
  }),
  { global: true }
)
