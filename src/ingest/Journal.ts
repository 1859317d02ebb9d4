import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as JournalRecord from "./JournalRecord.ts"

export class JournalError extends Schema.TaggedError<JournalError>()("JournalError", {
  operation: Schema.Literals(["open", "append", "sync", "read", "retire"]),
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `journal ${this.operation} failed: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

const attempt = <A>(operation: JournalError["operation"], run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (cause) => new JournalError({ operation, cause }) })

const fileName = (segment: number) => `${String(segment).padStart(12, "0")}.journal`
const segmentOf = (name: string) => (/^\d{12}\.journal$/.test(name) ? Number(name.slice(0, 12)) : undefined)

export interface JournalOptions {
  readonly directory: string
  /** A segment is closed once it holds this many bytes. */
  readonly segmentBytes: number
  /** Appended bytes reach the disk within this time. */
  readonly syncMillis: number
}

const readBytes = 1024 * 1024

/**
 * The local memory of one feed: raw frames, appended before anything interprets them, in numbered segment files. Appends are
 * group-committed to disk; reading follows the appended end, so one code path serves the live feed and recovery after a crash.
 */
export class Journal extends Context.Service<
  Journal,
  {
    /** Made once for a directory: a position in one journal means nothing in another. */
    readonly id: string
    /** Resolves when the entries are in the file; they are on disk `syncMillis` later at most. */
    append(entries: ReadonlyArray<JournalRecord.JournalEntry>): Effect.Effect<void, JournalError>
    /** Whole records after `from`, in order; none when nothing more is there yet. */
    read(
      from: JournalRecord.JournalPosition,
      limit: number
    ): Effect.Effect<
      { readonly records: ReadonlyArray<JournalRecord.JournalRecord>; readonly next: JournalRecord.JournalPosition },
      JournalError
    >
    /** Where the oldest kept record begins. */
    readonly oldest: Effect.Effect<JournalRecord.JournalPosition, JournalError>
    readonly end: Effect.Effect<JournalRecord.JournalPosition>
    /** Waits until something was appended since the last wait. */
    readonly appended: Effect.Effect<void>
    /** Deletes segments that end before `before` and were last written before `olderThanMillis` (wall clock). */
    retire(before: JournalRecord.JournalPosition, olderThanMillis: number): Effect.Effect<number, JournalError>
    /** Ends when appended bytes could not be brought to disk. */
    readonly syncFailed: Effect.Effect<never, JournalError>
  }
>()("kalshi-ingestor/ingest/Journal") {
  static readonly layer = (options: JournalOptions) =>
    Layer.effect(
      Journal,
      Effect.gen(function* () {
        const { directory } = options
        const pathOf = (segment: number) => path.join(directory, fileName(segment))
        const segments = attempt("read", async () =>
          (await fs.readdir(directory)).flatMap((name) => segmentOf(name) ?? []).sort((a, b) => a - b)
        )
        const openSegment = (segment: number) =>
          attempt("open", async () => {
            const file = await fs.open(pathOf(segment), "ax")
            const parent = await fs.open(directory, "r")
            await parent.sync()
            await parent.close()
            return file
          })

        yield* attempt("open", () => fs.mkdir(directory, { recursive: true, mode: 0o700 }))
        const id = yield* attempt("open", async () => {
          const file = path.join(directory, "id")
          await fs.writeFile(file, randomBytes(16).toString("hex"), { flag: "wx" }).catch(() => undefined)
          return (await fs.readFile(file, "utf8")).trim()
        })
        const existing = yield* segments
        const first = (existing.at(-1) ?? 0) + 1
        const current = { segment: first, offset: 0, file: yield* openSegment(first), dirty: false }
        const lock = yield* Semaphore.make(1)
        const wake = yield* Queue.sliding<void>(1)
        const isOpen = yield* Ref.make(true)

        const flush = Effect.suspend(() => {
          if (!current.dirty) return Effect.void
          current.dirty = false
          return attempt("sync", () => current.file.datasync())
        })
        const rotate = Effect.gen(function* () {
          yield* flush
          yield* attempt("sync", () => current.file.close())
          const segment = current.segment + 1
          const file = yield* openSegment(segment)
          Object.assign(current, { segment, offset: 0, file })
        })
        yield* Effect.addFinalizer(() =>
          Semaphore.withPermit(
            lock,
            Effect.gen(function* () {
              yield* Ref.set(isOpen, false)
              yield* flush
              yield* attempt("sync", () => current.file.close())
            })
          ).pipe(
            Effect.tapError((error) => Effect.logError(error.message)),
            Effect.ignore
          )
        )

        const writeAll = async (buffer: Buffer) => {
          let written = 0
          while (written < buffer.length) {
            const { bytesWritten } = await current.file.write(
              buffer,
              written,
              buffer.length - written,
              current.offset + written
            )
            written += bytesWritten
          }
        }
        const append = Effect.fnUntraced(function* (entries: ReadonlyArray<JournalRecord.JournalEntry>) {
          if (entries.length === 0) return
          const buffer = JournalRecord.encode(entries)
          yield* Effect.gen(function* () {
            if (current.offset >= options.segmentBytes) yield* rotate
            yield* attempt("append", () => writeAll(buffer))
            current.offset += buffer.length
            current.dirty = true
          }).pipe(Effect.uninterruptible, Semaphore.withPermit(lock))
          yield* Queue.offer(wake, undefined)
        })

        const readAt = (position: JournalRecord.JournalPosition, bytes: number) =>
          attempt("read", async () => {
            const file = await fs.open(pathOf(position.segment), "r")
            try {
              const buffer = Buffer.allocUnsafe(bytes)
              const { bytesRead } = await file.read(buffer, 0, bytes, position.offset)
              return buffer.subarray(0, bytesRead)
            } finally {
              await file.close()
            }
          })
        const nextSegment = Effect.fnUntraced(function* (after: number) {
          const following = (yield* segments).find((segment) => segment > after)
          return following === undefined ? undefined : { segment: following, offset: 0 }
        })

        const read = Effect.fnUntraced(function* (from: JournalRecord.JournalPosition, limit: number) {
          let position = from
          while (true) {
            const live = position.segment === current.segment
            const known = live || (yield* segments).includes(position.segment)
            const limitBytes = live ? current.offset - position.offset : Number.POSITIVE_INFINITY
            if (live && limitBytes <= 0) return { records: [], next: position }
            if (known) {
              let wanted = Math.min(readBytes, limitBytes)
              while (true) {
                const buffer = yield* readAt(position, wanted)
                const decoded = JournalRecord.decode(buffer, position, limit)
                if (decoded.consumed > 0) {
                  return {
                    records: decoded.records,
                    next: { segment: position.segment, offset: position.offset + decoded.consumed }
                  }
                }
                if (decoded.tail === "more" && decoded.needed > wanted && buffer.length === wanted) {
                  wanted = decoded.needed
                  continue
                }
                if (buffer.length > 0)
                  yield* Effect.logWarning("journal segment ends in a torn record", {
                    segment: position.segment,
                    offset: position.offset,
                    bytes: buffer.length
                  })
                break
              }
              if (live) return { records: [], next: position }
            }
            const following = yield* nextSegment(position.segment)
            if (following === undefined) return { records: [], next: position }
            position = following
          }
        })

        const retire = Effect.fn("Journal.retire")(function* (
          before: JournalRecord.JournalPosition,
          olderThanMillis: number
        ) {
          let removed = 0
          for (const segment of yield* segments) {
            if (segment >= before.segment || segment === current.segment) break
            const { mtimeMs } = yield* attempt("retire", () => fs.stat(pathOf(segment)))
            if (mtimeMs >= olderThanMillis) break
            yield* attempt("retire", () => fs.unlink(pathOf(segment)))
            removed++
          }
          return removed
        })

        return Journal.of({
          id,
          append,
          read,
          oldest: Effect.map(segments, (found) => ({ segment: found[0] ?? first, offset: 0 })),
          end: Effect.sync(() => ({ segment: current.segment, offset: current.offset })),
          appended: Queue.take(wake),
          retire,
          syncFailed: Effect.flatMap(Ref.get(isOpen), (open) =>
            open ? Semaphore.withPermit(lock, flush) : Effect.void
          ).pipe(Effect.repeat(Schedule.spaced(options.syncMillis)), Effect.andThen(Effect.never))
        })
      })
    )
}

/** An entry stamped now. */
export const entryNow = (kind: JournalRecord.JournalKind, payload: string): Effect.Effect<JournalRecord.JournalEntry> =>
  Effect.gen(function* () {
    const receivedMillis = yield* Clock.currentTimeMillis
    const monotonic = yield* Clock.currentTimeNanos
    return { kind, receivedMillis, monotonicMillis: Number(monotonic) / 1e6, payload }
  })
