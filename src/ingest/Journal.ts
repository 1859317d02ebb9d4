import { randomBytes } from "node:crypto"
import type { FileHandle } from "node:fs/promises"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import { attempt, type JournalError } from "./JournalError.ts"
import { makeReader, type RecordsRead } from "./JournalReader.ts"
import * as JournalRecord from "./JournalRecord.ts"
import { JournalSegments } from "./JournalSegments.ts"
import { JournalTail } from "./JournalTail.ts"

export interface JournalOptions {
  readonly directory: string
  /** A segment is closed once it holds this many bytes. */
  readonly segmentBytes: number
  /** Appended bytes reach the disk within this time. */
  readonly syncMillis: number
  /** Nothing is appended while the disk has less room than this. Default 0. */
  readonly minFreeBytes?: number
  /** Stored segments are compressed. Default false. */
  readonly compress?: boolean
  /** Bytes of the newest records kept in memory for a reader that follows closely. Default 16 MiB. */
  readonly tailBytes?: number
}

/** Why nothing can be appended, and since when (our clock). */
export interface Blocked {
  readonly sinceMillis: number
  readonly reason: string
}

const blockedGauge = Metric.gauge("journal_blocked", {
  description: "1 while the journal waits for room on its disk and the feed is not read"
})

const defaultTailBytes = 16 * 1024 * 1024

/**
 * The local memory of one feed: raw frames, appended before anything interprets them, in numbered segment files. Appends are
 * group-committed to disk; reading follows the appended end, so one code path serves the live feed and recovery after a crash. On a
 * full disk an append waits for room, and whoever appends waits with it.
 */
export class Journal extends Context.Service<
  Journal,
  {
    /** Made once for a directory: a position in one journal means nothing in another. */
    readonly id: string
    /** Resolves when the entries are in the file; they are on disk `syncMillis` later at most. */
    append(entries: ReadonlyArray<JournalRecord.JournalEntry>): Effect.Effect<void, JournalError>
    /** Whole records after `from`, in order; none when nothing more is there yet. */
    read(from: JournalRecord.JournalPosition, limit: number): Effect.Effect<RecordsRead, JournalError>
    /** Where the oldest kept record begins. */
    readonly oldest: Effect.Effect<JournalRecord.JournalPosition, JournalError>
    readonly end: Effect.Effect<JournalRecord.JournalPosition>
    /** Waits until something was appended since the last wait; one reader waits. */
    readonly appended: Effect.Effect<void>
    /** Set while appends wait for room. */
    readonly blocked: Effect.Effect<Option.Option<Blocked>>
    /**
     * Everything before `before` is stored: those segments are compressed, and deleted when they were last written before
     * `olderThanMillis` (wall clock). Succeeds with how many were deleted.
     */
    retire(before: JournalRecord.JournalPosition, olderThanMillis: number): Effect.Effect<number, JournalError>
    /** Brings appended bytes to disk, time and again; ends when that fails for another reason than a full disk. */
    readonly syncFailed: Effect.Effect<never, JournalError>
  }
>()("kalshi-ingestor/ingest/Journal") {
  static readonly layer = (options: JournalOptions) => Layer.effect(Journal, make(options))
}

