import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as AiError from "effect/ai/AiError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

/** Where a kind of request goes, and how it is signed. */
export interface Endpoint {
  readonly url: string
  readonly headers: Readonly<Record<string, Redacted.Redacted<string>>>
  /** Named in the body; Azure has it in the address. */
  readonly model: string | undefined
}

/** The settings that say where models are. */
export interface EndpointSettings {
  readonly url: string
  readonly apiKey: Redacted.Redacted<string> | undefined
  readonly azureEndpoint: string | undefined
  readonly azureKey: Redacted.Redacted<string> | undefined
  readonly azureVersion: string
}

/** `/chat/completions` or `/embeddings` of an OpenAI-compatible API, or of a deployment at Azure OpenAI. */
export const endpoint = (
  settings: EndpointSettings,
  route: "chat/completions" | "embeddings",
  model: string
): Endpoint => {
  if (settings.azureEndpoint !== undefined) {
    return {
      url: `${settings.azureEndpoint}/openai/deployments/${encodeURIComponent(model)}/${route}?api-version=${encodeURIComponent(settings.azureVersion)}`,
      headers: settings.azureKey === undefined ? {} : { "api-key": settings.azureKey },
      model: undefined
    }
  }
  return {
    url: `${settings.url}/${route}`,
    headers:
      settings.apiKey === undefined
        ? {}
        : { authorization: Redacted.make(`Bearer ${Redacted.value(settings.apiKey)}`) },
    model
  }
}

/** Longest answer that is read, bytes. */
const longestAnswer = 8_000_000

/** One POST to a model's API, tried once. Gives the parsed JSON body; what it says of an error never holds a key or a prompt. */
export class ModelHttp extends Context.Service<
  ModelHttp,
  {
    post(endpoint: Endpoint, body: object, seconds: number): Effect.Effect<unknown, AiError.AiError>
  }
>()("kalshi-ingestor/prediction/ModelHttp") {
  static readonly layerNoDeps = Layer.effect(
    ModelHttp,
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const post = Effect.fn("ModelHttp.post")(function* (
        { headers, model, url }: Endpoint,
        body: object,
        seconds: number
      ) {
        const request = HttpClientRequest.post(url, {
          acceptJson: true,
          headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Redacted.value(value)]))
        }).pipe(HttpClientRequest.bodyJsonUnsafe(model === undefined ? body : { model, ...body }))
        const [response, text] = yield* client.execute(request).pipe(
          Effect.flatMap((answer) => Effect.map(bounded(answer), (read) => [answer, read] as const)),
          Effect.provideService(HttpClient.TracerPropagationEnabled, false),
          Effect.mapError((error) =>
            "length" in error ? malformed("the answer is too long") : network("no connection")
          ),
          Effect.timeoutOrElse({
            duration: Duration.seconds(seconds),
            orElse: () => Effect.fail(network(`no answer within ${seconds} s`))
          })
        )
        if (response.status < 200 || response.status >= 300) return yield* refusal(response, text)
        return yield* Effect.try({
          try: (): unknown => JSON.parse(text),
          catch: () => malformed("the answer of the API is not JSON")
        })
      })
      return ModelHttp.of({ post })
    })
  )

  static readonly layer = this.layerNoDeps.pipe(
    Layer.provide(NodeHttpClient.layerNodeHttpOptions({ keepAlive: true, maxSockets: 64 })),
    Layer.provide(Layer.succeed(Headers.CurrentRedactedNames, ["authorization", "api-key"]))
  )
}

class TooLong extends Schema.TaggedError<TooLong>()("TooLong", { length: Schema.Int }) {}

const bounded = (response: HttpClientResponse.HttpClientResponse) =>
  response.stream.pipe(
    Stream.runFoldEffect(
      () => ({ length: 0, chunks: [] as Array<Uint8Array> }),
      ({ chunks, length }, chunk: Uint8Array) => {
        const total = length + chunk.byteLength
        if (total > longestAnswer) return Effect.fail(new TooLong({ length: total }))
        chunks.push(chunk)
        return Effect.succeed({ length: total, chunks })
      }
    ),
    Effect.map(({ chunks }) => Buffer.concat(chunks).toString("utf8"))
  )

const error = (reason: AiError.AiErrorReason) => AiError.make({ module: "ModelHttp", method: "post", reason })

const network = (description: string) =>
  error(new AiError.NetworkError({ reason: "TransportError", method: "POST", url: "", description }))

/** An answer that may be better the next time. */
export const malformed = (description: string) => error(new AiError.InvalidOutputError({ description }))

export const refused = (description: string) => error(new AiError.ContentPolicyError({ description }))

export const rejected = (description: string) => error(new AiError.InvalidRequestError({ description }))

const ErrorBody = Schema.fromJsonString(
  Schema.Struct({ error: Schema.Struct({ code: Schema.optionalKey(Schema.NullOr(Schema.String)) }) })
)
const decodeErrorBody = Schema.decodeUnknownOption(ErrorBody)

const refusal = ({ headers, status }: HttpClientResponse.HttpClientResponse, body: string): AiError.AiError => {
  const decoded = decodeErrorBody(body)
  const code = decoded._tag === "Some" ? (decoded.value.error.code ?? "").replace(/[^\w.-]/g, "").slice(0, 60) : ""
  const named = `the API answered ${status}${code === "" ? "" : ` (${code})`}`
  if (code === "content_filter") return refused(named)
  if (code === "insufficient_quota") return rejected(named)
  if (status === 429) {
    const seconds = Number(headers["retry-after"])
    return error(new AiError.RateLimitError(seconds >= 0 ? { retryAfter: Duration.seconds(seconds) } : {}))
  }
  if (status >= 500 || status === 408) return error(new AiError.InternalProviderError({ description: named }))
  if (status === 401 || status === 403)
    return error(new AiError.AuthenticationError({ kind: "Unknown", description: named }))
  return rejected(named)
}
