import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as JournalDirectory from "../ingest/JournalDirectory.ts"
import { attempt } from "../ingest/JournalError.ts"
import { makeReader } from "../ingest/JournalReader.ts"
import type { JournalPosition, JournalRecord } from "../ingest/JournalRecord.ts"
import { JournalSegments } from "../ingest/JournalSegments.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { GapSpans } from "../store/GapSpans.ts"
import { type Chosen, FrameSource, isChosen, ReplayError, type Span } from "./FrameSource.ts"
import { channelOf, partsOf, type Recorded, subscribedOf, tickerOf } from "./Recorded.ts"

/** Records read at once. */
const atOnce = 2000
/** Frames that come to every journal are the same frame within this long. */
const sameWithinMillis = 5 * 60_000

const journalsIn = (root: string) =>
  Effect.gen(function* () {
    const names = yield* Effect.sync(() => (fs.existsSync(root) ? fs.readdirSync(root).sort() : []))
    const found: Array<string> = []
    for (const name of names) {
      if (JournalDirectory.shareOf(name) === undefined) continue
      const segments = yield* attempt("read", () => new JournalSegments(path.join(root, name)).list())
      if (segments.length > 0) found.push(path.join(root, name))
    }
    return found
  })

/** Reads one journal from its first kept segment; frames of before the last `subscribed` are known by their channel. */
interface Track {
  /** Frames that are read and not taken yet. */
  waiting: ReadonlyArray<Recorded>
  at: number
  readonly more: Effect.Effect<ReadonlyArray<Recorded> | undefined, ReplayError>
}

const failed = (error: { readonly message: string }) => new ReplayError({ problem: error.message })

const trackOf = Effect.fnUntraced(function* (
  directory: string,
  span: Span,
  chosen: Chosen | undefined,
  fromWall: (wallMillis: number) => number,
  skipped: Ref.Ref<number>
) {
  const files = new JournalSegments(directory)
  const segments = yield* attempt("read", () => files.list())
  const last = segments.at(-1) ?? 0
  const end: JournalPosition = { segment: last, offset: Number.POSITIVE_INFINITY }
  const reader = makeReader(files, () => end)
  const channels = new Map<number, string>()
  let position: JournalPosition = { segment: segments[0] ?? 0, offset: 0 }
  let isOver = false
  let unreadable = 0

  const frameOf = ({ kind, payload, receivedMillis }: JournalRecord): Recorded | undefined => {
    if (kind === "opened") channels.clear()
    if (kind !== "frame" && kind !== "snapshot") return undefined
    const atMillis = fromWall(receivedMillis)
    if (atMillis >= span.toMillis) {
      isOver = true
      return undefined
    }
    const parts = partsOf(payload)
    if (parts === undefined) {
      const subscribed = subscribedOf(payload)
      if (subscribed !== undefined) channels.set(subscribed.sid, subscribed.channel)
      else if (!/"type":"(?:subscribed|unsubscribed|ok|error)"/.test(payload)) unreadable += 1
      return undefined
    }
    const { msg, sid, tail, type } = parts
    const channel = channelOf(type, sid === undefined ? undefined : channels.get(sid))
    const frame: Recorded = { atMillis, channel, type, ticker: tickerOf(msg), msg, tail }
    return isChosen(frame, chosen) ? frame : undefined
  }

  const more = Effect.gen(function* () {
    while (!isOver) {
      const { next, records } = yield* reader.read(position, atOnce)
      if (records.length === 0) return undefined
      position = next
      const frames: Array<Recorded> = []
      for (const record of records) {
        const frame = frameOf(record)
        if (frame !== undefined) frames.push(frame)
      }
      if (unreadable > 0) yield* Ref.update(skipped, (n) => n + unreadable)
      unreadable = 0
      if (frames.length > 0) return frames
    }
    return undefined
  }).pipe(Effect.mapError(failed))

  return { waiting: [], at: 0, more } satisfies Track as Track
}, Effect.mapError(failed))

/** Lifecycle messages and trades come to every process that listens: the first of equal ones is kept. */
const onceOnly = () => {
  const seen = new Map<string, number>()
  let sweptAt = 0
  return (frame: Recorded): boolean => {
    const { atMillis, channel, msg } = frame
    if (channel !== "trade" && !channel.includes("lifecycle")) return true
    if (atMillis > sweptAt + sameWithinMillis) {
      for (const [key, at] of seen) if (at < atMillis - sameWithinMillis) seen.delete(key)
      sweptAt = atMillis
    }
    const before = seen.get(msg)
    if (before !== undefined && atMillis - before <= sameWithinMillis) return false
    seen.set(msg, atMillis)
    return true
  }
}

/** The next frames of all tracks by when they were received; of one instant, in the order of the tracks. */
const merged = (tracks: ReadonlyArray<Track>, isFirst: (frame: Recorded) => boolean) =>
  Effect.gen(function* () {
    const live: Array<Track> = []
    for (const track of tracks) {
      if (track.at >= track.waiting.length) {
        const frames = yield* track.more
        if (frames === undefined) continue
        track.waiting = frames
        track.at = 0
      }
      live.push(track)
    }
    const [only] = live
    if (only === undefined) return [[], Option.none()] as const
    const out: Array<Recorded> = []
    if (live.length === 1) {
      for (; only.at < only.waiting.length; only.at++) out.push(only.waiting[only.at]!)
    } else {
      while (live.every((track) => track.at < track.waiting.length)) {
        let first = only
        for (const track of live)
          if (track.waiting[track.at]!.atMillis < first.waiting[first.at]!.atMillis) first = track
        out.push(first.waiting[first.at]!)
        first.at += 1
      }
    }
    return [tracks.length === 1 ? out : out.filter(isFirst), Option.some(live)] as const
  })

/** The kept segments of this machine's journals (`JOURNAL_DIR`, or `journal/` in `DATA_DIR`), which are only read. */
export const layerJournal = Layer.effect(
  FrameSource,
  Effect.gen(function* () {
    const root = yield* JournalDirectory.root
    const time = yield* ExchangeTime
    const gapSpans = yield* GapSpans
    const skipped = yield* Ref.make(0)
    const journals = yield* Effect.orDie(journalsIn(root))
    if (journals.length === 0)
      return yield* new SettingError({
        setting: "JOURNAL_DIR",
        problem: `there is no kept journal in ${root}`,
        fix: "name the folder that holds shard-0, or replay the database with --source database"
      })
    return FrameSource.of({
      name: "journal",
      skipped: Ref.get(skipped),
      gaps: ({ fromMillis, toMillis }) => gapSpans.within(fromMillis, toMillis).pipe(Effect.mapError(failed)),
      frames: (span, chosen) =>
        Stream.unwrap(
          Effect.gen(function* () {
            yield* Ref.set(skipped, 0)
            const tracks = yield* Effect.forEach(journals, (directory) =>
              trackOf(directory, span, chosen, time.fromWall, skipped)
            )
            const isFirst = onceOnly()
            return Stream.paginate(tracks as ReadonlyArray<Track>, (live) => merged(live, isFirst))
          })
        )
    })
  })
)
