import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/testing/TestClock"
import { LoopContinuous, LoopUnknown } from "../../src/runtime/LoopGate.ts"
import { LoopEnded, Loops, runRole } from "../../src/runtime/Loops.ts"
import { SettingError } from "../../src/runtime/SettingError.ts"

const loop = <E>(name: string, body: Effect.Effect<unknown, E>) =>
  Layer.effectDiscard(Loops.use((loops) => loops.run(name, body)))
const idle = loop("idle", Effect.never)

/** A role's end, and what was logged on the way. */
const endOf = (role: Layer.Layer<never, unknown, Loops>) =>
  Effect.gen(function* () {
    const logged: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      logged.push(`${logLevel} ${String(message)}`)
    })
    const exit = yield* Effect.exit(runRole(role)).pipe(Effect.provide(Logger.layer([logger])))
    return { exit, logged }
  })

class Ground extends Context.Service<Ground, { readonly isOpen: () => boolean }>()("test/Ground") {}

describe("Loops", () => {
  it.effect("a loop that ends without a failure ends the role with its name", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(runRole(Layer.merge(idle, loop("short", Effect.void))))
      assert.instanceOf(error, LoopEnded)
      assert.strictEqual((error as LoopEnded).loop, "short")
    })
  )

  it.effect("a loop that fails or dies ends the role with its cause, which is logged", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(runRole(Layer.merge(idle, loop("failing", Effect.fail("no way")))))
      assert.strictEqual(error, "no way")
      const { exit, logged } = yield* endOf(Layer.merge(idle, loop("dying", Effect.die(new Error("a bug")))))
      assert.include(JSON.stringify(exit), "Die")
      assert.isTrue(logged.some((line) => line.startsWith("Fatal loop died")))
    })
  )

  it.effect("a user's mistake is not logged here", () =>
    Effect.gen(function* () {
      const mistake = new SettingError({ setting: "X", problem: "p", fix: "f" })
      const { logged } = yield* endOf(loop("mistaken", Effect.fail(mistake)))
      assert.deepStrictEqual(logged, [])
      assert.strictEqual(yield* Effect.flip(runRole(loop("mistaken", Effect.fail(mistake)))), mistake)
    })
  )

  it.effect("loops end before what they are built upon, one after another against the order they began in", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const running = yield* Deferred.make<void>()
      const ground = Layer.effect(
        Ground,
        Effect.gen(function* () {
          let open = true
          yield* Effect.addFinalizer(() =>
            Effect.sync(() => {
              open = false
              told.push("ground closed")
            })
          )
          return Ground.of({ isOpen: () => open })
        })
      )
      const worker = (name: string) =>
        Layer.effectDiscard(
          Effect.gen(function* () {
            const { isOpen } = yield* Ground
            const loops = yield* Loops
            yield* loops.run(
              name,
              Effect.andThen(Deferred.succeed(running, undefined), Effect.never).pipe(
                Effect.onInterrupt(() =>
                  Effect.yieldNow.pipe(
                    Effect.andThen(
                      Effect.sync(() => told.push(`${name} ended, ground ${isOpen() ? "open" : "closed"}`))
                    )
                  )
                )
              )
            )
          })
        )
      const role = worker("upper").pipe(Layer.provideMerge(worker("lower")), Layer.provide(ground))
      const fiber = yield* Effect.forkChild(runRole(role))
      yield* Deferred.await(running)
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(told, ["upper ended, ground open", "lower ended, ground open", "ground closed"])
    })
  )

  it.effect("a cycle is paused after its pass, runs when asked all the same, and goes on when resumed", () =>
    Effect.gen(function* () {
      let began = 0
      const passes = yield* Queue.unbounded<void>()
      const loops = yield* Loops
      yield* loops.cycle("sweep", {
        pass: Effect.suspend(() => {
          began += 1
          return Queue.take(passes)
        }),
        every: "1 minute"
      })
      const state = Effect.map(loops.states, ([only]) => only!)
      const go = Effect.andThen(Queue.offer(passes, undefined), Effect.yieldNow)
      yield* Effect.yieldNow
      assert.strictEqual((yield* state).phase, "running")
      yield* loops.pause("sweep")
      assert.deepInclude(yield* state, { phase: "running", isPaused: true })
      yield* go
      assert.deepInclude(yield* state, { phase: "paused", passes: 1, endedAt: 0, nextAt: 60_000 })
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(began, 1)

      const asked = yield* Effect.forkChild(loops.runNow("sweep"), { startImmediately: true })
      yield* Effect.yieldNow
      assert.strictEqual(began, 2)
      assert.isUndefined(asked.pollUnsafe())
      yield* go
      yield* Fiber.join(asked)
      assert.deepInclude(yield* state, { phase: "paused", passes: 2, endedAt: 600_000 })

      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(began, 2)
      yield* loops.resume("sweep")
      yield* Effect.yieldNow
      assert.strictEqual(began, 3)
      yield* go
      assert.deepInclude(yield* state, { phase: "waiting", passes: 3, nextAt: 780_000 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(began, 4)
    }).pipe(Effect.provide(Loops.layer), Effect.scoped)
  )

  it.effect("who asks during a pass waits for the one that begins after it", () =>
    Effect.gen(function* () {
      const passes = yield* Queue.unbounded<void>()
      const loops = yield* Loops
      yield* loops.cycle("sweep", { pass: Queue.take(passes), every: "1 minute" })
      yield* Effect.yieldNow
      const asked = yield* Effect.forkChild(loops.runNow("sweep"), { startImmediately: true })
      yield* Queue.offer(passes, undefined)
      yield* Effect.yieldNow
      assert.isUndefined(asked.pollUnsafe())
      yield* Queue.offer(passes, undefined)
      yield* Fiber.join(asked)
    }).pipe(Effect.provide(Loops.layer), Effect.scoped)
  )

  it.effect("a wait is cut short by what wakes the cycle, or as long as a pass says", () =>
    Effect.gen(function* () {
      let passes = 0
      const wake = yield* Queue.unbounded<void>()
      const loops = yield* Loops
      yield* loops.cycle("sweep", {
        pass: Effect.sync(() => ++passes),
        every: (done) => `${done * 10} seconds`,
        woken: Queue.take(wake)
      })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(passes, 2)
      yield* TestClock.adjust("19 seconds")
      assert.strictEqual(passes, 2)
      yield* Queue.offer(wake, undefined)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(passes, 3)
    }).pipe(Effect.provide(Loops.layer), Effect.scoped)
  )

  it.effect("an unknown loop is told from one that cannot be paused, and from one that is held", () =>
    Effect.gen(function* () {
      const held: Array<string> = []
      const loops = yield* Loops
      yield* loops.run("stream", Effect.never)
      yield* loops.run("claims", Effect.never, {
        pause: Effect.sync(() => held.push("pause")),
        resume: Effect.sync(() => held.push("resume"))
      })
      assert.deepStrictEqual(
        yield* Effect.flip(loops.pause("strem")),
        new LoopUnknown({ loop: "strem", loops: ["claims", "stream"] })
      )
      assert.deepStrictEqual(yield* Effect.flip(loops.pause("stream")), new LoopContinuous({ loop: "stream" }))
      assert.deepStrictEqual(yield* Effect.flip(loops.runNow("claims")), new LoopContinuous({ loop: "claims" }))
      yield* loops.pause("claims")
      assert.strictEqual((yield* loops.states).find(({ loop: name }) => name === "claims")!.phase, "paused")
      yield* loops.resume("claims")
      assert.deepStrictEqual(held, ["pause", "resume"])
    }).pipe(Effect.provide(Loops.layer), Effect.scoped)
  )
})
