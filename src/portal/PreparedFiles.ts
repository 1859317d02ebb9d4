import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Hash from "effect/Hash"
import * as Layer from "effect/Layer"
import type * as PlatformError from "effect/PlatformError"
import * as RcMap from "effect/RcMap"
import * as Ref from "effect/Ref"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import type { SettingError } from "../runtime/SettingError.ts"
import { ArchivedDays, problemOf } from "../store/ArchivedDays.ts"
import type { ArchiveError } from "../store/ArchiveError.ts"
import { Export, type ExportQuery } from "../store/Export.ts"
import { BadRange, NoRoom, Refused, type TooManyRequests, type Unavailable, type Visitor } from "./ApiErrors.ts"
import type { FileProgress } from "./ApiFields.ts"
import { archivedOnly } from "./ArchivedShown.ts"
import type { ArchivedOnly } from "./ArchiveFields.ts"
import { DownloadSlots } from "./DownloadSlots.ts"
import { orUnavailable } from "./Guarded.ts"
import { PortalConfig } from "./PortalConfig.ts"

/** `name`: the request as it was sent. The same visitor's same request is the same file, asked about and then fetched. */
export interface FileWanted {
  readonly name: string
  readonly query: Omit<ExportQuery, "file">
}

export interface ReadyFile {
  readonly bytes: number
  readonly body: Stream.Stream<Uint8Array, PlatformError.PlatformError | FileFault>
}

export type FileFault = ArchivedOnly | BadRange | NoRoom | Refused | TooManyRequests | Unavailable

export interface PreparedFilesOptions {
  /** Nobody asked for a file for so long: it is given up, or removed. */
  readonly idle: Duration.Input
}

/** Files are made two at a time: each has half of the memory. */
const madeAtOnce = 2
const longest = Duration.minutes(10)
const rowsAtMost = 20_000_000
/** A small file is there when it is first asked about. */
const soon = "300 millis"
const spareBytes = 64_000_000
const prefix = "kalshi-portal-file-"
/** No file is made or fetched for so long: directories that are older are what a portal that was killed left. */
const leftMillis = 4 * 3_600_000

class Key implements Equal.Equal {
  readonly id: string
  readonly visitor: string
  readonly wanted: FileWanted
  constructor(visitor: string, wanted: FileWanted) {
    this.id = JSON.stringify([visitor, wanted.name])
    this.visitor = visitor
    this.wanted = wanted
  }
  [Equal.symbol](that: unknown): boolean {
    return that instanceof Key && that.id === this.id
  }
  [Hash.symbol](): number {
    return Hash.string(this.id)
  }
}

const full = "the portal's disk has no room for it; ask for less, or later"
const isFull = /no space left|ENOSPC|max_temp_directory_size|disk quota/i

/**
 * Files that cannot be sent while they are read: Parquet, and whatever is sorted of database and archive together. They are made on disk
 * for who asked, and are gone a moment after they were fetched, or nobody asked about them any more.
 */
export class PreparedFiles extends Context.Service<
  PreparedFiles,
  {
    /** Begins with a file, if it is not begun, and says how far it is. */
    readonly progress: (visitor: Visitor, wanted: FileWanted) => Effect.Effect<FileProgress, FileFault>
    /** Waits for the file. */
    readonly fetch: (visitor: Visitor, wanted: FileWanted) => Effect.Effect<ReadyFile, FileFault>
  }
