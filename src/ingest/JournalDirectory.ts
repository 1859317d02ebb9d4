import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { databaseSettings } from "../store/Database.ts"
import * as OwnerLock from "../store/OwnerLock.ts"
import { leasedSlots } from "../store/ShardLeases.ts"
import * as IngestConfig from "./IngestConfig.ts"
import type { JournalOptions } from "./Journal.ts"

/** How the markets of one journal are divided: its directory's name says it. */
export interface JournalShare {
  readonly key: "event" | "market"
  readonly slotCount: number
}

/** Appended frames are on disk within 200 ms: this, and the time the disk takes. */
const syncMillis = 100

const nameOf = (key: JournalShare["key"], number: number, count: number | undefined) =>
  `${key === "event" ? "" : `${key}-`}shard-${number}${count === undefined ? "" : `-of-${count}`}`

/** What the name of a journal directory says; nothing for another name. */
export const shareOf = (name: string): JournalShare | undefined => {
  const match = /^(market-)?shard-\d+(?:-of-(\d+))?$/.exec(name)
  if (match === null) return undefined
  return {
    key: match[1] === undefined ? "event" : "market",
    slotCount: match[2] === undefined ? leasedSlots : Number(match[2])
  }
}

/** Where all journals of this machine are. */
export const root = Effect.gen(function* () {
  const { dataDir } = yield* Setting.read({ dataDir: databaseSettings.dataDir })
  const { journalDirectory } = yield* Setting.read(IngestConfig.capture)
  return journalDirectory ?? path.join(dataDir, "journal")
})

/** How a journal in `directory` is kept. */
export const optionsOf = Effect.fnUntraced(function* (directory: string) {
  const { journalCompress, journalMinFreeMegabytes, journalSegmentMegabytes } = yield* Setting.read(
    IngestConfig.capture
  )
  return {
    directory,
    segmentBytes: journalSegmentMegabytes * 1024 * 1024,
    syncMillis,
    minFreeBytes: journalMinFreeMegabytes * 1024 * 1024,
    compress: journalCompress
  } satisfies JournalOptions
})

/** Holds a directory for this process until the scope closes; fails when another one has it. */
export const hold = (directory: string) =>
  OwnerLock.acquire(path.join(directory, "owner.lock"), directory).pipe(
    Effect.mapError(({ fix, problem }) => new SettingError({ setting: "JOURNAL_DIR", problem, fix }))
  )

const writable = (directory: string) =>
  Effect.try({
    try: () => {
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
      fs.accessSync(directory, fs.constants.W_OK)
    },
    catch: (cause) =>
      new SettingError({
        setting: "JOURNAL_DIR",
        problem: `${directory} cannot be written (${cause instanceof Error ? cause.message : String(cause)})`,
        fix: "name a directory on a local disk that this user may write to"
      })
  })

/** Many more ws processes than one machine runs. */
const mostOfOneMachine = 1000

/**
 * The directory of this process, held until the scope closes: that of its fixed shard, or the first that no other process of this
 * machine holds, so that a process that starts again goes on with what the one before it left.
 */
export const own = Effect.gen(function* () {
  const { shardCount, shardId, shardKey } = yield* Setting.read(IngestConfig.sharding)
  const base = yield* root
  yield* writable(base)
  if (shardCount !== undefined && shardId !== undefined) {
    const fixed = path.join(base, nameOf(shardKey, shardId, shardCount))
    yield* writable(fixed)
    yield* hold(fixed)
    return fixed
  }
  const held = (number: number): Effect.Effect<string, SettingError, Effect.Services<ReturnType<typeof hold>>> =>
    Effect.suspend(() => {
      const directory = path.join(base, nameOf(shardKey, number, undefined))
      return writable(directory).pipe(
        Effect.andThen(hold(directory)),
        Effect.as(directory),
        Effect.catch((error) => (number < mostOfOneMachine && isOther(error) ? held(number + 1) : Effect.fail(error)))
      )
    })
  return yield* held(0)
})

const isOther = ({ problem }: SettingError) => !problem.includes("cannot be written")
