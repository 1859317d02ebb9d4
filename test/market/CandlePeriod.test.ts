import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as CandlePeriod from "../../src/market/CandlePeriod.ts"

const at = (text: string) => Date.parse(text)
const Instant = Schema.Int.check(Schema.isBetween({ minimum: at("2025-01-01"), maximum: at("2028-01-01") }))

describe("candle periods", () => {
  it("end at UTC minutes and hours, and 24 hours after New York's midnight", () => {
    const noon = at("2026-08-24T15:50:30Z")
    assert.strictEqual(CandlePeriod.endAtOrBefore(1, noon), at("2026-08-24T15:50:00Z"))
    assert.strictEqual(CandlePeriod.endAtOrAfter(1, noon), at("2026-08-24T15:51:00Z"))
    assert.strictEqual(CandlePeriod.endAtOrAfter(60, noon), at("2026-08-24T16:00:00Z"))
    assert.strictEqual(CandlePeriod.endAtOrBefore(1440, noon), at("2026-08-24T04:00:00Z"))
    assert.strictEqual(CandlePeriod.endAtOrAfter(1440, noon), at("2026-08-25T04:00:00Z"))
  })

  it("follow the recorded ends of November 2025, when the clocks went back", () => {
    const ends = ["2025-11-01T04:00Z", "2025-11-02T04:00Z", "2025-11-03T04:00Z", "2025-11-04T05:00Z"].map(at)
    for (const end of ends) {
      assert.strictEqual(CandlePeriod.endAtOrAfter(1440, end), end)
      assert.strictEqual(CandlePeriod.endAtOrBefore(1440, end), end)
    }
    assert.strictEqual(CandlePeriod.endAtOrAfter(1440, ends[2]! + 1), ends[3])
    assert.strictEqual(CandlePeriod.endAtOrBefore(1440, ends[3]! - 1), ends[2])
  })

  it.prop("lie around every instant", [Instant], ([millis]) => {
    for (const interval of [1, 60, 1440] as const) {
      const before = CandlePeriod.endAtOrBefore(interval, millis)
      const after = CandlePeriod.endAtOrAfter(interval, millis)
      assert.isAtMost(before, millis)
      assert.isAtLeast(after, millis)
      assert.isAtMost(after - before, CandlePeriod.lengthOf(interval) + 3_600_000)
      assert.strictEqual(CandlePeriod.endAtOrBefore(interval, after), after)
      assert.strictEqual(CandlePeriod.endAtOrAfter(interval, before), before)
    }
  })

  it("of a market reach from its opening to a minute after its close", () => {
    assert.deepStrictEqual(CandlePeriod.lifeOf(1, at("2026-08-24T20:00:00Z"), at("2026-08-24T21:00:00Z")), {
      fromMillis: at("2026-08-24T20:00:00Z"),
      toMillis: at("2026-08-24T21:01:00Z")
    })
    assert.deepStrictEqual(CandlePeriod.lifeOf(60, at("2026-08-24T14:30:00Z"), at("2026-08-26T03:59:00Z")), {
      fromMillis: at("2026-08-24T14:00:00Z"),
      toMillis: at("2026-08-26T04:00:00Z")
    })
  })
})
