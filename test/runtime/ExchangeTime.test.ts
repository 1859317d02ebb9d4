import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"

const layer = (variables: Readonly<Record<string, string>>) =>
  ExchangeTime.layer.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(variables))))

describe("ExchangeTime", () => {
  it.effect("is our own clock when nothing else is said", () =>
    Effect.gen(function* () {
      const time = yield* ExchangeTime
      yield* TestClock.setTime(1_787_586_600_123)
      assert.strictEqual(yield* time.now, 1_787_586_600_123)
      assert.strictEqual(time.fromWall(5), 5)
      assert.strictEqual(time.toWallSpan(5), 5)
      assert.isFalse(time.simulated)
    }).pipe(Effect.provide(layer({ EXCHANGE_CLOCK: " " })))
  )

  it.effect("runs at the pace of a simulated exchange, forwards and backwards from its beginning", () =>
    Effect.gen(function* () {
      const time = yield* ExchangeTime
      yield* TestClock.setTime(2_000)
      assert.strictEqual(yield* time.now, 1_060_000)
      assert.strictEqual(time.fromWall(1_000), 1_000_000)
      assert.strictEqual(time.fromWall(500), 970_000)
      assert.strictEqual(time.toWallSpan(60_000), 1_000)
      assert.isTrue(time.simulated)
    }).pipe(Effect.provide(layer({ EXCHANGE_CLOCK: "1000:1000000:60" })))
  )

  it.effect("gives whole milliseconds", () =>
    Effect.gen(function* () {
      const time = yield* ExchangeTime
      assert.strictEqual(time.fromWall(3), 1)
    }).pipe(Effect.provide(layer({ EXCHANGE_CLOCK: "0:0:0.5" })))
  )

  it.effect("refuses what is not a clock", () =>
    Effect.forEach(
      ["1:2", "a:b:c", "1:2:0", "1:2:-3", "1:2:x", "60"],
      (text) =>
        Effect.map(Effect.flip(Effect.provide(ExchangeTime, layer({ EXCHANGE_CLOCK: text }))), (error) =>
          assert.match(error.message, /^EXCHANGE_CLOCK: .+; .+$/, text)
        ),
      { discard: true }
    )
  )
})
