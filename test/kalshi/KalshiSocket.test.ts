import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Socket from "effect/socket/Socket"
import * as TestClock from "effect/testing/TestClock"
import { KalshiSocket, type Session } from "../../src/kalshi/KalshiSocket.ts"
import { Signer } from "../../src/kalshi/Signer.ts"
import { socketErrorCode } from "../../src/kalshi/SocketErrorCode.ts"
import { configOf, FakeWebSocket } from "./Fakes.ts"

const makeExchange = (greet: (socket: FakeWebSocket) => void = (socket) => socket.open()) => {
  const sockets: Array<FakeWebSocket> = []
  let signatures = 0
  const layer = KalshiSocket.layerNoDeps.pipe(
    Layer.provide(
      Layer.mergeAll(
        configOf({ KALSHI_WS_URL: "ws://exchange.test/trade-api/ws/v2" }),
        Layer.succeed(Signer, {
          available: true,
          headers: (method, path) => Effect.sync(() => ({ signed: `${++signatures} ${method} ${path}` }))
        }),
        Layer.succeed(Socket.WebSocketConstructor, (url, options) => {
          const headers = typeof options === "object" && !Array.isArray(options) ? (options.headers ?? {}) : {}
          const socket = new FakeWebSocket(url, headers)
          sockets.push(socket)
          queueMicrotask(() => greet(socket))
          return socket
        })
      )
    )
  )
  return {
    sockets,
    layer,
    connect: Effect.provide(
      KalshiSocket.use(({ connect }) => connect),
      layer
    )
  }
}

