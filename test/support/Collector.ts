import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import type * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Queue from "effect/Queue"

export interface Received {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: string
}

const portOf = (address: HttpServer.HttpServer["Service"]["address"]) => ("port" in address ? address.port : 0)

/** A collector on a port of its own: what it is sent, request by request. */
export const start = Effect.gen(function* () {
  const received = yield* Queue.unbounded<Received>()
  const app = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = yield* request.text
    yield* Queue.offer(received, { path: request.url, authorization: request.headers["authorization"], body })
    return HttpServerResponse.jsonUnsafe({})
  })
  const server = yield* NodeHttpServer.make(createServer, { port: 0, host: "127.0.0.1" })
  yield* server.serve(app)
  return { received, endpoint: `http://127.0.0.1:${portOf(server.address)}` }
})
