import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import type { Session } from "../kalshi/KalshiSocket.ts"
import { KalshiSocketError } from "../kalshi/KalshiSocketError.ts"
import { socketErrorCode } from "../kalshi/SocketErrorCode.ts"
import { decodeFrame } from "../kalshi/SocketWire.ts"
import type { AwaitedSnapshots } from "./AwaitedSnapshots.ts"
import type { FeedWatchdog } from "./FeedWatchdog.ts"
import type { Journal } from "./Journal.ts"
import type { JournalEntry } from "./JournalRecord.ts"
import { SequenceWatch } from "./SequenceWatch.ts"

const framesReceived = Metric.counter("frames_received", { description: "Frames in the journal", incremental: true })
const clockJumps = Metric.counter("clock_jumps", { description: "Jumps of this machine's clock", incremental: true })

/** A few frames are journalled together with what arrives within this time. */
const gather = "4 millis"
const fewFrames = 64

/** The wall clock may differ this much from the monotonic one before it counts as a jump. */
const jumpMillis = 1_000

const isData = (raw: string) =>
  raw.startsWith('{"type":"ticker"') || raw.startsWith('{"type":"trade"') || raw.startsWith('{"type":"orderbook_delta"')

/** When frames and data came last, wall milliseconds; kept up to date by who records. */
export interface Heard {
  lastFrameAt: number
  lastDataAt: number
  /** The feed was silent when the last connection ended: only data shows that it is not any more. */
  doubted: boolean
}

export interface Recording {
  readonly journal: Journal["Service"]
  readonly heard: Heard
  readonly watchdog: FeedWatchdog
  /** Told when data shows that a doubted feed speaks again. */
  readonly proven: Queue.Queue<void>
}

/**
 * Puts every frame of a connection into the journal as it arrives, and tells the sid of each subscription that frames are missing of.
 * Ends with the connection.
 */
export const record = Effect.fnUntraced(function* (
  { heard, journal, proven, watchdog }: Recording,
  session: Session,
  awaited: AwaitedSnapshots,
  missing: Queue.Queue<number>
) {
  const watch = new SequenceWatch()
  let drift: number | undefined
  while (true) {
    const frames = yield* session.pull
    awaited.forgetBefore(frames[0].receivedMillis)
    const monotonicMillis = Number(yield* Clock.currentTimeNanos) / 1e6
    let live = 0
    let answers = 0
    const entries = frames.map(({ raw, receivedMillis }): JournalEntry => {
      const kind = awaited.isSnapshot(raw) ? "snapshot" : "frame"
      if (kind === "snapshot") answers++
      else if (isData(raw)) live++
      return { kind, receivedMillis, monotonicMillis, payload: raw }
    })
    yield* journal.append(entries)
    heard.lastFrameAt = frames.at(-1)!.receivedMillis
    if (live > 0) watchdog.data(live, heard.lastFrameAt)
    else if (answers > 0) watchdog.answered(heard.lastFrameAt)
    if (live + answers > 0) {
      heard.lastDataAt = heard.lastFrameAt
      if (heard.doubted) yield* Queue.offer(proven, undefined)
      heard.doubted = false
    }
    yield* Metric.update(framesReceived, frames.length)
    const apart = heard.lastFrameAt - monotonicMillis
    if (drift !== undefined && Math.abs(apart - drift) > jumpMillis) {
      yield* Metric.update(clockJumps, 1)
      yield* Effect.logWarning("this machine's clock jumped", { millis: Math.round(apart - drift) })
    }
    drift = apart
    for (const { raw, receivedMillis } of frames) {
      const sid = watch.missingBefore(raw)
      if (sid !== undefined) yield* Queue.offer(missing, sid)
      if (!raw.startsWith('{"type":"error"')) continue
      const frame = decodeFrame(raw, receivedMillis)
      if (frame._tag !== "ErrorReply") continue
      const { meaning, terminal } = socketErrorCode(frame.code)
      yield* Effect.logWarning("the feed reports an error", { code: frame.code, meaning, sid: frame.sid })
      if (terminal) return yield* new KalshiSocketError({ reason: { _tag: "SubscriptionEnded", code: frame.code } })
    }
    if (frames.length < fewFrames) yield* Effect.sleep(gather)
  }
})