>()("kalshi-ingestor/portal/PreparedFiles") {
  static readonly layerWith = ({ idle }: PreparedFilesOptions) =>
    Layer.effect(
      PreparedFiles,
      Effect.gen(function* () {
        const exporting = yield* Export
        const archived = yield* ArchivedDays
        const slots = yield* DownloadSlots
        const files = yield* FileSystem.FileSystem
        const { downloadDirectory } = yield* PortalConfig
        const root = path.resolve(downloadDirectory ?? os.tmpdir())
        const few = yield* Semaphore.make(madeAtOnce)

        const noRoom = (problem: string) => new NoRoom({ problem })
        const sweep = (nowMillis: number) =>
          Effect.try(() => {
            for (const name of fs.readdirSync(root).filter((entry) => entry.startsWith(prefix))) {
              const left = path.join(root, name)
              if (nowMillis - fs.statSync(left).mtimeMs > leftMillis) fs.rmSync(left, { recursive: true, force: true })
            }
          }).pipe(Effect.ignore)
        const directory = Effect.acquireRelease(
          Effect.try({
            try: () => fs.mkdtempSync(path.join(root, prefix)),
            catch: () => noRoom("the portal's directory for downloads cannot be written to")
          }),
          (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
        )

        const hasRoom = Effect.suspend(() => {
          const { bavail, bsize } = fs.statfsSync(root)
          return bavail * bsize < spareBytes ? Effect.fail(noRoom(full)) : Effect.void
        })

        const make = Effect.fn("PreparedFiles.make")(function* (
          { query }: FileWanted,
          file: string,
          told: (rows: number) => Effect.Effect<void>
        ) {
          yield* hasRoom
          const days = yield* archived.gone({ ...query, tables: [query.table] })
          const trouble = yield* archived.trouble(days)
          if (trouble !== undefined) return yield* archivedOnly({ days, problem: trouble })
          const isOfDays = (problem: string) =>
            days.some((day) => day.files.some((one) => problem.startsWith(`${one.path} is `)))
          const refused = Effect.fnUntraced(function* (error: ArchiveError | SettingError) {
            if (error._tag === "SettingError" || isOfDays(error.problem))
              return yield* archivedOnly({ days, problem: yield* problemOf(error) })
            if (isFull.test(error.problem)) return yield* noRoom(full)
            yield* Effect.logError("a file for a download cannot be made", { problem: error.problem })
            return yield* new Refused({ problem: "the file could not be made; the portal's log says why" })
          })
          return yield* exporting
            .write(
              { ...query, file },
              Effect.fnUntraced(function* (rows: number) {
                yield* told(rows)
                if (rows > rowsAtMost)
                  return yield* new BadRange({
                    problem: `it has more than ${rowsAtMost} rows: ask for fewer days, or use \`node dist/export.js\``
                  })
                yield* hasRoom
              })
            )
            .pipe(Effect.catchTags({ ArchiveError: refused, SettingError: refused }))
        })

        const begin = Effect.fnUntraced(function* (key: Key) {
          yield* slots.hold(key.visitor)
          yield* sweep(yield* Clock.currentTimeMillis)
          const file = path.join(yield* directory, "file")
          const progress = yield* Ref.make<FileProgress>({ state: "waiting", rows: 0, bytes: null })
          const told = (rows: number) => Ref.set(progress, { state: "reading", rows, bytes: null })
          const fiber = yield* told(0).pipe(
            Effect.andThen(make(key.wanted, file, told)),
            Effect.timeoutOrElse({
              duration: longest,
              orElse: () =>
                Effect.fail(
                  new Refused({
                    problem: `it takes more than ${Duration.toMinutes(longest)} minutes: ask for fewer days, or use \`node dist/export.js\``
                  })
                )
            }),
            Effect.tap(({ bytes, rows }) => Ref.set(progress, { state: "ready", rows, bytes })),
            few.withPermits(1),
            (making) => orUnavailable<{ readonly bytes: number }, FileFault | SqlError, never>(making),
            Effect.forkScoped
          )
          return { fiber, file, progress }
        })

        const entries = yield* RcMap.make({ lookup: begin, idleTimeToLive: idle })
        const forget = (key: Key) => RcMap.invalidate(entries, key)
        const entry = (key: Key) => Effect.tapError(RcMap.get(entries, key), () => forget(key))
        /** What went wrong is told once; who asks again has it tried again. */
        const joined = (key: Key, fiber: Fiber.Fiber<{ readonly bytes: number }, FileFault>) =>
          Effect.tapError(Fiber.join(fiber), () => forget(key))

        return PreparedFiles.of({
          progress: Effect.fnUntraced(function* ({ id }, wanted) {
            const key = new Key(id, wanted)
            const { fiber, progress } = yield* entry(key)
            yield* Effect.timeoutOption(Fiber.await(fiber), soon)
            if (fiber.pollUnsafe() !== undefined) yield* joined(key, fiber)
            return yield* Ref.get(progress)
          }, Effect.scoped),
          fetch: Effect.fnUntraced(function* ({ id }, wanted) {
            const key = new Key(id, wanted)
            const { bytes } = yield* Effect.scoped(Effect.flatMap(entry(key), ({ fiber }) => joined(key, fiber))).pipe(
              Effect.onInterrupt(() => forget(key))
            )
            const body = Stream.unwrap(
              Effect.flatMap(entry(key), ({ fiber, file }) => Effect.as(joined(key, fiber), files.stream(file)))
            )
            return { bytes, body: Stream.ensuring(body, forget(key)) }
          })
        })
      })
    )
}
