import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { setImmediate, setTimeout } from "node:timers/promises"
import { WebSocketServer } from "ws"
import { type Reply, unauthorized } from "./Reply.ts"
import type { Control, Served } from "./Served.ts"
import type { SignedHeaders } from "./Verifier.ts"

export const socketPath = "/trade-api/ws/v2"

const one = (value: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof value === "string" ? value : value?.[0]

const signedHeaders = ({ headers }: IncomingMessage): SignedHeaders => ({
  key: one(headers["kalshi-access-key"]),
  timestamp: one(headers["kalshi-access-timestamp"]),
  signature: one(headers["kalshi-access-signature"])
})

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let body = ""
  for await (const chunk of request) body += String(chunk)
  return body
}

const respond = (response: ServerResponse, reply: Reply): void => {
  const body = Buffer.from(reply.body, "utf8")
  response.writeHead(reply.status, {
    "content-type": "application/json",
    "content-length": body.byteLength,
    ...reply.headers
  })
  response.end(body)
}

/** Promises the whole body, sends half of it and cuts the connection. */
const cutShort = (response: ServerResponse, reply: Reply): void => {
  const body = Buffer.from(reply.body, "utf8")
  response.writeHead(reply.status, { "content-type": "application/json", "content-length": body.byteLength })
  response.write(body.subarray(0, Math.floor(body.byteLength / 2)), () => response.destroy())
}

const refuseUpgrade = (socket: Duplex, status: string, reply: Reply): void => {
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(reply.body)}\r\nconnection: close\r\n\r\n${reply.body}`
  )
}

export interface RunningServer {
  readonly port: number
  readonly close: () => Promise<void>
}

export interface ServerOptions {
  readonly port: number
  readonly host: string
  readonly pingMillis: number
  readonly strictness: { readonly unauthorizedCode: string }
}

const beatMillis = 10

/** One port for REST, sockets and control; beats what it serves. */
export const startServer = async (
  engine: Served,
  options: ServerOptions,
  control: Control,
  wallMillis: () => number
): Promise<RunningServer> => {
  const stop = new AbortController()
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 64 * 1024 * 1024 })
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const target = request.url ?? "/"
    const method = request.method ?? "GET"
    const reply = target.startsWith(`${control.prefix}/`)
      ? await control.handle(method, target, await bodyOf(request))
      : await engine.answer({ method, target, headers: signedHeaders(request) })
    if (reply.truncated === true) cutShort(response, reply)
    else respond(response, reply)
  }
  const server = createServer((request, response) => {
    answer(request, response).catch(() =>
      response.headersSent
        ? response.destroy()
        : respond(response, { status: 500, body: '{"error":{"code":"internal","message":"internal"}}' })
    )
  })
  server.on("upgrade", (request, socket, head) => {
    const path = new URL(request.url ?? "/", "http://exchange").pathname
    const verdict = engine.verifier.verify(signedHeaders(request), "GET", path, wallMillis())
    if (path !== socketPath) return refuseUpgrade(socket, "404 Not Found", { status: 404, body: "" })
    const { upgradeStatus } = engine
    if (upgradeStatus === 503)
      return refuseUpgrade(socket, "503 Service Unavailable", { status: 503, body: '{"error":"unavailable"}' })
    if (upgradeStatus === 401)
      return refuseUpgrade(socket, "401 Unauthorized", unauthorized(options.strictness.unauthorizedCode, "refused"))
    if (verdict._tag !== "Signed") {
      const details = verdict._tag === "Refused" ? verdict.details : "signature required"
      return refuseUpgrade(socket, "401 Unauthorized", unauthorized(options.strictness.unauthorizedCode, details))
    }
    sockets.handleUpgrade(request, socket, head, (client) => {
      const connection = engine.connect(socket, {
        close: (code) => (code === 1006 ? client.terminate() : client.close(code)),
        ping: () => {
          if (client.readyState === client.OPEN) client.ping("heartbeat")
        },
        deafen: () => client.pause()
      })
      client.on("message", (data) => {
        connection.session.receive(data.toString())
        connection.outbox.flush()
      })
      socket.on("drain", () => engine.drained(connection))
      client.on("error", () => client.terminate())
      client.on("close", () => engine.disconnect(connection))
    })
  })
  const beat = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      engine.tick()
      if (engine.lagging) await setImmediate()
      else await setTimeout(beatMillis)
    }
  }
  const heartbeat = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await setTimeout(options.pingMillis, undefined, { signal: stop.signal }).catch(() => {})
      for (const { halfOpenSince, link } of engine.connections) if (halfOpenSince === undefined) link.ping()
    }
  }
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(options.port, options.host, resolve)
  })
  const address = server.address()
  const beating = Promise.all([beat(), heartbeat()])
  const close = async (): Promise<void> => {
    stop.abort()
    engine.dropConnections(1001)
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    await Promise.race([closed, setTimeout(150)])
    for (const client of sockets.clients) client.terminate()
    server.closeAllConnections()
    await Promise.all([closed, beating])
    engine.close()
  }
  return { port: isAddress(address) ? address.port : options.port, close }
}

const isAddress = (address: AddressInfo | string | null): address is AddressInfo =>
  typeof address === "object" && address !== null
