import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Decimal from "../../src/market/Decimal.ts"
import { impliedYesMid } from "../../src/market/Tick.ts"

const decimal = Schema.decodeUnknownSync(Decimal.Decimal)

describe("Decimal", () => {
  it("keeps what binary floats lose", () => {
    assert.strictEqual(Decimal.add(decimal("0.1"), decimal("0.2")), "0.3000")
    assert.strictEqual(Decimal.midpoint(decimal("0.4500"), decimal("0.4700")), "0.4600")
    assert.strictEqual(Decimal.midpoint(decimal("0.0010"), decimal("0.0011")), "0.00105")
    assert.strictEqual(Decimal.compare(decimal("9007199254740993.00"), decimal("9007199254740992.99")), 1)
  })

  it.prop(
    "a sum minus one part is the other",
    [
      Schema.Int.check(Schema.isBetween({ minimum: -1_000_000, maximum: 1_000_000 })),
      Schema.Int.check(Schema.isBetween({ minimum: -1_000_000, maximum: 1_000_000 }))
    ],
    ([a, b]) => {
      const text = (n: number) =>
        decimal(`${n < 0 ? "-" : ""}${Math.floor(Math.abs(n) / 100)}.${String(Math.abs(n) % 100).padStart(2, "0")}`)
      assert.strictEqual(Decimal.compare(Decimal.add(text(a), text(b)), text(a + b)), 0)
    }
  )

  it("refuses what is not a plain decimal", () => {
    for (const text of ["", "1e5", "0x10", "1,5", " 1", "NaN", "Infinity", "1."]) {
      assert.isFalse(Decimal.isDecimal(text), text)
    }
  })
})

describe("impliedYesMid", () => {
  it("needs both sides: an empty book implies nothing", () => {
    assert.strictEqual(impliedYesMid(decimal("0.4500"), decimal("0.4700")), "0.4600")
    assert.isUndefined(impliedYesMid(decimal("0.0000"), decimal("1.0000")))
    assert.isUndefined(impliedYesMid(decimal("0.0000"), decimal("0.0500")))
    assert.isUndefined(impliedYesMid(decimal("0.9500"), decimal("1.0000")))
    assert.isUndefined(impliedYesMid(undefined, decimal("0.5000")))
  })
})
