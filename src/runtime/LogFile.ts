import { randomBytes } from "node:crypto"
import { constants } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import { SettingError } from "./SettingError.ts"

export interface LogFileOptions {
  readonly file: string
  /** The setting that names it, for the message when it cannot be written. */
  readonly setting: string
  readonly maxBytes: number
  /** Old files that are kept. */
  readonly keep: number
}

const unwritten = Metric.counter("log_lines_unwritten", {
  description: "Log lines that the log file could not take and that are lost to it",
  incremental: true
})

const flushEvery = "250 millis"

/** What waits for a disk that takes nothing; beyond it lines are counted and left out. */
const mostWaiting = 20_000

const isoOf = (millis: number) => DateTime.formatIso(DateTime.makeUnsafe(millis))
const dayMillis = 86_400_000
const dayOf = (millis: number) => Math.floor(millis / dayMillis)

/**
 * JSON lines in a file. A file that would grow beyond `maxBytes`, or that was begun on an earlier day (UTC), is renamed to
 * `name.2026-11-25T10-00-00.000Z-000001-5e1f3a` and another one begins; the newest `keep` of the renamed are kept. Several processes may write
 * to one file. After the start a disk that cannot be written stops nobody: lines wait, and those that do not fit are counted.
 */
export const make = Effect.fnUntraced(function* (options: LogFileOptions) {
  const { file, keep, maxBytes } = options
  const name = path.basename(file)
  const directory = path.dirname(file)
  const context = yield* Effect.context<never>()
  let waiting: Array<string> = []
  let lost = 0
  /** What a write that failed half-way left over. */
  let rest: Buffer | undefined
  let linesInRest = 0
  let troubled = false
  let putAside = 0

  const rotated = async () =>
    (await fs.readdir(directory)).filter(
      (entry) => entry.startsWith(`${name}.`) && /\.\d{4}-\d\d-\d\dT\S+Z-\d{6}-[0-9a-f]{6}$/.test(entry)
    )

  const rotate = async (nowMillis: number) => {
    const order = String(++putAside).padStart(6, "0")
    const unique = randomBytes(3).toString("hex")
    await fs.rename(file, `${file}.${isoOf(nowMillis).replaceAll(":", "-")}-${order}-${unique}`).catch((error) => {
      if (codeOf(error) !== "ENOENT") throw error
    })
    for (const old of (await rotated()).sort().slice(0, -keep || undefined))
      await fs.rm(path.join(directory, old), { force: true })
  }

  /** Another process may have renamed the file since, so it is opened for each write. */
  const write = async (nowMillis: number) => {
    while (waiting.length > 0 || rest !== undefined || lost > 0) {
      if (rest === undefined) {
        const found = await fs.stat(file).catch(() => undefined)
        let size = found?.size ?? 0
        const first = Buffer.byteLength(waiting[0] ?? "") + 1
        if (found !== undefined && size > 0 && (size + first > maxBytes || dayOf(found.mtimeMs) < dayOf(nowMillis))) {
          await rotate(nowMillis)
          size = 0
        }
        const lines: Array<string> = []
        while (waiting.length > lines.length && lines.length < 1000) {
          const line = waiting[lines.length]!
          size += Buffer.byteLength(line) + 1
          if (lines.length > 0 && size > maxBytes) break
          lines.push(line)
        }
        waiting = waiting.slice(lines.length)
        linesInRest = lines.length
        if (waiting.length === 0 && lost > 0) {
          lines.push(
            JSON.stringify({
              level: "WARN",
              timestamp: isoOf(nowMillis),
              message: `${lost} lines could not be written here`
            })
          )
          lost = 0
        }
        rest = Buffer.from(lines.map((line) => `${line}\n`).join(""))
      }
      const handle = await fs.open(file, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o640)
      try {
        while (rest.length > 0) rest = rest.subarray((await handle.write(rest)).bytesWritten)
        rest = undefined
        linesInRest = 0
      } finally {
        await handle.close()
      }
    }
  }

  yield* Effect.tryPromise({
    try: async () => {
      await fs.mkdir(directory, { recursive: true })
      await (await fs.open(file, "a", 0o640)).close()
    },
    catch: (error) =>
      new SettingError({
        setting: options.setting,
        problem: `${file} cannot be written (${codeOf(error)})`,
        fix: "name a folder that this account may write to, or unset it"
      })
  })

  const say = (text: string) => Effect.sync(() => process.stderr.write(`${text}\n`))
  const flush = Effect.gen(function* () {
    const nowMillis = yield* Clock.currentTimeMillis
    yield* Effect.tryPromise({ try: () => write(nowMillis), catch: codeOf })
    if (troubled) yield* say(`the log file ${file} can be written again`)
    troubled = false
  }).pipe(
    Effect.catch((code) => {
      if (troubled) return Effect.void
      troubled = true
      return say(`the log file ${file} cannot be written (${code}); lines wait, and are counted when they do not fit`)
    }),
    Effect.uninterruptible
  )
  yield* Effect.addFinalizer(() => Effect.timeoutOption(flush, "2 seconds"))
  yield* flush.pipe(Effect.repeat(Schedule.spaced(flushEvery)), Effect.forkScoped)

  return Logger.make<unknown, void>((line) => {
    if (waiting.length + linesInRest < mostWaiting) waiting.push(Logger.formatJson.log(line))
    else {
      lost++
      unwritten.updateUnsafe(1, context)
    }
  })
})

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown reason"
