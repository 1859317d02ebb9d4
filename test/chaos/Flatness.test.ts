import { assert, describe, it } from "@effect/vitest"
import { flatness, type Sample } from "./Flatness.ts"

const samples = (of: (at: number) => Partial<Sample>): ReadonlyArray<Sample> =>
  Array.from({ length: 60 }, (_, at) => ({ seconds: at * 10, rssMb: 150, lagP99Ms: 80, backlogBytes: 0, ...of(at) }))

describe("flatness of a soak", () => {
  it("a warm-up and saw teeth are flat", () => {
    const verdict = flatness(
      samples((at) => ({ rssMb: 100 + Math.min(50, at * 5) + (at % 4) * 8, lagP99Ms: 80 + (at % 3) * 40 }))
    )
    assert.isTrue(verdict.flat)
    assert.deepInclude(verdict.rssMb, { first: 100, max: 174 })
  })

  it("a leak is not, nor a lag or a backlog that grows", () => {
    assert.isFalse(flatness(samples((at) => ({ rssMb: 150 + at * 3 }))).flat)
    assert.isFalse(flatness(samples((at) => ({ lagP99Ms: 80 + at * 20 }))).flat)
    assert.isFalse(flatness(samples((at) => ({ backlogBytes: at * 1_000_000 }))).flat)
    assert.strictEqual(flatness(samples((at) => ({ rssMb: 150 + at }))).rssMb.slopeMbPerHour, 360)
  })

  it("a few samples prove nothing", () => {
    assert.isFalse(flatness(samples(() => ({})).slice(0, 5)).flat)
  })
})
