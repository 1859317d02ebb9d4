import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import { KalshiConfig } from "./KalshiConfig.ts"
import { KalshiSocketError } from "./KalshiSocketError.ts"
import { Signer } from "./Signer.ts"
import { dial, layerWebSocketConstructor, type RawFrame } from "./SocketTransport.ts"
import { decodeFrame, type Frame } from "./SocketWire.ts"

/** A channel and the number its subscription has on this connection; no channel when the exchange only named the number. */
export interface Subscription {
  readonly channel: string | undefined
  readonly sid: number
}

export interface Subscribe {
  readonly channels: Arr.NonEmptyReadonlyArray<string>
  /** Left out: all markets (`ticker`, `trade`). The lifecycle channel always gives all. */
  readonly marketTickers?: ReadonlyArray<string>
  /** The current ticker of each market comes first. */
  readonly sendInitialSnapshot?: boolean
}

export interface UpdateSubscription {
  readonly sid: number
  readonly action: "add_markets" | "delete_markets" | "get_snapshot"
  readonly marketTickers: ReadonlyArray<string>
  readonly sendInitialSnapshot?: boolean
}

/**
 * One connection. Every frame, acknowledgements included, comes out of `pull` in the order of arrival, so whoever pulls can
 * record all of them. Commands hear their acknowledgement while frames are pulled: pull in one fiber, command in
 * another. A command fails with CommandRejected (the exchange's code), CommandTimeout after 10 s of reading, or with the
 * session's end.
 */
export interface Session {
  /** Waits for frames. Fails once the session is over, clean close included, after the last frame. One puller at a time. */
  readonly pull: Effect.Effect<Arr.NonEmptyReadonlyArray<RawFrame>, KalshiSocketError>
  /** One subscription a channel; a channel subscribed before grows by the markets and keeps its number. */
  readonly subscribe: (options: Subscribe) => Effect.Effect<ReadonlyArray<Subscription>, KalshiSocketError>
  readonly updateSubscription: (options: UpdateSubscription) => Effect.Effect<void, KalshiSocketError>
  readonly unsubscribe: (sids: Arr.NonEmptyReadonlyArray<number>) => Effect.Effect<void, KalshiSocketError>
  /** When the server last showed that the link lives, our clock. */
  readonly lastPing: Effect.Effect<number>
  readonly listSubscriptions: Effect.Effect<ReadonlyArray<Subscription>, KalshiSocketError>
}

/** The exchange's feed. */
export class KalshiSocket extends Context.Service<
  KalshiSocket,
  {
    /** Dials with a signature of now; hangs up when the scope closes. Ends by itself after 30 s without a server ping. */
    readonly connect: Effect.Effect<Session, KalshiSocketError, Scope.Scope>
  }
>()("kalshi-ingestor/kalshi/KalshiSocket") {
  static readonly layerNoDeps = Layer.effect(
    KalshiSocket,
    Effect.gen(function* () {
      const { socketUrl } = yield* KalshiConfig
      const signer = yield* Signer
      const construct = yield* Socket.WebSocketConstructor
      const path = new URL(socketUrl).pathname

      const connect = Effect.gen(function* () {
        const headers = yield* Effect.mapError(
          signer.headers("GET", path),
          () => new KalshiSocketError({ reason: { _tag: "NoCredentials" } })
        )
        const transport = yield* dial(socketUrl, headers, Duration.seconds(30))
        const reading = { pulls: 0, waits: false }
        const pull = Effect.suspend(() => {
          reading.pulls += 1
          reading.waits = true
          return Effect.ensuring(
            transport.pull,
            Effect.sync(() => {
              reading.waits = false
            })
          )
        })
        const commands = makeCommands(transport.write, reading)
        const session: Session = {
          pull: pull.pipe(Effect.tap(commands.hear), Effect.tapError(commands.end)) as Session["pull"],
          lastPing: transport.lastPing,
          subscribe: commands.subscribe,
          updateSubscription: commands.updateSubscription,
          unsubscribe: commands.unsubscribe,
          listSubscriptions: commands.listSubscriptions
        }
        return session
      }).pipe(Effect.provideService(Socket.WebSocketConstructor, construct), Effect.withSpan("KalshiSocket.connect"))

      return KalshiSocket.of({ connect })
    })
  )

  static readonly layer = this.layerNoDeps.pipe(Layer.provide(layerWebSocketConstructor))
}

interface Pending {
  readonly command: string
  readonly replies: number
  readonly received: Array<Frame>
  readonly done: Deferred.Deferred<ReadonlyArray<Frame>, KalshiSocketError>
}

