import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { version } from "../runtime/Version.ts"
import { KalshiConfig } from "./KalshiConfig.ts"
import { KalshiRestError, type KalshiRestReason } from "./KalshiRestError.ts"
import { Signer } from "./Signer.ts"

/** Names one route: the template is for messages and metrics, the path is what is asked for. */
export interface Route {
  readonly template: string
  readonly path: string
  /** Lists become a repeated parameter; `undefined` leaves it out. */
  readonly query?: Query
}

export type Query = {
  readonly [name: string]: string | number | boolean | ReadonlyArray<string> | undefined
}

export const userAgent = `kalshi-ingestor/${version}`

/** One signed GET, tried once: no budget, no retry. Gives the parsed JSON body. */
export class KalshiHttp extends Context.Service<
  KalshiHttp,
  {
    readonly get: (route: Route) => Effect.Effect<unknown, KalshiRestError>
  }
>()("kalshi-ingestor/kalshi/KalshiHttp") {
  static readonly layerNoDeps = Layer.effect(
    KalshiHttp,
    Effect.gen(function* () {
      const config = yield* KalshiConfig
      const signer = yield* Signer
      const client = yield* HttpClient.HttpClient
      const basePath = new URL(config.restUrl).pathname.replace(/\/+$/, "")
      const timeout = Duration.seconds(config.timeoutSeconds)

      const request = Effect.fnUntraced(function* (route: Route) {
        const signature = signer.available ? yield* signer.headers("GET", basePath + route.path) : {}
        return HttpClientRequest.get(config.restUrl + route.path, {
          urlParams: parameters(route.query),
          acceptJson: true,
          headers: { "user-agent": userAgent, "accept-language": "en", ...signature }
        })
      })

      const get = Effect.fnUntraced(function* (route: Route) {
        const failed = (reason: KalshiRestReason) => new KalshiRestError({ route: route.template, reason })
        const signed = yield* Effect.mapError(request(route), () => failed({ _tag: "Unauthorized" }))
        const [response, body] = yield* client.execute(signed).pipe(
          Effect.flatMap((response) => Effect.map(response.text, (body) => [response, body] as const)),
          Effect.provideService(HttpClient.TracerPropagationEnabled, false),
          Effect.mapError((error) => failed({ _tag: "Network", problem: networkProblem(error) })),
          Effect.timeoutOrElse({
            duration: timeout,
            orElse: () => Effect.fail(failed({ _tag: "Network", problem: `nothing within ${config.timeoutSeconds} s` }))
          })
        )
        if (response.status >= 200 && response.status < 300)
          return yield* Effect.try({
            try: (): unknown => JSON.parse(body),
            catch: () => failed({ _tag: "Malformed", issue: "it is not JSON" })
          })
        return yield* failed(refusal(response, body))
      })
      return KalshiHttp.of({ get })
    })
  )

  static readonly layer = this.layerNoDeps.pipe(
    Layer.provide(NodeHttpClient.layerNodeHttpOptions({ keepAlive: true, maxSockets: 32 }))
  )
}

const parameters = (query: Query = {}): ReadonlyArray<readonly [string, string]> =>
  Object.entries(query).flatMap(([name, value]) =>
    value === undefined
      ? []
      : (typeof value === "object" ? value : [String(value)]).map((text) => [name, text] as const)
  )

const networkProblem = (error: HttpClientError.HttpClientError): string => {
  const cause: unknown = error.cause
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  return typeof code === "string" ? code : error.reason._tag
}

const ErrorBody = Schema.fromJsonString(
  Schema.Struct({
    error: Schema.Struct({ code: Schema.optionalKey(Schema.String), details: Schema.optionalKey(Schema.String) })
  })
)
const decodeErrorBody = Schema.decodeUnknownOption(ErrorBody)

const refusal = (response: HttpClientResponse.HttpClientResponse, body: string): KalshiRestReason => {
  const { status } = response
  if (status === 429) {
    const retryAfter = Number(response.headers["retry-after"])
    return retryAfter > 0 ? { _tag: "RateLimited", retryAfterSeconds: retryAfter } : { _tag: "RateLimited" }
  }
  if (status >= 500 || status === 408) return { _tag: "ExchangeUnavailable", status }
  if (status === 404) return { _tag: "NotFound" }
  const decoded = decodeErrorBody(body)
  const { code, details } = decoded._tag === "Some" ? decoded.value.error : {}
  const codeField = code === undefined ? {} : { code: code.slice(0, 100) }
  if (status === 401) return { _tag: "Unauthorized", ...codeField }
  return {
    _tag: "Rejected",
    status,
    ...codeField,
    ...(details === undefined ? {} : { details: details.replace(/\s+/g, " ").slice(0, 200) })
  }
}
