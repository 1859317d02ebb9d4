import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import { KalshiSocket, type Session } from "../kalshi/KalshiSocket.ts"
import type { KalshiSocketError } from "../kalshi/KalshiSocketError.ts"
import { socketErrorCode } from "../kalshi/SocketErrorCode.ts"
import { decodeFrame } from "../kalshi/SocketWire.ts"
import { reconnectBackoff, supervise } from "../kalshi/Supervise.ts"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { ActiveMarkets } from "../store/ActiveMarkets.ts"
import { AwaitedSnapshots } from "./AwaitedSnapshots.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { entryNow, Journal } from "./Journal.ts"
import type { JournalEntry } from "./JournalRecord.ts"
import { MarketsChanged } from "./MarketsChanged.ts"
import { plan } from "./Subscriptions.ts"

const framesReceived = Metric.counter("frames_received", { description: "Frames in the journal", incremental: true })
const sessions = Metric.counter("socket_sessions", { description: "Connections to the feed", incremental: true })
const subscribedMarkets = Metric.gauge("subscribed_markets", { description: "Markets of the ticker subscription" })
const leftOutMarkets = Metric.gauge("subscription_left_out", {
  description: "Active markets beyond MAX_ACTIVE_TICKERS, not subscribed"
})

/** Changes of active_markets within this time are followed together. */
const settle = "50 millis"

/** What the exchange refuses about one batch of markets; the rest of the subscription goes on. */
const batchRefusals: ReadonlySet<number> = new Set([11, 16, 26])

const isRefusedBatch = (error: KalshiSocketError) =>
  error.reason._tag === "CommandRejected" && batchRefusals.has(error.reason.code)

/**
 * Records the live feed: every frame goes to the journal as it arrives, and the ticker subscription follows active_markets. A
 * session that ends is followed by another; each end and each complete subscription is written down in the journal.
 */
