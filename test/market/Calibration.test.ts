import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Band, calibration } from "../../src/market/Calibration.ts"

const bandsOf = (forecasts: ReadonlyArray<readonly [probability: number, outcome: number]>) => {
  const bands = new Map<number, Band>()
  for (const [probability, outcome] of forecasts) {
    const index = Math.min(99, Math.floor(probability * 100))
    const there = bands.get(index) ?? { scored: 0, probabilities: 0, outcomes: 0, squares: 0 }
    bands.set(index, {
      scored: there.scored + 1,
      probabilities: there.probabilities + probability,
      outcomes: there.outcomes + outcome,
      squares: there.squares + (probability - outcome) ** 2
    })
  }
  return bands
}

describe("calibration", () => {
  it("of ten forecasts of 0.7, seven of which came, lies on the diagonal", () => {
    const forecasts = Array.from({ length: 10 }, (_, i) => [0.7, i < 7 ? 1 : 0] as const)
    const found = calibration(bandsOf(forecasts), 0.01, 10)!
    assert.strictEqual(found.curve.length, 1)
    const [point] = found.curve
    assert.deepStrictEqual(
      { from: point!.from, to: point!.to, scored: point!.scored },
      { from: 0.7, to: 0.8, scored: 10 }
    )
    assert.closeTo(point!.observed, 0.7, 1e-9)
    assert.closeTo(found.expectedError, 0, 1e-9)
    assert.closeTo(found.brier, 0.21, 1e-9)
    assert.closeTo(found.uncertainty, 0.21, 1e-9)
  })

  it("0 and 1 are kept apart from each other and from nothing", () => {
    const found = calibration(
      bandsOf([
        [0, 0],
        [1, 1],
        [1, 0]
      ]),
      0.01,
      10
    )!
    assert.deepStrictEqual(
      found.curve.map(({ forecast, observed, scored }) => [forecast, observed, scored]),
      [
        [0, 0, 1],
        [1, 0.5, 2]
      ]
    )
    assert.strictEqual(calibration(new Map(), 0.01, 10), undefined)
  })

  it.effect.prop(
    "its parts add up to the Brier score when each point holds one probability, and every forecast is counted once",
    {
      forecasts: Schema.Array(
        Schema.Tuple([Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })), Schema.Boolean])
      ).check(Schema.isMinLength(1))
    },
    ({ forecasts }) =>
      Effect.sync(() => {
        const found = calibration(bandsOf(forecasts.map(([tenth, yes]) => [tenth / 10 + 0.05, yes ? 1 : 0])), 0.01, 10)!
        assert.strictEqual(
          found.curve.reduce((sum, { scored }) => sum + scored, 0),
          forecasts.length
        )
        assert.closeTo(found.reliability - found.resolution + found.uncertainty, found.brier, 1e-9)
      })
  )
})