const make = Effect.fnUntraced(function* (options: JournalOptions) {
  const { directory, minFreeBytes = 0 } = options
  const files = new JournalSegments(directory)
  const tail = new JournalTail(options.tailBytes ?? defaultTailBytes)
  const segments = attempt("read", () => files.list())

  yield* attempt("open", () => fs.mkdir(directory, { recursive: true, mode: 0o700 }))
  yield* attempt("open", () => files.tidy())
  const id = yield* attempt("open", () => identity(directory))
  const first = ((yield* segments).at(-1) ?? 0) + 1
  const current = {
    segment: first,
    offset: 0,
    file: yield* attempt("open", () => files.create(first)),
    /** Written since the last sync, which ended at `synced`. A failed sync may have dropped them from the system's memory. */
    unsynced: [] as Array<Buffer>,
    synced: 0
  }
  const reader = makeReader(files, () => current)
  const lock = yield* Semaphore.make(1)
  /** Appends one after the other: none overtakes one that waits for room, though it may fit. */
  const turns = yield* Semaphore.make(1)
  const wake = yield* Queue.sliding<void>(1)
  const isOpen = yield* Ref.make(true)
  const blocked = yield* Ref.make(Option.none<Blocked>())
  /** Why no append is tried: the disk has less room than it must have, or could not take what was appended before. */
  const obstacles = { room: undefined as string | undefined, sync: undefined as string | undefined }

  const block = Effect.fnUntraced(function* (reason: string) {
    if (Option.isSome(yield* Ref.get(blocked))) return
    yield* Ref.set(blocked, Option.some({ sinceMillis: yield* Clock.currentTimeMillis, reason }))
    yield* Metric.update(blockedGauge, 1)
    yield* Effect.logError(
      `the journal's disk is full (${reason}): the feed is not read until there is room in ${directory}; free some, or move JOURNAL_DIR`
    )
  })
  const unblock = Effect.gen(function* () {
    const since = yield* Ref.getAndSet(blocked, Option.none())
    if (Option.isNone(since)) return
    yield* Metric.update(blockedGauge, 0)
    yield* Effect.logInfo("the journal has room again, the feed is read on", {
      seconds: Math.round(((yield* Clock.currentTimeMillis) - since.value.sinceMillis) / 1000)
    })
  })

  const writeAt = async (file: FileHandle, buffer: Buffer, offset: number) => {
    let written = 0
    while (written < buffer.length) {
      const { bytesWritten } = await file.write(buffer, written, buffer.length - written, offset + written)
      written += bytesWritten
    }
  }

  // After a failed sync the bytes are written to their places again before the next try: positions that a reader has stay right.
  const flush = Effect.suspend(() => {
    if (current.unsynced.length === 0) return Effect.void
    const buffers = current.unsynced
    const end = current.offset
    return attempt("sync", () => current.file.datasync()).pipe(
      Effect.tapError(() =>
        attempt("sync", () => writeAt(current.file, Buffer.concat(buffers), current.synced)).pipe(Effect.ignore)
      ),
      Effect.tap(() =>
        Effect.sync(() => {
          current.unsynced = []
          current.synced = end
        })
      )
    )
  })

  const rotate = Effect.gen(function* () {
    yield* flush
    const segment = current.segment + 1
    const file = yield* attempt("append", () => files.create(segment))
    yield* attempt("sync", () => current.file.close())
    Object.assign(current, { segment, offset: 0, synced: 0, file })
  })

  yield* Effect.addFinalizer(() =>
    Semaphore.withPermit(
      lock,
      Effect.gen(function* () {
        yield* Ref.set(isOpen, false)
        yield* flush
        yield* attempt("sync", () => current.file.close())
        if (current.offset === 0 && (yield* segments)[0] !== current.segment)
          yield* attempt("retire", () => files.remove(current.segment))
      })
    ).pipe(
      Effect.tapError((error) => Effect.logError(error.message)),
      Effect.ignore
    )
  )

  // The offset moves only when all of the bytes are in the file: what a full disk took in part is overwritten by the next try.
  const tryAppend = (entries: ReadonlyArray<JournalRecord.JournalEntry>) =>
    Effect.gen(function* () {
      if (current.offset >= options.segmentBytes) yield* rotate
      const start = { segment: current.segment, offset: current.offset }
      const { buffer, records } = JournalRecord.encode(entries, start)
      yield* attempt("append", () => writeAt(current.file, buffer, current.offset))
      current.offset += buffer.length
      current.unsynced.push(buffer)
      tail.push(records, start)
    }).pipe(Effect.uninterruptible, Semaphore.withPermit(lock))

  const appendInTurn = Effect.fnUntraced(function* (entries: ReadonlyArray<JournalRecord.JournalEntry>) {
    while (true) {
      const obstacle = obstacles.room ?? obstacles.sync
      if (obstacle !== undefined) yield* block(obstacle)
      else {
        const full = yield* tryAppend(entries).pipe(
          Effect.as(undefined),
          Effect.catchIf(
            (error) => error.isFull,
            (error) => Effect.succeed(error)
          )
        )
        if (full === undefined) break
        yield* block(full.message)
      }
      yield* Effect.sleep("1 second")
    }
    if (Option.isSome(yield* Ref.get(blocked))) yield* unblock
    yield* Queue.offer(wake, undefined)
  })

  const append = (entries: ReadonlyArray<JournalRecord.JournalEntry>) =>
    entries.length === 0 ? Effect.void : Semaphore.withPermit(turns, appendInTurn(entries))

  const read = (from: JournalRecord.JournalPosition, limit: number) =>
    Effect.suspend(() => {
      const records = tail.from(from, limit)
      return records === undefined
        ? reader.read(from, limit)
        : Effect.succeed({ records, next: records.at(-1)?.end ?? from })
    })

  const stored = yield* Ref.make(0)
  const storedMore = yield* Queue.sliding<void>(1)
  const compressStored = Effect.gen(function* () {
    for (const segment of yield* segments) {
      if (segment >= (yield* Ref.get(stored)) || segment === current.segment) break
      yield* attempt("retire", () => files.compress(segment))
    }
  }).pipe(
    Effect.catch((error) => Effect.logWarning("a stored journal segment stays as it is", { reason: error.message })),
    Effect.andThen(Queue.take(storedMore)),
    Effect.forever
  )
  if (options.compress === true) yield* Effect.forkScoped(compressStored)

  const retire = Effect.fn("Journal.retire")(function* (
    before: JournalRecord.JournalPosition,
    olderThanMillis: number
  ) {
    let removed = 0
    for (const segment of yield* segments) {
      if (segment >= before.segment || segment === current.segment) break
      const changedAt = yield* attempt("retire", () => files.changedAt(segment))
      if (changedAt === undefined) continue
      if (changedAt >= olderThanMillis) break
      yield* attempt("retire", () => files.remove(segment))
      removed++
    }
    yield* Ref.set(stored, before.segment)
    yield* Queue.offer(storedMore, undefined)
    return removed
  })

  const sync = Effect.flatMap(Ref.get(isOpen), (open) => (open ? Semaphore.withPermit(lock, flush) : Effect.void)).pipe(
    Effect.as(undefined),
    Effect.catchIf(
      (error) => error.isFull,
      (error) => Effect.succeed(error.message)
    ),
    Effect.tap((reason) =>
      Effect.sync(() => {
        obstacles.sync = reason
      })
    ),
    Effect.repeat(Schedule.spaced(options.syncMillis))
  )
  const watchRoom = attempt("append", () => fs.statfs(directory)).pipe(
    Effect.tap(({ bavail, bsize }) =>
      Effect.sync(() => {
        obstacles.room =
          bavail * bsize < minFreeBytes ? `less than ${Math.round(minFreeBytes / 1024 / 1024)} MB free` : undefined
      })
    ),
    Effect.repeat(Schedule.spaced("1 second"))
  )

  return Journal.of({
    id,
    append,
    read,
    oldest: Effect.map(segments, (found) => ({ segment: found[0] ?? first, offset: 0 })),
    end: Effect.sync(() => ({ segment: current.segment, offset: current.offset })),
    appended: Queue.take(wake),
    blocked: Ref.get(blocked),
    retire,
    syncFailed: (minFreeBytes > 0 ? Effect.raceFirst(sync, watchRoom) : sync).pipe(Effect.andThen(Effect.never))
  })
})

/** The name of a directory's journal, made at first sight; an empty one, as a crash may leave it, is made anew. */
const identity = async (directory: string): Promise<string> => {
  const file = path.join(directory, "id")
  const read = () =>
    fs.readFile(file, "utf8").then(
      (text) => text.trim(),
      () => ""
    )
  const found = await read()
  if (found !== "") return found
  await fs.writeFile(`${file}.new`, randomBytes(16).toString("hex"))
  const made = await fs.open(`${file}.new`, "r+")
  await made.sync()
  await made.close()
  await fs.rename(`${file}.new`, file)
  return read()
}

/** An entry stamped now. */
export const entryNow = (kind: JournalRecord.JournalKind, payload: string): Effect.Effect<JournalRecord.JournalEntry> =>
  Effect.gen(function* () {
    const receivedMillis = yield* Clock.currentTimeMillis
    const monotonic = yield* Clock.currentTimeNanos
    return { kind, receivedMillis, monotonicMillis: Number(monotonic) / 1e6, payload }
  })
