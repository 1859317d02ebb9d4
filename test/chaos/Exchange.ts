import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Programs from "../support/Programs.ts"

/** The simulated exchange as a process, and its control routes. */
export interface Exchange {
  readonly rest: string
  readonly ws: string
  readonly clock: string
  /** `GET /sim/…` */
  readonly text: (route: string) => Effect.Effect<string>
  readonly json: <A>(route: string) => Effect.Effect<A>
  /** `POST /sim/…` */
  readonly post: (route: string, body?: unknown) => Effect.Effect<void>
}

export const start = Effect.fnUntraced(function* (keys: string, args: ReadonlyArray<string>) {
  const http = yield* HttpClient.HttpClient
  const process = yield* Programs.running("exchange", {}, ["--port=0", `--keys-dir=${keys}`, ...args])
  const announced = JSON.parse(yield* process.firstLine)
  const at = (route: string) => `${announced.control}/${route}`
  const text = (route: string) => Effect.orDie(Effect.flatMap(http.get(at(route)), (response) => response.text))
  const exchange: Exchange = {
    rest: announced.rest,
    ws: announced.ws,
    clock: announced.clock,
    text,
    json: (route) => Effect.map(text(route), (body) => JSON.parse(body)),
    post: (route, body = {}) =>
      HttpClientRequest.post(at(route)).pipe(
        HttpClientRequest.bodyText(JSON.stringify(body), "application/json"),
        http.execute,
        Effect.flatMap((response) =>
          Effect.flatMap(response.text, (reply) =>
            response.status === 200 ? Effect.void : Effect.die(new Error(`POST /sim/${route}: ${reply}`))
          )
        ),
        Effect.orDie
      )
  }
  return exchange
})
