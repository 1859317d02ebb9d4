import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Programs from "./Programs.ts"

/** The simulated exchange as a process, and its control routes. */
export interface Exchange {
  /** What a recorder is told of it. */
  readonly settings: Readonly<Record<string, string>>
  /** `GET /sim/…` */
  readonly text: (route: string) => Effect.Effect<string>
  readonly json: <A>(route: string) => Effect.Effect<A>
  /** `POST /sim/…` */
  readonly post: (route: string, body?: unknown) => Effect.Effect<void>
  /** The same, with what it answers. */
  readonly ask: <A>(route: string, body?: unknown) => Effect.Effect<A>
  readonly end: Programs.Running["end"]
}

/** `keys`: a folder for the key that it makes. */
export const start = Effect.fnUntraced(function* (keys: string, args: ReadonlyArray<string>) {
  const http = yield* HttpClient.HttpClient
  const process = yield* Programs.running("exchange", {}, ["--port=0", `--keys-dir=${keys}`, ...args])
  const announced = JSON.parse(yield* process.firstLine)
  const at = (route: string) => `${announced.control}/${route}`
  const text = (route: string) => Effect.orDie(Effect.flatMap(http.get(at(route)), (response) => response.text))
  const post = (route: string, body: unknown = {}) =>
    HttpClientRequest.post(at(route)).pipe(
      HttpClientRequest.bodyText(JSON.stringify(body), "application/json"),
      http.execute,
      Effect.flatMap((response) =>
        Effect.flatMap(response.text, (reply) =>
          response.status === 200 ? Effect.succeed(reply) : Effect.die(new Error(`POST /sim/${route}: ${reply}`))
        )
      ),
      Effect.orDie
    )
  const exchange: Exchange = {
    settings: {
      KALSHI_API_KEY_ID: fs.readFileSync(path.join(keys, "kalshi-key-id"), "utf8").trim(),
      KALSHI_PRIVATE_KEY_PEM_PATH: path.join(keys, "kalshi-key.pem"),
      KALSHI_REST_URL: announced.rest,
      KALSHI_WS_URL: announced.ws,
      EXCHANGE_CLOCK: announced.clock
    },
    end: process.end,
    text,
    json: (route) => Effect.map(text(route), (body) => JSON.parse(body)),
    post: (route, body) => Effect.asVoid(post(route, body)),
    ask: (route, body) => Effect.map(post(route, body), (reply) => JSON.parse(reply))
  }
  return exchange
})
