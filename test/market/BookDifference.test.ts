import { assert, describe, it } from "@effect/vitest"
import { leastDifference } from "../../src/market/BookDifference.ts"
import type { Decimal } from "../../src/market/Decimal.ts"

const d = (text: string) => text as Decimal
const book = (yes: Readonly<Record<string, string>>, no: Readonly<Record<string, string>> = {}) => ({
  yes: Object.entries(yes).map(([price, size]) => [d(price), d(size)] as const),
  no: Object.entries(no).map(([price, size]) => [d(price), d(size)] as const)
})
const change = (side: "yes" | "no", price: string, delta: string) => ({ side, price: d(price), delta: d(delta) })

describe("the difference of books", () => {
  it("is none when one of the states that the book went through is the same", () => {
    const changes = [change("yes", "0.4700", "-5.00"), change("no", "0.5000", "2.50"), change("yes", "0.4600", "-1.25")]
    const before = book({ "0.47": "5", "0.46": "1.25" })
    const passed = [
      book({ "0.4600": "1.25", "0.4700": "5.00" }),
      book({ "0.4600": "1.25" }),
      book({ "0.4600": "1.25" }, { "0.5000": "2.5" }),
      book({}, { "0.5000": "2.50" })
    ]
    for (const theirs of passed) assert.isUndefined(leastDifference(before, changes, theirs))
  })

  it("is the largest of one level, of the state that is nearest", () => {
    const before = book({ "0.4700": "5.00" }, { "0.5000": "1.00" })
    assert.strictEqual(leastDifference(before, [], book({ "0.4700": "5.01" }, { "0.5000": "1.00" })), "0.0100")
    assert.strictEqual(leastDifference(before, [], book({ "0.4700": "5.00" })), "1.0000")
    assert.strictEqual(leastDifference(before, [], book({}, { "0.4700": "5.00", "0.5000": "1.00" })), "5.0000")
    assert.strictEqual(
      leastDifference(before, [change("yes", "0.4700", "7.00")], book({ "0.4700": "11.00" })),
      "1.0000"
    )
  })
})
