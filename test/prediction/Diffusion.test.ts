import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { model, type Past, type Strike } from "../../src/prediction/Diffusion.ts"
import * as Normal from "../../src/prediction/Normal.ts"

const now = 1_800_000_000_000
const minute = 60_000
const chance = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const Seen = Schema.Union([chance, Schema.Undefined])
const Quotes = Schema.Array(Seen).check(Schema.isMinLength(1), Schema.isMaxLength(40))
const positive = Schema.Finite.check(Schema.isBetween({ minimum: 0.01, maximum: 10_000 }))
const anywhere = Schema.Finite.check(Schema.isBetween({ minimum: -100_000, maximum: 100_000 }))
const Minutes = Schema.Int.check(Schema.isBetween({ minimum: -5, maximum: 3000 }))
const Mids = Schema.Array(chance).check(Schema.isMaxLength(40))

const nan = Number.NaN
const above = (ticker: string, floor: number, seen: number | undefined): Strike => ({
  ticker,
  kind: "above",
  floor,
  cap: nan,
  seen
})
const below = (ticker: string, cap: number, seen: number | undefined): Strike => ({
  ticker,
  kind: "below",
  floor: nan,
  cap,
  seen
})
const between = (ticker: string, floor: number, cap: number, seen: number | undefined): Strike => ({
  ticker,
  kind: "between",
  floor,
  cap,
  seen
})

const past = (strikes: ReadonlyArray<Strike>, mids: ReadonlyArray<number>): ReadonlyArray<Past> =>
  mids.map((mid, i) => ({ ticker: strikes[i % strikes.length]!.ticker, at: now - (mids.length - i) * minute, mid }))

/** Buckets of exclusive outcomes: everything below, between, above, with a crack of 0.01 as the exchange writes them. */
const bucketsOf = (start: number, step: number, seen: ReadonlyArray<number | undefined>): ReadonlyArray<Strike> =>
  seen.map((value, i) => {
    const floor = start + i * step
    if (i === 0) return below(`M${i}`, floor + step, value)
    return i === seen.length - 1
      ? above(`M${i}`, floor - 0.01, value)
      : between(`M${i}`, floor, floor + step - 0.01, value)
  })

