import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/testing/TestClock"
import { supervise } from "../../src/kalshi/Supervise.ts"

describe("supervise", () => {
  it.effect("backs off from failure to failure and starts over after a healthy session", () =>
    Effect.gen(function* () {
      const starts = yield* Ref.make<ReadonlyArray<number>>([])
      const session = Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const count = (yield* Ref.updateAndGet(starts, (before) => [...before, now])).length
        yield* Effect.sleep(count === 4 ? "1 minute" : "0 millis")
        return yield* Effect.fail("gone" as const)
      })
      const fiber = yield* Effect.forkChild(
        supervise(session, { backoff: Schedule.exponential("1 second"), healthyAfter: "30 seconds" })
      )
      yield* TestClock.adjust("69 seconds")
      assert.deepStrictEqual(yield* Ref.get(starts), [0, 1000, 3000, 7000, 67_000, 68_000])
      yield* Fiber.interrupt(fiber)
    })
  )
})
