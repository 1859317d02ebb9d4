import { createHash, timingSafeEqual } from "node:crypto"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Redacted from "effect/Redacted"

const digest = (text: string) => createHash("sha256").update(text).digest()

/** Whether the value of an `authorization` header shows the token, in a time that does not depend on how much of it is right. */
export const shows = (token: Redacted.Redacted<string>) => {
  const wanted = digest(`Bearer ${Redacted.value(token)}`)
  return (authorization: string | undefined) => timingSafeEqual(digest(authorization ?? ""), wanted)
}

/** Who does not show the token gets 401 and no more: not even the body of the request is read. */
export const layer = (token: Redacted.Redacted<string>) => {
  const isShown = shows(token)
  return HttpRouter.middleware(
    (handler) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        isShown(headers["authorization"])
          ? handler
          : Effect.succeed(
              HttpServerResponse.text("the token of SERVICE_ADMIN_TOKEN is asked for\n", {
                status: 401,
                headers: { "www-authenticate": "Bearer", connection: "close" }
              })
            )
      ),
    { global: true }
  )
}
