import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
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
})
