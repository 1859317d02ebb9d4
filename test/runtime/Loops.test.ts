import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { LoopEnded, Loops, runRole } from "../../src/runtime/Loops.ts"

const role = (...loops: ReadonlyArray<readonly [string, Effect.Effect<unknown, string>]>) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const service = yield* Loops
      yield* Effect.forEach(loops, ([name, loop]) => service.run(name, loop), { discard: true })
    })
  )

describe("a role", () => {
  it.effect("fails with the first of its loops that fails", () =>
    Effect.gen(function* () {
      const failing = Effect.sleep("1 minute").pipe(Effect.andThen(Effect.fail("gone")))
      const fiber = yield* Effect.forkChild(Effect.flip(runRole(role(["a", Effect.never], ["b", failing]))))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), "gone")
    })
  )

  it.effect("fails when a loop merely ends", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(runRole(role(["short", Effect.void])))
      assert.deepStrictEqual(error, new LoopEnded({ loop: "short" }))
    })
  )

  it.effect("dies when a loop dies", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(runRole(role(["bad", Effect.die("broken")])))
      assert.strictEqual(exit._tag, "Failure")
    })
  )

  it.effect("interrupts its loops before what they are built upon is released", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const note = (event: string) => Effect.sync(() => void events.push(event))
      const pool = Layer.effectDiscard(Effect.addFinalizer(() => note("pool closed")))
      const loop = role(["loop", Effect.onInterrupt(Effect.never, () => note("loop interrupted"))])
      const fiber = yield* Effect.forkChild(runRole(loop.pipe(Layer.provide(pool))), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(events, ["loop interrupted", "pool closed"])
    })
  )
})