const pullForever = (session: Session) => Effect.forkChild(Effect.forever(session.pull), { startImmediately: true })
const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("KalshiSocket", () => {
  it.effect("signs each connection anew and gives the frames as they came, stamped at arrival", () => {
    const { connect, sockets } = makeExchange()
    return Effect.gen(function* () {
      yield* Effect.scoped(connect)
      const session = yield* connect
      assert.deepStrictEqual(
        sockets.map(({ headers }) => headers["signed"]),
        ["1 GET /trade-api/ws/v2", "2 GET /trade-api/ws/v2"]
      )
      assert.strictEqual(sockets[0]!.readyState, 3)
      yield* TestClock.setTime(1000)
      sockets[1]!.push("not json", '{"type":"x"}')
      yield* TestClock.setTime(9000)
      assert.deepStrictEqual(yield* session.pull, [
        { raw: "not json", receivedMillis: 1000 },
        { raw: '{"type":"x"}', receivedMillis: 1000 }
      ])
    }).pipe(Effect.scoped)
  })

  it.effect("awaits one acknowledgement a channel and takes a merge's ok for one", () => {
    const { connect, sockets } = makeExchange()
    return Effect.gen(function* () {
      const session = yield* connect
      yield* pullForever(session)
      const first = yield* fork(
        session.subscribe({
          channels: ["ticker", "market_lifecycle_v2"],
          marketTickers: ["A"],
          sendInitialSnapshot: true
        })
      )
      assert.deepStrictEqual(JSON.parse(sockets[0]!.sent[0]!), {
        id: 1,
        cmd: "subscribe",
        params: { channels: ["ticker", "market_lifecycle_v2"], market_tickers: ["A"], send_initial_snapshot: true }
      })
      sockets[0]!.push(
        { type: "subscribed", id: 1, msg: { channel: "ticker", sid: 1 } },
        { type: "subscribed", id: 1, msg: { channel: "market_lifecycle_v2", sid: 2 } }
      )
      assert.deepStrictEqual(yield* Fiber.join(first), [
        { channel: "ticker", sid: 1 },
        { channel: "market_lifecycle_v2", sid: 2 }
      ])
      const merged = yield* fork(session.subscribe({ channels: ["ticker"], marketTickers: ["B"] }))
      sockets[0]!.push({ type: "ok", id: 2, sid: 1, msg: { market_tickers: ["A", "B"] } })
      assert.deepStrictEqual(yield* Fiber.join(merged), [{ channel: "ticker", sid: 1 }])
      const update = yield* fork(session.updateSubscription({ sid: 1, action: "delete_markets", marketTickers: ["A"] }))
      assert.deepStrictEqual(JSON.parse(sockets[0]!.sent[2]!), {
        id: 3,
        cmd: "update_subscription",
        params: { sid: 1, action: "delete_markets", market_tickers: ["A"] }
      })
      sockets[0]!.push({ type: "ok", id: 3, sid: 1, msg: { market_tickers: ["B"] } })
      yield* Fiber.join(update)
      const listed = yield* fork(session.listSubscriptions)
      sockets[0]!.push({ type: "ok", id: 4, msg: [{ channel: "ticker", sid: 1 }] })
      assert.deepStrictEqual(yield* Fiber.join(listed), [{ channel: "ticker", sid: 1 }])
      const gone = yield* fork(session.unsubscribe([1, 2]))
      sockets[0]!.push({ type: "unsubscribed", id: 5, sid: 1 }, { type: "unsubscribed", id: 5, sid: 2, seq: 4 })
      yield* Fiber.join(gone)
    }).pipe(Effect.scoped)
  })

  it.effect("fails a command with the exchange's code, with time, or with the session", () => {
    const { connect, sockets } = makeExchange()
    return Effect.gen(function* () {
      const session = yield* connect
      yield* pullForever(session)
      const refused = yield* fork(Effect.flip(session.subscribe({ channels: ["ticker"] })))
      sockets[0]!.push({ type: "error", id: 1, msg: { code: 26, msg: "x" } })
      assert.deepStrictEqual((yield* Fiber.join(refused)).reason, {
        _tag: "CommandRejected",
        command: "subscribe",
        code: 26
      })
      const late = yield* fork(Effect.flip(session.listSubscriptions))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(late)).reason._tag, "CommandTimeout")
      const cut = yield* fork(Effect.flip(session.unsubscribe([1])))
      sockets[0]!.drop(4001, "bye")
      assert.deepStrictEqual((yield* Fiber.join(cut)).reason, { _tag: "Closed", code: 4001, closeReason: "bye" })
    }).pipe(Effect.scoped)
  })

  it.effect("does not give up on an answer that it did not read", () => {
    const { connect, sockets } = makeExchange()
    return Effect.gen(function* () {
      const session = yield* connect
      sockets[0]!.push({ type: "ticker", sid: 1, msg: {} })
      yield* session.pull
      const listed = yield* fork(session.listSubscriptions)
      sockets[0]!.push({ type: "ok", id: 1, msg: [{ channel: "ticker", sid: 1 }] })
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(listed.pollUnsafe())
      yield* pullForever(session)
      assert.deepStrictEqual(yield* Fiber.join(listed), [{ channel: "ticker", sid: 1 }])
    }).pipe(Effect.scoped)
  })

  it.effect("gives the last frames before it fails with a clean close", () => {
    const { connect, sockets } = makeExchange()
    return Effect.gen(function* () {
      const session = yield* connect
      sockets[0]!.push("last")
      sockets[0]!.drop(1000)
      assert.strictEqual((yield* session.pull)[0].raw, "last")
      assert.strictEqual((yield* Effect.flip(session.pull)).reason._tag, "Closed")
    }).pipe(Effect.scoped)
  })

  it.effect("ends after 30 s without a ping, frames or not, but not while it is told not to read", () => {
    const { connect, sockets } = makeExchange()
    return Effect.gen(function* () {
      const session = yield* connect
      const end = yield* fork(Effect.flip(Effect.forever(session.pull)))
      yield* TestClock.adjust("25 seconds")
      sockets[0]!.ping()
      yield* TestClock.adjust("25 seconds")
      sockets[0]!.isPaused = true
      yield* TestClock.adjust("10 minutes")
      sockets[0]!.isPaused = false
      yield* TestClock.adjust("29 seconds")
      sockets[0]!.push("a frame is no ping")
      assert.isUndefined(end.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual((yield* Fiber.join(end)).reason, { _tag: "NoPing", seconds: 30 })
    }).pipe(Effect.scoped)
  })

  it.effect("stops reading when nobody pulls and goes on when somebody does", () => {
    const { connect, sockets } = makeExchange()
    return Effect.gen(function* () {
      const session = yield* connect
      const frame = "x".repeat(64 * 1024)
      for (let nth = 0; nth < 16; nth++) sockets[0]!.push(frame)
      assert.isTrue(sockets[0]!.isPaused)
      assert.strictEqual((yield* session.pull).length, 16)
      assert.isFalse(sockets[0]!.isPaused)
    }).pipe(Effect.scoped)
  })

  it.effect("says why it cannot connect", () =>
    Effect.gen(function* () {
      const why = (greet: (socket: FakeWebSocket) => void) => Effect.scoped(Effect.flip(makeExchange(greet).connect))
      const unauthorized = yield* why((socket) => socket.refuse("Unexpected server response: 401"))
      assert.strictEqual(unauthorized.reason._tag, "Unauthorized")
      assert.match(unauthorized.message, /KALSHI_API_KEY_ID.*clock/)
      const busy = yield* why((socket) => socket.refuse("Unexpected server response: 503"))
      assert.deepStrictEqual(busy.reason, { _tag: "UpgradeRefused", status: 503 })
      const gone = yield* why((socket) => socket.refuse("getaddrinfo ENOTFOUND"))
      assert.deepStrictEqual(gone.reason, { _tag: "OpenFailed", problem: "getaddrinfo ENOTFOUND" })
      const silent = yield* fork(why(() => {}))
      yield* TestClock.adjust("11 seconds")
      assert.strictEqual((yield* Fiber.join(silent)).reason._tag, "OpenTimeout")
    })
  )

  it("knows every error code; 10 and 25 end a subscription", () => {
    const codes = Array.from({ length: 28 }, (_, index) => socketErrorCode(index + 1))
    assert.deepStrictEqual(
      codes.filter(({ terminal }) => terminal).map(({ code }) => code),
      [10, 25]
    )
    assert.isTrue(codes.every(({ meaning }) => meaning !== "unknown"))
    assert.deepStrictEqual(socketErrorCode(99), { code: 99, meaning: "unknown", terminal: false, retryable: false })
  })
})
