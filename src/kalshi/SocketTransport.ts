import * as NodeWS from "@effect/platform-node/NodeWS"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Socket from "effect/socket/Socket"
import { KalshiSocketError, type KalshiSocketReason } from "./KalshiSocketError.ts"

/** The `ws` client, as the exchange needs it. */
export const layerWebSocketConstructor = Layer.succeed(Socket.WebSocketConstructor, (url, options) => {
  const headers = typeof options === "object" && !Array.isArray(options) ? options.headers : undefined
  const settings = {
    ...(headers === undefined ? {} : { headers }),
    maxPayload: 16 * 1024 * 1024,
    perMessageDeflate: false,
    handshakeTimeout: 10_000,
    closeTimeout: 1_000
  }
  return new NodeWS.WebSocket(url, settings)
})

/** What a client that hears server pings adds to a WebSocket. */
export interface PingedWebSocket extends Socket.WebSocketLike {
  readonly isPaused?: boolean
  readonly on: (event: "ping", listener: () => void) => unknown
  readonly terminate: () => void
}

const hearsPings = (socket: Socket.WebSocketLike): socket is PingedWebSocket =>
  Predicate.hasProperty(socket, "on") && Predicate.hasProperty(socket, "terminate")

/** One raw frame with our clock at its arrival. */
export interface RawFrame {
  readonly raw: string
  readonly receivedMillis: number
}

export interface Transport {
  readonly pull: Effect.Effect<ReadonlyArray<RawFrame>, KalshiSocketError>
  readonly write: (text: string) => Effect.Effect<void, KalshiSocketError>
  /** Our clock at the server's last ping, or at the opening. */
  readonly lastPing: Effect.Effect<number>
}

const highWaterMark = 1024 * 1024

/**
 * Dials, for as long as the scope lives. Frames are stamped when they arrive, not when they are pulled; reading stops
 * while a mebibyte of them waits. A link on which no server ping arrives for `silence` is cut; while reading is stopped
 * no ping can arrive and the time does not count.
 */
export const dial = Effect.fnUntraced(function* (
  url: string,
  headers: Readonly<Record<string, string>>,
  silence: Duration.Duration
) {
  const construct = yield* Socket.WebSocketConstructor
  const clock = yield* Clock.Clock
  const seconds = Duration.toSeconds(silence)
  const stamps: Array<number> = []
  let lastPing = 0
  let silent = false

  const acquire = Effect.acquireRelease(
    Effect.suspend(() => {
      const socket = construct(url, { headers })
      if (!hearsPings(socket)) return Effect.die("the WebSocket client does not report pings")
      socket.addEventListener("message", () => stamps.push(clock.currentTimeMillisUnsafe()))
      socket.on("ping", () => {
        lastPing = clock.currentTimeMillisUnsafe()
      })
      return Effect.succeed(socket)
    }),
    (socket) => Effect.sync(() => socket.close(1000))
  ).pipe(
    Effect.tap((socket) =>
      Effect.gen(function* () {
        while (true) {
          yield* Effect.sleep("1 second")
          const now = clock.currentTimeMillisUnsafe()
          if (socket.readyState !== 1 || socket.isPaused === true) lastPing = now
          else if (now - lastPing >= seconds * 1000) {
            silent = true
            socket.terminate()
            return
          }
        }
      }).pipe(Effect.forkScoped)
    )
  )

  const ended = (error: Socket.SocketError) =>
    new KalshiSocketError({ reason: silent ? { _tag: "NoPing", seconds } : reasonOf(error) })

  const socket = yield* Socket.fromWebSocket(acquire, { openTimeout: "10 seconds", highWaterMark })
  lastPing = clock.currentTimeMillisUnsafe()
  const pull = yield* Effect.mapError(Socket.readerString(socket), ended)
  const writer = yield* socket.writer
  lastPing = clock.currentTimeMillisUnsafe()
  const transport: Transport = {
    pull: pull.pipe(
      Effect.map((frames) => {
        const arrived = stamps.splice(0, frames.length)
        return frames.map((raw, index) => ({ raw, receivedMillis: arrived[index]! }))
      }),
      Effect.mapError(ended)
    ),
    lastPing: Effect.sync(() => lastPing),
    write: (text) => Effect.mapError(writer.write(text), ended)
  }
  return transport
})

const reasonOf = ({ reason }: Socket.SocketError): KalshiSocketReason => {
  switch (reason._tag) {
    case "SocketCloseError":
      return { _tag: "Closed", code: reason.code, closeReason: (reason.closeReason ?? "").slice(0, 123) }
    case "SocketOpenError": {
      if (reason.kind === "Timeout") return { _tag: "OpenTimeout" }
      const problem = problemOf(reason.cause)
      const status = /^Unexpected server response: (\d{3})$/.exec(problem)?.[1]
      if (status === "401") return { _tag: "Unauthorized" }
      return status === undefined ? { _tag: "OpenFailed", problem } : { _tag: "UpgradeRefused", status: Number(status) }
    }
    default:
      return { _tag: "Broken", problem: problemOf(reason.cause) }
  }
}

/** The error code of the system, or one line of the message. */
const problemOf = (cause: unknown): string => {
  const error: unknown = Predicate.hasProperty(cause, "error") ? cause.error : cause
  if (Predicate.hasProperty(error, "code") && typeof error.code === "string") return error.code
  if (Predicate.hasProperty(error, "message") && typeof error.message === "string" && error.message !== "")
    return error.message.split("\n", 1)[0]!.slice(0, 200)
  return "unknown"
}
