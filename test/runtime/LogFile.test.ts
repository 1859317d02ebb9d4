import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as LogFile from "../../src/runtime/LogFile.ts"
import { SettingError } from "../../src/runtime/SettingError.ts"
import * as Programs from "../support/Programs.ts"

const Line = Schema.fromJsonString(Schema.Struct({ message: Schema.String }))

const textOf = (file: string) => fs.readFileSync(file, "utf8").split("\n").slice(0, -1)
const messagesIn = (file: string) => textOf(file).map((line) => Schema.decodeUnknownSync(Line)(line).message)

const inFolder = Effect.map(Programs.folder, (folder) => ({
  folder,
  file: path.join(folder, "logs", "ws.log"),
  aside: () =>
    fs
      .readdirSync(path.join(folder, "logs"))
      .filter((name) => name !== "ws.log")
      .sort()
      .map((name) => path.join(folder, "logs", name))
}))

const logger = (file: string, options: { readonly maxBytes?: number; readonly keep?: number } = {}) =>
  Logger.layer([LogFile.make({ file, setting: "LOG_DIR", maxBytes: 1e6, keep: 3, ...options })])

const written = Effect.sleep("600 millis")

describe("LogFile", () => {
  it.live("holds each line as JSON, after a restart too", () =>
    Effect.gen(function* () {
      const { file } = yield* inFolder
      yield* Effect.logInfo("one").pipe(Effect.provide(logger(file)))
      yield* Effect.logInfo("two\nlines").pipe(Effect.provide(logger(file)))
      assert.deepStrictEqual(messagesIn(file), ["one", "two\nlines"])
    })
  )

  it.live("is put aside when it would grow too big; the newest of those are kept and no line is lost among them", () =>
    Effect.gen(function* () {
      const { aside, file } = yield* inFolder
      const write = (from: number, to: number) =>
        Effect.forEach(
          Array.from({ length: to - from }, (_, n) => n + from),
          (n) => Effect.logInfo(`line ${n}`),
          { discard: true }
        )
      yield* write(0, 100).pipe(Effect.provide(logger(file, { maxBytes: 4000, keep: 100 })))
      const all = [...aside(), file].flatMap(messagesIn)
      assert.deepStrictEqual(
        all,
        Array.from({ length: 100 }, (_, n) => `line ${n}`)
      )
      assert.isTrue(aside().length >= 2)
      for (const name of [...aside(), file]) assert.isAtMost(fs.statSync(name).size, 4000)
      yield* write(100, 500).pipe(Effect.provide(logger(file, { maxBytes: 4000, keep: 2 })))
      assert.strictEqual(aside().length, 2)
      assert.strictEqual([...aside(), file].flatMap(messagesIn).at(-1), "line 499")
    })
  )

  it.live("is put aside on a new day", () =>
    Effect.gen(function* () {
      const { aside, file } = yield* inFolder
      yield* Effect.logInfo("yesterday").pipe(Effect.provide(logger(file)))
      const yesterday = fs.statSync(file).mtimeMs / 1000 - 86_400
      fs.utimesSync(file, yesterday, yesterday)
      yield* Effect.logInfo("today").pipe(Effect.provide(logger(file)))
      assert.deepStrictEqual(messagesIn(file), ["today"])
      assert.deepStrictEqual(aside().flatMap(messagesIn), ["yesterday"])
    })
  )

  it.live("two processes may write to one file and put it aside", () =>
    Effect.gen(function* () {
      const { aside, file } = yield* inFolder
      const write = (name: string) =>
        Effect.logInfo(name).pipe(
          Effect.repeat({ schedule: Schedule.spaced("3 millis"), times: 299 }),
          Effect.provide(logger(file, { maxBytes: 3000, keep: 1000 }))
        )
      yield* Effect.all([write("a"), write("b")], { concurrency: 2 })
      const messages = [...aside(), file].flatMap(messagesIn)
      assert.strictEqual(messages.filter((message) => message === "a").length, 300)
      assert.strictEqual(messages.filter((message) => message === "b").length, 300)
    })
  )

  it.live("a file that cannot be written at the start is a mistake that names the setting", () =>
    Effect.gen(function* () {
      const { folder } = yield* inFolder
      fs.writeFileSync(path.join(folder, "logs"), "a file")
      const error = yield* Effect.flip(Effect.void.pipe(Effect.provide(logger(path.join(folder, "logs", "ws.log")))))
      assert.instanceOf(error, SettingError)
      assert.include(error.message, "LOG_DIR: ")
    })
  )

  it.live("lines wait while the disk takes none, and all are there afterwards", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* inFolder
      const scope = yield* Scope.make()
      const built = yield* Layer.buildWithScope(logger(file), scope)
      const log = (text: string) => Effect.logInfo(text).pipe(Effect.provide(built))
      yield* log("before")
      yield* written
      fs.renameSync(path.join(folder, "logs"), path.join(folder, "away"))
      fs.writeFileSync(path.join(folder, "logs"), "no folder any more")
      yield* log("during")
      yield* written
      fs.rmSync(path.join(folder, "logs"))
      fs.renameSync(path.join(folder, "away"), path.join(folder, "logs"))
      yield* log("after")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(messagesIn(file), ["before", "during", "after"])
    })
  )

  it.live("what does not fit is counted, in the metric and in the file", () =>
    Effect.gen(function* () {
      const { file, folder } = yield* inFolder
      const scope = yield* Scope.make()
      const built = yield* Layer.buildWithScope(logger(file, { maxBytes: 1e8 }), scope)
      yield* written
      fs.renameSync(path.join(folder, "logs"), path.join(folder, "away"))
      yield* Effect.logInfo("too many").pipe(Effect.repeat({ times: 20_099 }), Effect.provide(built))
      const [counter] = (yield* Metric.snapshot).filter(({ id }) => id === "log_lines_unwritten")
      assert.deepInclude(counter?.state, { count: 100 })
      fs.renameSync(path.join(folder, "away"), path.join(folder, "logs"))
      yield* Scope.close(scope, Exit.void)
      const lines = messagesIn(file)
      assert.strictEqual(lines.length, 20_001)
      assert.strictEqual(lines.at(-1), "100 lines could not be written here")
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