export const LiveCapture = Layer.effectDiscard(
  Effect.gen(function* () {
    const loops = yield* Loops
    const health = yield* Health
    const journal = yield* Journal
    const socket = yield* KalshiSocket
    const active = yield* ActiveMarkets
    const changed = yield* MarketsChanged
    const config = yield* Setting.read(IngestConfig.capture)
    const wantsTicker = config.channels.includes("ticker")
    const lifecycleChannels = config.channels.filter((channel) => channel !== "ticker")
    const link = {
      connectedBefore: false,
      open: false,
      lastFrameAt: yield* Clock.currentTimeMillis,
      wanted: [] as ReadonlyArray<string>
    }

    const mark = (kind: JournalEntry["kind"], detail: string) =>
      Effect.flatMap(entryNow(kind, detail), (entry) => journal.append([entry]))

    const readWanted = active.tickers.pipe(
      Effect.tap((tickers) =>
        Effect.sync(() => {
          link.wanted = tickers
        })
      ),
      Effect.catch((error) =>
        Effect.as(
          Effect.logWarning("database does not answer, subscriptions stay as they are", { reason: error.reason._tag }),
          link.wanted
        )
      )
    )

    const record = Effect.fnUntraced(function* (
      session: Session,
      lost: Queue.Queue<string>,
      awaited: AwaitedSnapshots
    ) {
      while (true) {
        const frames = yield* session.pull
        awaited.forgetBefore(frames[0].receivedMillis)
        const monotonicMillis = Number(yield* Clock.currentTimeNanos) / 1e6
        yield* journal.append(
          frames.map(({ raw, receivedMillis }) => ({
            kind: awaited.isSnapshot(raw) ? "snapshot" : "frame",
            receivedMillis,
            monotonicMillis,
            payload: raw
          }))
        )
        link.lastFrameAt = frames.at(-1)!.receivedMillis
        yield* Metric.update(framesReceived, frames.length)
        for (const { raw, receivedMillis } of frames) {
          if (!raw.startsWith('{"type":"error"')) continue
          const frame = decodeFrame(raw, receivedMillis)
          if (frame._tag !== "ErrorReply") continue
          const { meaning, terminal } = socketErrorCode(frame.code)
          yield* Effect.logWarning("the feed reports an error", { code: frame.code, meaning, sid: frame.sid })
          if (terminal) yield* Queue.offer(lost, `code ${frame.code}: ${meaning}`)
        }
      }
    })

    const follow = Effect.fnUntraced(function* (
      session: Session,
      lost: Queue.Queue<string>,
      awaited: AwaitedSnapshots
    ) {
      const subscribed = new Set<string>()
      let sid: number | undefined

      const add = Effect.fnUntraced(function* (batch: ReadonlyArray<string>) {
        awaited.expect(batch, yield* Clock.currentTimeMillis)
        if (sid === undefined) {
          const [subscription] = yield* session.subscribe({
            channels: ["ticker"],
            marketTickers: batch,
            sendInitialSnapshot: true
          })
          sid = subscription?.sid
        } else {
          yield* session.updateSubscription({
            sid,
            action: "add_markets",
            marketTickers: batch,
            sendInitialSnapshot: true
          })
        }
        for (const ticker of batch) subscribed.add(ticker)
      })
      const remove = Effect.fnUntraced(function* (batch: ReadonlyArray<string>) {
        if (sid !== undefined)
          yield* session.updateSubscription({ sid, action: "delete_markets", marketTickers: batch })
        for (const ticker of batch) subscribed.delete(ticker)
      })
      const bear = <A>(command: Effect.Effect<A, KalshiSocketError>) =>
        command.pipe(
          Effect.catchIf(isRefusedBatch, (error) =>
            Effect.logError("the feed refuses a batch of markets", { reason: error.message })
          ),
          Effect.asVoid
        )
      const align = Effect.gen(function* () {
        const {
          add: added,
          leftOut,
          remove: removed
        } = plan(subscribed, yield* readWanted, {
          limit: config.maxTickers,
          batchSize: config.batchSize
        })
        if (leftOut > 0) yield* Effect.logWarning("more active markets than MAX_ACTIVE_TICKERS", { leftOut })
        yield* Effect.forEach(removed, (batch) => bear(remove(batch)), { discard: true })
        yield* Effect.forEach(added, (batch) => bear(add(batch)), { discard: true })
        yield* Metric.update(subscribedMarkets, subscribed.size)
        yield* Metric.update(leftOutMarkets, leftOut)
      })

      const begin = Effect.gen(function* () {
        const [first, ...rest] = lifecycleChannels
        if (first !== undefined) yield* session.subscribe({ channels: [first, ...rest] })
        if (wantsTicker) yield* align
        yield* mark("live", `${subscribed.size} markets`)
      })
      yield* begin
      yield* Effect.logInfo("recording the live feed", { markets: subscribed.size })
      while (true) {
        const ended = yield* Effect.raceFirst(
          Queue.take(lost),
          Effect.raceFirst(
            changed.next.pipe(Effect.andThen(Effect.sleep(settle))),
            Effect.sleep(`${config.refreshSeconds} seconds`)
          ).pipe(Effect.as(undefined))
        )
        if (ended === undefined) {
          if (wantsTicker) yield* align
          continue
        }
        yield* mark("closed", ended)
        subscribed.clear()
        sid = undefined
        yield* begin
      }
    })

    const firstRefusal = (error: KalshiSocketError) => !link.connectedBefore && error.reason._tag === "Unauthorized"

    const session = Effect.gen(function* () {
      const live = yield* socket.connect
      link.connectedBefore = true
      link.open = true
      yield* Metric.update(sessions, 1)
      const lost = yield* Queue.unbounded<string>()
      const keepAlive = live.lastPing.pipe(
        Effect.flatMap((receivedMillis) =>
          receivedMillis > link.lastFrameAt
            ? Effect.flatMap(entryNow("alive", ""), (entry) => journal.append([{ ...entry, receivedMillis }]))
            : Effect.void
        ),
        Effect.repeat(Schedule.spaced("10 seconds")),
        Effect.andThen(Effect.never)
      )
      const awaited = new AwaitedSnapshots()
      return yield* Effect.raceAllFirst([record(live, lost, awaited), follow(live, lost, awaited), keepAlive])
    }).pipe(
      Effect.scoped,
      Effect.ensuring(
        Effect.sync(() => {
          link.open = false
        })
      ),
      Effect.tapError((error) =>
        error._tag === "KalshiSocketError" && !firstRefusal(error)
          ? Effect.andThen(
              Effect.logWarning("the feed ended, connecting again", { reason: error.message }),
              link.connectedBefore ? mark("closed", error.message) : Effect.void
            )
          : Effect.void
      )
    )

    const recording = supervise(
      session.pipe(
        Effect.catchTag("KalshiSocketError", (error) =>
          firstRefusal(error)
            ? Effect.die(
                new SettingError({
                  setting: "KALSHI_API_KEY_ID",
                  problem: "the feed refuses this key (401)",
                  fix: "check that the id belongs to the key of KALSHI_PRIVATE_KEY_PEM_PATH, that both are of this environment, and that this machine's clock is right"
                })
              )
            : Effect.fail(error)
        ),
        Effect.catchTag("JournalError", (error) => Effect.die(error))
      ),
      { backoff: reconnectBackoff, healthyAfter: "30 seconds" }
    )

    yield* health.register(
      "feed",
      Effect.map(Clock.currentTimeMillis, (now) => ({
        ok: link.open,
        detail: link.open ? "connected" : "not connected",
        ageSeconds: (now - link.lastFrameAt) / 1000
      }))
    )
    yield* Effect.addFinalizer(() =>
      mark("stopping", "stopped on request").pipe(Effect.timeoutOption("2 seconds"), Effect.ignore)
    )
    yield* mark("started", "the process was not running")
    yield* loops.run("live-capture", recording)
  })
)
