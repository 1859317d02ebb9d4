import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import type * as Socket from "effect/socket/Socket"
import { KalshiConfig } from "../../src/kalshi/KalshiConfig.ts"

/** The configuration of an environment that holds these variables and nothing else. */
export const configOf = (environment: Record<string, string>) =>
  KalshiConfig.layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment))), Layer.orDie)

export interface Asked {
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: HttpClientRequest.HttpClientRequest["headers"]
}

/** An exchange that answers each request with what `answer` says; text is sent as it is, the rest as JSON. */
export const fakeExchange = (
  answer: (asked: Asked, nth: number) => readonly [status: number, body: unknown] | "no answer" | "hangs"
) => {
  const asked: Array<Asked> = []
  const layer = Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request, url) => {
      const one = { path: url.pathname, query: url.searchParams, headers: request.headers }
      const reply = answer(one, asked.push(one))
      if (reply === "hangs") return Effect.never
      if (reply === "no answer") {
        const cause = Object.assign(new Error("socket hang up"), { code: "ECONNRESET" })
        const reason = new HttpClientError.TransportError({ request, cause })
        return Effect.fail(new HttpClientError.HttpClientError({ reason }))
      }
      const [status, body] = reply
      return Effect.succeed(
        HttpClientResponse.fromWeb(
          request,
          new Response(typeof body === "string" ? body : JSON.stringify(body), { status })
        )
      )
    })
  )
  return { asked, layer }
}

/** A transport without network, every frame under the test's control. */
export class FakeWebSocket extends EventTarget implements Socket.WebSocketLike {
  readyState = 0
  isPaused = false
  readonly sent: Array<string> = []
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  #ping: () => void = () => {}
  constructor(url: string, headers: Readonly<Record<string, string>>) {
    super()
    this.url = url
    this.headers = headers
  }
  on(_: "ping", listener: () => void) {
    this.#ping = listener
    return this
  }
  ping() {
    this.#ping()
  }
  open() {
    this.readyState = 1
    this.dispatchEvent(new Event("open"))
  }
  refuse(message: string) {
    this.readyState = 3
    this.dispatchEvent(Object.assign(new Event("error"), { error: new Error(message) }))
  }
  push(...frames: ReadonlyArray<unknown>) {
    for (const frame of frames)
      this.dispatchEvent(
        Object.assign(new Event("message"), { data: typeof frame === "string" ? frame : JSON.stringify(frame) })
      )
  }
  drop(code: number, reason = "") {
    this.readyState = 3
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }))
  }
  pause() {
    this.isPaused = true
  }
  resume() {
    this.isPaused = false
  }
  terminate() {
    this.drop(1006)
  }
  close() {
    this.drop(1000)
  }
  send(data: string | Uint8Array) {
    this.sent.push(String(data))
  }
}
