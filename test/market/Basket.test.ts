import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { type BasketLeg, baskets } from "../../src/market/Basket.ts"
import type { Decimal } from "../../src/market/Decimal.ts"
import * as DecimalOps from "../../src/market/Decimal.ts"
import { type FeeRule, takerFee } from "../../src/market/Fee.ts"

const d = (text: string) => text as Decimal
const rule: FeeRule = { type: "quadratic", multiplier: d("1") }
const free: FeeRule = { type: "quadratic", multiplier: d("0") }
const leg = (bid: string | null, ask: string | null, bidSize = "100", askSize = "100"): BasketLeg => ({
  yesBid: bid === null ? null : d(bid),
  yesBidSize: d(bidSize),
  yesAsk: ask === null ? null : d(ask),
  yesAskSize: d(askSize)
})

describe("fees", () => {
  it("are those of the exchange's own table", () => {
    const cases = [
      ["0.5000", "1", "0.0200"],
      ["0.5000", "100", "1.7500"],
      ["0.0100", "1", "0.0100"],
      ["0.0500", "100", "0.3400"],
      ["0.1000", "100", "0.6300"],
      ["0.2500", "100", "1.3200"],
      ["0.9500", "100", "0.3400"]
    ] as const
    for (const [price, count, fee] of cases)
      assert.strictEqual(takerFee(rule, d(price), d(count)), d(fee), `${count} at ${price}`)
  })

  it("follow the multiplier of the series and are not guessed for another formula", () => {
    assert.strictEqual(
      takerFee({ type: "quadratic_with_maker_fees", multiplier: d("0.5") }, d("0.5"), d("100")),
      d("0.8800")
    )
    assert.strictEqual(takerFee(free, d("0.5"), d("100")), d("0.0000"))
    assert.isUndefined(takerFee({ type: "flat", multiplier: d("1") }, d("0.5"), d("100")))
    assert.isUndefined(takerFee({ type: null, multiplier: null }, d("0.5"), d("100")))
  })
})

describe("baskets", () => {
  it("buy at asks and sell at bids", () => {
    const { buy, sell } = baskets([leg("0.30", "0.31"), leg("0.28", "0.30"), leg("0.33", "0.35")], rule)
    assert.deepInclude(buy, { sum: d("0.9600"), edge: d("0.0400"), legs: 3, missing: 0, size: d("100.0000") })
    assert.deepInclude(sell, { sum: d("0.9100"), edge: d("-0.0900") })
    const fee = ["0.31", "0.30", "0.35"]
      .map((p) => takerFee(rule, d(p), d("100"))!)
      .reduce((a, b) => DecimalOps.add(a, b))
    assert.strictEqual(buy?.fee, fee)
    assert.strictEqual(buy?.profit, DecimalOps.subtract(d("4.0000"), fee))
  })

  it("an overround of midpoints is no opportunity to sell", () => {
    const { buy, sell } = baskets([leg("0.45", "0.60"), leg("0.45", "0.60")], free)
    assert.strictEqual(buy?.profit, d("-20.0000"))
    assert.strictEqual(sell?.profit, d("-10.0000"))
  })

  it("are as large as the smallest size, in whole contracts", () => {
    const { buy, sell } = baskets([leg("0.6", "0.3", "10.75", "7.99"), leg("0.6", "0.3", "3", "9")], free)
    assert.deepInclude(buy, { size: d("7.0000"), profit: d("2.8000") })
    assert.deepInclude(sell, { size: d("3.0000"), profit: d("0.6000") })
  })

  it("say what is missing: an empty side is not a price", () => {
    const { buy, sell } = baskets([leg("0.0000", "0.40"), leg("0.50", "1.0000"), leg(null, null)], free)
    assert.deepInclude(buy, { legs: 1, missing: 2, sum: d("0.4000") })
    assert.deepInclude(sell, { legs: 1, missing: 2, sum: d("0.5000") })
    assert.isUndefined(baskets([leg(null, null)], free).buy)
  })

  it("have no profit to show where the fee is not known", () => {
    const { sell } = baskets([leg("0.6", "0.7"), leg("0.6", "0.7")], { type: "flat", multiplier: d("1") })
    assert.deepInclude(sell, { edge: d("0.2000"), fee: null, profit: null })
  })

  const cents = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 98 }))
  it.prop(
    "never promise a profit on both sides of two-sided quotes",
    [Schema.NonEmptyArray(Schema.Tuple([cents, cents]))],
    ([quotes]) => {
      const legs = quotes.map(([a, b]) =>
        leg(`0.${String(Math.min(a, b)).padStart(2, "0")}`, `0.${String(Math.max(a, b) + 1).padStart(2, "0")}`)
      )
      const { buy, sell } = baskets(legs, rule)
      const gains = [buy, sell].filter((side) => side?.profit != null && DecimalOps.compare(side.profit, d("0")) > 0)
      assert.isAtMost(gains.length, 1)
      for (const side of [buy, sell])
        if (side !== undefined)
          assert.isAtMost(
            DecimalOps.compare(side.profit!, DecimalOps.fromScaled(DecimalOps.toScaled(side.edge) * 100n)),
            0
          )
    }
  )
})
