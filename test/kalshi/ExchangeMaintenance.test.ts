import { assert, describe, it } from "@effect/vitest"
import { inMaintenance } from "../../src/kalshi/ExchangeMaintenance.ts"

const at = (instant: string) => inMaintenance(Date.parse(instant))

describe("inMaintenance", () => {
  it("is Thursday, three to five in New York, in summer and in winter", () => {
    assert.deepStrictEqual(
      ["2026-08-27T06:59:59Z", "2026-08-27T07:00:00Z", "2026-08-27T08:59:59Z", "2026-08-27T09:00:00Z"].map(at),
      [false, true, true, false]
    )
    assert.deepStrictEqual(
      ["2026-11-26T07:59:59Z", "2026-11-26T08:00:00Z", "2026-11-26T09:59:59Z", "2026-11-26T10:00:00Z"].map(at),
      [false, true, true, false]
    )
    assert.deepStrictEqual(["2026-11-25T09:00:00Z", "2026-11-27T09:00:00Z"].map(at), [false, false])
  })
})