describe("the statistical handler's model", () => {
  it.effect.prop(
    "gives exclusive outcomes probabilities that sum to 1, whatever the quotes say",
    { seen: Quotes, start: anywhere, step: positive, minutes: Minutes, mids: Mids },
    ({ mids, minutes, seen, start, step }) =>
      Effect.sync(() => {
        const strikes = bucketsOf(start, step, seen)
        const { probabilities } = model({
          strikes,
          exclusive: true,
          now,
          close: now + minutes * minute,
          history: past(strikes, mids)
        })
        if (seen.every((value) => value === undefined)) return assert.strictEqual(probabilities.size, 0)
        const values = [...probabilities.values()]
        assert.strictEqual(values.length, strikes.length)
        assert.isTrue(values.every((value) => value >= 0 && value <= 1))
        assert.closeTo(
          values.reduce((sum, value) => sum + value, 0),
          1,
          1e-9
        )
      })
  )

  it.effect.prop("the same of outcomes without numbers", { seen: Quotes, mids: Mids }, ({ mids, seen }) =>
    Effect.sync(() => {
      const strikes = seen.map(
        (value, i): Strike => ({ ticker: `M${i}`, kind: "other", floor: nan, cap: nan, seen: value })
      )
      const { probabilities } = model({
        strikes,
        exclusive: true,
        now,
        close: now + minute,
        history: past(strikes, mids)
      })
      if (seen.every((value) => value === undefined)) return assert.strictEqual(probabilities.size, 0)
      assert.closeTo(
        [...probabilities.values()].reduce((sum, value) => sum + value, 0),
        1,
        1e-9
      )
    })
  )

  it.effect.prop(
    "falls along a ladder of rising strikes, whatever the quotes say",
    { seen: Quotes, start: anywhere, step: positive, minutes: Minutes, mids: Mids },
    ({ mids, minutes, seen, start, step }) =>
      Effect.sync(() => {
        const strikes = seen.map((value, i) => above(`M${i}`, start + i * step, value))
        const { law, probabilities } = model({
          strikes,
          exclusive: false,
          now,
          close: now + minutes * minute,
          history: past(strikes, mids)
        })
        if (law === undefined) return
        const values = strikes.map(({ ticker }) => probabilities.get(ticker)!)
        assert.isTrue(values.every((value) => value >= 0 && value <= 1))
        for (let i = 1; i < values.length; i++) assert.isAtMost(values[i]!, values[i - 1]!)
      })
  )

  it("finds the law behind quotes that follow one, and corrects a quote that does not", () => {
    const truth = (strike: number) => 1 - Normal.cumulative((strike - 87_400) / 300)
    const strikes = Array.from({ length: 41 }, (_, i) => 82_400 + i * 250).map((at) =>
      above(`T${at}`, at, at === 87_650 ? 0.3 : Math.round(truth(at) * 100) / 100)
    )
    const { law, probabilities } = model({ strikes, exclusive: false, now, close: now + 30 * minute, history: [] })
    assert.closeTo(law!.location, 87_400, 60)
    assert.closeTo(law!.spread, 300, 60)
    assert.closeTo(probabilities.get("T87650")!, truth(87_650), 0.06)
    assert.isBelow(Math.abs(probabilities.get("T87650")! - truth(87_650)), 0.3 - truth(87_650))
  })

  describe("the past of the location", () => {
    const truth = (strike: number, location: number, spread: number) =>
      1 - Normal.cumulative((strike - location) / spread)
    const strikes = Array.from({ length: 21 }, (_, i) => 900 + i * 10).map((at) =>
      above(`T${at}`, at, truth(at, 1000, 20))
    )
    const run = (locationOf: (i: number) => number) =>
      model({
        strikes,
        exclusive: false,
        now,
        close: now + 30 * minute,
        history: Array.from({ length: 60 }, (_, i) => i).flatMap((i) =>
          [990, 1000, 1010].map((at) => ({
            ticker: `T${at}`,
            at: now - (60 - i) * minute,
            mid: truth(at, locationOf(i), 20 * Math.sqrt((90 - i) / 30))
          }))
        )
      }).law!
    /** Steps of ±1 in runs of eight: over four minutes they mostly add up. */
    const walk = (i: number) => Math.abs((i % 16) - 8)

    it("makes the spread wider where it moved more than the quotes allow for, narrower where less", () => {
      const calm = run((i) => 1000 + 0.3 * walk(i))
      const wild = run((i) => 1000 + 4 * walk(i))
      assert.isAbove(wild.spread, wild.impliedSpread)
      assert.isBelow(calm.spread, calm.impliedSpread)
      assert.closeTo(calm.realizedSpread!, calm.impliedSpread / 3, 1e-9)
    })

    it("flickering quotes are no movement", () => {
      const flicker = run((i) => 1000 + (i % 2 === 0 ? 5 : -5))
      assert.strictEqual(flicker.realizedSpread, undefined)
      assert.strictEqual(flicker.spread, flicker.impliedSpread)
    })
  })

  it("with one informative strike, or none, stays between the strikes that are certain", () => {
    const strikes = [above("A", 10, 0.99), above("B", 20, 0.99), above("C", 30, 0.01), above("D", 40, 0.01)]
    const { law, probabilities } = model({ strikes, exclusive: false, now, close: now + minute, history: [] })
    assert.closeTo(law!.location, 25, 1e-9)
    assert.isAbove(probabilities.get("B")!, 0.9)
    assert.isBelow(probabilities.get("C")!, 0.1)
    const one = model({
      strikes: [above("A", 10, 1), above("B", 20, 0.6), above("C", 30, 0)],
      exclusive: false,
      now,
      close: now + minute,
      history: []
    })
    assert.closeTo(one.probabilities.get("B")!, 0.6, 1e-6)
  })

  it("a market alone, without a number, has the mean of its recent mids", () => {
    const strikes: ReadonlyArray<Strike> = [{ ticker: "A", kind: "other", floor: nan, cap: nan, seen: 0.5 }]
    const history = [
      { ticker: "A", at: now - 40 * minute, mid: 0.9 },
      { ticker: "A", at: now - 5 * minute, mid: 0.7 }
    ]
    const { probabilities } = model({ strikes, exclusive: false, now, close: now + hourOf(1), history })
    assert.closeTo(probabilities.get("A")!, 0.6, 1e-9)
  })
})

const hourOf = (hours: number) => hours * 60 * minute

describe("Normal", () => {
  it.effect.prop(
    "quantile undoes cumulative",
    { z: Schema.Finite.check(Schema.isBetween({ minimum: -5, maximum: 5 })) },
    ({ z }) => Effect.sync(() => assert.closeTo(Normal.quantile(Normal.cumulative(z)), z, 0.002))
  )
})
