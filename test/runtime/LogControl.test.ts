import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { LogControl } from "../../src/runtime/LogControl.ts"

/** What a logger behind the control got. */
const controlled = (level: "Info" | "None" = "Info") => {
  const told: Array<string> = []
  const logger = Logger.make(({ message }) => {
    told.push(String(message))
  })
  return { told, layer: LogControl.layer(level).pipe(Layer.provideMerge(Logger.layer([logger]))) }
}

/** Runs a reader of lines, waits until it reads, and goes on. */
const reading = <A>(reader: Effect.Effect<A>) => Effect.forkChild(reader, { startImmediately: true })

describe("LogControl", () => {
  it.effect("a level set at run time counts for fibers that run already, and for those to come", () => {
    const { layer, told } = controlled()
    return Effect.gen(function* () {
      const control = yield* LogControl
      let turn = 0
      const older = yield* Effect.forkChild(
        Effect.suspend(() => Effect.logDebug(`turn ${++turn}`)).pipe(Effect.repeat(Schedule.forever))
      )
      yield* Effect.yieldNow
      assert.deepStrictEqual(told, [])
      yield* control.setLevel("Debug")
      assert.strictEqual(yield* control.level, "Debug")
      yield* Effect.yieldNow
      assert.isTrue(told.length > 0)
      yield* Fiber.interrupt(older)
      yield* control.setLevel("Error")
      told.length = 0
      yield* Effect.logWarning("quiet")
      yield* Effect.logError("loud")
      yield* control.setLevel("None")
      yield* Effect.logFatal("silence")
      assert.deepStrictEqual(told, ["loud"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("the level of a flag stands until one is set at run time", () => {
    const { layer, told } = controlled()
    return Effect.gen(function* () {
      const control = yield* LogControl
      yield* Effect.logDebug("by the flag")
      yield* control.setLevel("Warn")
      yield* Effect.logInfo("not any more")
      assert.deepStrictEqual(told, ["by the flag"])
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Debug"), Effect.provide(layer))
  })

  it.effect("a part of the program may have a level of its own until one is set at run time", () => {
    const told: Array<string> = []
    const logger = Logger.make(({ message }) => {
      told.push(String(message))
    })
    return Effect.gen(function* () {
      const control = yield* LogControl
      const both = Effect.andThen(
        Effect.annotateLogs(Effect.logDebug("http"), { part: "http" }),
        Effect.annotateLogs(Effect.logWarning("ws"), { part: "ws" })
      )
      yield* both
      yield* control.setLevel("Warn")
      yield* both
      assert.deepStrictEqual(told, ["http", "ws"])
    }).pipe(
      Effect.provide(
        LogControl.layer("Info", { http: "Debug", ws: "Error" }).pipe(Layer.provideMerge(Logger.layer([logger])))
      )
    )
  })

  it.effect("lines hold what was logged, with secrets redacted", () =>
    Effect.gen(function* () {
      const control = yield* LogControl
      const fiber = yield* reading(Stream.runCollect(Stream.take(control.lines, 2)))
      yield* Effect.logInfo("signed in", { password: Redacted.make("hunter2") }).pipe(
        Effect.annotateLogs({ loop: "discovery", key: Redacted.make("hunter2"), turn: 3 })
      )
      yield* Effect.logError("it broke", new Error("the reason"))
      const [first, second] = yield* Fiber.join(fiber)
      assert.strictEqual(first?.at, "1970-01-01T00:00:00.000Z")
      assert.strictEqual(first?.level, "Info")
      assert.strictEqual(first?.message, `signed in {"password":"<redacted>"}`)
      assert.deepStrictEqual(first?.annotations, { loop: "discovery", key: "<redacted>", turn: "3" })
      assert.notInclude(JSON.stringify([first, second]), "hunter2")
      assert.include(second?.message, "the reason")
    }).pipe(Effect.provide(controlled().layer))
  )

  it.effect("a cause is text", () =>
    Effect.gen(function* () {
      const control = yield* LogControl
      const fiber = yield* reading(Stream.runHead(control.lines))
      yield* Effect.fail("no way").pipe(
        Effect.tapCause((cause) => Effect.logError("ended", cause)),
        Effect.exit
      )
      const line = yield* Effect.flatMap(Fiber.join(fiber), Effect.fromOption)
      assert.strictEqual(line.message, "ended")
      assert.include(line.cause, "no way")
    }).pipe(Effect.provide(controlled().layer))
  )

  it.effect("a slow reader loses the oldest lines and is told how many", () =>
    Effect.gen(function* () {
      const control = yield* LogControl
      const seen: Array<string> = []
      let lost = 0
      const released = yield* Deferred.make<void>()
      const fiber = yield* reading(
        control.lines.pipe(
          Stream.runForEach(({ annotations, message }) => {
            if (annotations["lost"] !== undefined) lost += Number(annotations["lost"])
            else seen.push(message)
            return message === "line 4999" ? Effect.interrupt : Deferred.await(released)
          })
        )
      )
      for (let n = 0; n < 5000; n++) yield* Effect.logInfo(`line ${n}`)
      yield* Deferred.succeed(released, undefined)
      yield* Fiber.await(fiber)
      assert.isTrue(lost > 0)
      assert.strictEqual(lost + seen.length, 5000)
      assert.strictEqual(seen.at(-1), "line 4999")
    }).pipe(Effect.provide(controlled().layer))
  )
})
