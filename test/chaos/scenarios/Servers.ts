import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import type { Scenario } from "../Scenario.ts"
import { type Stage, timed } from "../Stage.ts"
import { newMarkets } from "./Processes.ts"

const control = ({ database }: Stage) =>
  database.control === undefined ? Effect.die(new Error("needs a server of its own")) : Effect.succeed(database.control)

export const restartPostgres: Scenario = {
  name: "restart-postgres",
  about: "PostgreSQL is stopped and started, then killed (SIGKILL) and started, while frames flow",
  usual: { seed: 1, rate: 5_000, forSeconds: 30 },
  short: { seed: 1, rate: 400, forSeconds: 3 },
  ownsServer: true,
  act: Effect.fnUntraced(function* (stage) {
    const postgres = yield* control(stage)
    yield* stage.faults({ missedSeconds: 3600 })
    const ws = yield* stage.startWs()
    yield* stage.recording()
    yield* newMarkets(stage)
    const third = Effect.sleep(`${(stage.play.forSeconds * 1000) / 3} millis`)
    yield* third
    yield* postgres.stop
    yield* Effect.sleep("1 second")
    yield* postgres.start
    yield* stage.recording(100)
    yield* third
    yield* postgres.kill
    yield* postgres.start
    const { seconds } = yield* timed(stage.recording(100))
    yield* third
    return { sessions: yield* ws.metric("socket_sessions"), backAfterSeconds: seconds }
  })
}

export const postgresDown: Scenario = {
  name: "postgres-down",
  about: "PostgreSQL is away for two minutes; the journal keeps what comes",
  usual: { seed: 1, rate: 5_000, forSeconds: 120 },
  short: { seed: 1, rate: 400, forSeconds: 5 },
  ownsServer: true,
  act: Effect.fnUntraced(function* (stage) {
    const postgres = yield* control(stage)
    yield* stage.faults({ missedSeconds: 3600 })
    const ws = yield* stage.startWs()
    yield* stage.recording()
    yield* newMarkets(stage)
    yield* Effect.sleep("2 seconds")
    yield* postgres.stop
    yield* Effect.sleep(`${stage.play.forSeconds} seconds`)
    const waiting = (yield* ws.metric("journal_backlog_bytes")) ?? 0
    const received = (yield* ws.metric("frames_received")) ?? 0
    if (waiting === 0 || received === 0) return yield* Effect.die(new Error("nothing waits in the journal"))
    yield* postgres.start
    const stored = stage.query<{ n: number }>("select sum(frames)::float8 as n from journal_positions")
    const { seconds } = yield* timed(
      stage.until(
        "what waited is stored",
        Effect.map(stored, (rows) => rows[0]!.n >= received),
        300
      )
    )
    return { sessions: yield* ws.metric("socket_sessions"), caughtUpAfterSeconds: seconds }
  })
}

const command = promisify(execFile)

/** A file system in memory, at `at` for as long as the scope lives. */
const smallDisk = (at: string, megabytes: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      fs.mkdirSync(at, { recursive: true })
      await command("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", at])
      return at
    }),
    () => Effect.promise(() => command("umount", ["--lazy", at]))
  )

/** Only root may mount. */
export const canMount = process.getuid?.() === 0 && process.platform === "linux"

/** Takes all the room that is left, until the disk refuses a single byte. */
const fill = (file: string) =>
  Effect.sync(() => {
    const descriptor = fs.openSync(file, "a")
    try {
      for (const size of [1024 * 1024, 4096, 1]) {
        const bytes = Buffer.alloc(size, 1)
        try {
          while (true) fs.writeSync(descriptor, bytes)
        } catch (error) {
          if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error
        }
      }
    } finally {
      fs.closeSync(descriptor)
    }
  })

export const fullDisk: Scenario = {
  name: "full-disk",
  about: "the journal's disk takes no more bytes (ENOSPC), and has room again later",
  usual: { seed: 1, rate: 5_000, forSeconds: 30 },
  short: { seed: 1, rate: 400, forSeconds: 4 },
  settings: () => ({ JOURNAL_MIN_FREE_MB: "0", JOURNAL_SEGMENT_MB: "4", JOURNAL_COMPRESS: "0" }),
  journals: (home) => smallDisk(path.join(home, "disk"), 512),
  act: Effect.fnUntraced(function* (stage) {
    yield* stage.faults({ missedSeconds: 3600 })
    const ws = yield* stage.startWs()
    yield* stage.recording()
    yield* newMarkets(stage)
    const filler = path.join(stage.journals, "filler")
    yield* fill(filler)
    const is = (value: number) => Effect.map(ws.metric("journal_blocked"), (now) => now === value)
    yield* stage.until("the journal is blocked", is(1), 30)
    yield* fill(filler)
    yield* Effect.sleep("1500 millis")
    const received = Effect.map(ws.metric("frames_received"), (frames) => frames ?? 0)
    const before = yield* received
    yield* Effect.sleep(`${stage.play.forSeconds} seconds`)
    const during = yield* received
    // A page or two come free when other files of the disk change: a few frames, of the thousands that are sent.
    if (!(yield* is(1)) || during - before > 100)
      return yield* Effect.die(
        new Error(`the feed is read on though the disk is full: ${before} frames, then ${during}`)
      )
    yield* Effect.sync(() => fs.rmSync(filler))
    yield* stage.until("the journal has room", is(0), 10)
    yield* stage.recording(50)
    return { sessions: yield* ws.metric("socket_sessions"), blockedSeconds: stage.play.forSeconds }
  })
}