/** How often and whether the feed is being read. */
interface Reading {
  readonly pulls: number
  readonly waits: boolean
}

const commandSeconds = 10

const makeCommands = (write: (text: string) => Effect.Effect<void, KalshiSocketError>, reading: Reading) => {
  const pending = new Map<number, Pending>()
  const channels = new Map<number, string>()
  let lastId = 0
  let ended: KalshiSocketError | undefined

  const hear = (frames: ReadonlyArray<RawFrame>) =>
    Effect.sync(() => {
      if (pending.size === 0) return
      for (const { raw, receivedMillis } of frames) if (raw.includes('"id":')) settle(decodeFrame(raw, receivedMillis))
    })

  const settle = (frame: Frame) => {
    if (!("id" in frame) || frame.id === undefined) return
    if (frame._tag === "Subscribed") channels.set(frame.sid, frame.channel)
    const waiting = pending.get(frame.id)
    if (waiting === undefined) return
    if (frame._tag === "ErrorReply") {
      const reason = { _tag: "CommandRejected" as const, command: waiting.command, code: frame.code }
      Deferred.doneUnsafe(waiting.done, Effect.fail(new KalshiSocketError({ reason })))
    } else if (waiting.received.push(frame) >= waiting.replies)
      Deferred.doneUnsafe(waiting.done, Effect.succeed(waiting.received))
  }

  const end = (error: KalshiSocketError) =>
    Effect.sync(() => {
      ended = error
      for (const { done } of pending.values()) Deferred.doneUnsafe(done, Effect.fail(error))
    })

  /** Ends when an answer is overdue. While frames are not pulled none can be heard, and the time does not count. */
  const overdue = Effect.gen(function* () {
    for (let waited = 0; waited < commandSeconds; ) {
      const { pulls } = reading
      yield* Effect.sleep("1 second")
      if (pulls === 0 || reading.waits || reading.pulls > pulls) waited += 1
    }
  })

  const run = Effect.fnUntraced(function* (command: string, params: object | undefined, replies = 1) {
    if (ended !== undefined) return yield* ended
    const id = ++lastId
    const done = Deferred.makeUnsafe<ReadonlyArray<Frame>, KalshiSocketError>()
    pending.set(id, { command, replies, received: [], done })
    yield* Effect.logDebug("command to the feed", { id, command })
    return yield* write(JSON.stringify({ id, cmd: command, params })).pipe(
      Effect.andThen(Deferred.await(done)),
      Effect.raceFirst(
        Effect.andThen(
          overdue,
          Effect.suspend(() => Effect.fail(new KalshiSocketError({ reason: { _tag: "CommandTimeout", command } })))
        )
      ),
      Effect.ensuring(Effect.sync(() => pending.delete(id)))
    )
  })

  const markets = (tickers: ReadonlyArray<string> | undefined, sendInitialSnapshot: boolean | undefined) => ({
    market_tickers: tickers,
    send_initial_snapshot: sendInitialSnapshot
  })

  return {
    hear,
    end,
    subscribe: Effect.fn("KalshiSocket.subscribe")(function* (options: Subscribe) {
      const params = { channels: options.channels, ...markets(options.marketTickers, options.sendInitialSnapshot) }
      const replies = yield* run("subscribe", params, options.channels.length)
      return replies.flatMap((frame): ReadonlyArray<Subscription> => {
        if (frame._tag === "Subscribed") return [{ channel: frame.channel, sid: frame.sid }]
        return frame._tag === "Ok" && frame.sid !== undefined
          ? [{ channel: channels.get(frame.sid), sid: frame.sid }]
          : []
      })
    }),
    updateSubscription: Effect.fn("KalshiSocket.updateSubscription")(function* (options: UpdateSubscription) {
      const { action, marketTickers, sendInitialSnapshot, sid } = options
      yield* run("update_subscription", { sid, action, ...markets(marketTickers, sendInitialSnapshot) })
    }),
    unsubscribe: Effect.fn("KalshiSocket.unsubscribe")(function* (sids: Arr.NonEmptyReadonlyArray<number>) {
      yield* run("unsubscribe", { sids }, sids.length)
    }),
    listSubscriptions: Effect.suspend(() => run("list_subscriptions", undefined)).pipe(
      Effect.map((replies) => replies.flatMap((frame) => (frame._tag === "Ok" ? (frame.subscriptions ?? []) : []))),
      Effect.withSpan("KalshiSocket.listSubscriptions")
    )
  }
}
