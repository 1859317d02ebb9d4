import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { judgeMarket } from "../../src/ingest/OriginalCatalog.ts"
import * as Money from "../../src/ingest/OriginalMoney.ts"
import type { Fault } from "../../src/store/ImportFaults.ts"
import type { OriginalMarket } from "../../src/store/OriginalRows.ts"

/** The value as plain text. */
const price = (dollars: string | null, cents: string | null): { value: string | undefined; fault: Fault | undefined } =>
  Money.price(dollars, cents)

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

describe("prices of the original", () => {
  it.prop("dollars with a point are taken as they are written", [between(0, 9_999)], ([tenThousandths]) => {
    const text = `0.${String(tenThousandths).padStart(4, "0")}`
    assert.deepStrictEqual(price(text, null), { value: text, fault: undefined })
  })

  it.prop("cents are exact hundredths, however they are given", [between(2, 100)], ([cents]) => {
    const value = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`
    assert.strictEqual(price(null, String(cents)).value, value)
    assert.strictEqual(price(String(cents), null).value, value)
    assert.strictEqual(price(null, `${cents}.5`).value, cents === 100 ? undefined : `${value}5`)
  })

  it("a 1 is a cent, a dollar or in doubt, by what stands beside it", () => {
    assert.deepStrictEqual(price("1", "1"), { value: "0.01", fault: { kind: "unit_guess", repaired: true } })
    assert.deepStrictEqual(price("1.0000", "1"), { value: "0.01", fault: { kind: "unit_guess", repaired: true } })
    assert.deepStrictEqual(price("1.0000", "100"), { value: "1.0000", fault: undefined })
    assert.deepStrictEqual(price("1.0000", null), { value: "1.0000", fault: undefined })
    assert.strictEqual(price("1", null).fault?.repaired, false)
    assert.strictEqual(Money.storedPrice("1.0000", null).fault?.repaired, false)
    assert.strictEqual(Money.storedPrice("1.0000", 100).fault, undefined)
    assert.strictEqual(String(Money.storedPrice("1.0000", 1).value), "0.01")
    assert.strictEqual(price(null, "1").value, "0.01")
    assert.strictEqual(price(null, "0.47").value, "0.47")
  })

  it("what is no price is none, and says so", () => {
    for (const said of ["-0.01", "100.01", "12345678901234567890123", "NaN", "1e2", "abc"]) {
      const { fault, value } = price(said, null)
      assert.strictEqual(value, undefined, said)
      assert.deepStrictEqual(fault, { kind: "impossible_number", repaired: false, detail: { said } }, said)
    }
    for (const said of [null, "", " "])
      assert.deepStrictEqual(price(said, null), { value: undefined, fault: undefined })
    assert.strictEqual(price("0", "0").value, "0")
  })
})

const nothing: OriginalMarket = {
  digest: "0",
  ticker: "X-1",
  event_ticker: "X",
  market_type: "binary",
  title: "t",
  subtitle: null,
  yes_sub_title: null,
  no_sub_title: null,
  created_time: null,
  open_time: null,
  close_time: null,
  expected_expiration_time: null,
  latest_expiration_time: null,
  settlement_timer_seconds: null,
  can_close_early: null,
  rules_primary: null,
  rules_secondary: null,
  price_level_structure: null,
  price_ranges: null,
  strike_type: "greater",
  floor_strike: null,
  cap_strike: null,
  functional_strike: null,
  custom_strike: null,
  mve_collection_ticker: null,
  settlement_value: null,
  settlement_value_dollars: null,
  settlement_ts: null
}

const judged = (fields: Partial<OriginalMarket>) => {
  const { faults, row } = judgeMarket({ ...nothing, ...fields }, 0)
  return { row, kinds: faults.map(({ kind }) => kind).filter((kind) => kind.startsWith("strike")) }
}

describe("strikes of the original", () => {
  it.prop("one that was rounded comes back from the ticker", [between(-99_999, 9_999_999)], ([hundredths]) => {
    const whole = Math.trunc(hundredths / 100)
    const exact = `${hundredths < 0 ? "-" : ""}${Math.abs(whole)}.${String(Math.abs(hundredths % 100)).padStart(2, "0")}`
    const stored = Math.round(hundredths / 100)
    const { kinds, row } = judged({ ticker: `KXBTCD-26MAR2417-T${exact}`, floor_strike: stored })
    assert.strictEqual(row?.floor_strike, exact)
    assert.deepStrictEqual(kinds, Number(exact) === stored ? [] : ["strike_rounded"])
  })

  it("the ticker is about the end that the type names, the subtitle about both", () => {
    assert.deepStrictEqual(judged({ ticker: "X-T0.5", strike_type: "less", cap_strike: 0 }).row?.cap_strike, "0.5")
    const between = judged({
      ticker: "X-B53.5",
      strike_type: "between",
      floor_strike: 53,
      cap_strike: 55,
      yes_sub_title: "53.25° to 54.75°"
    })
    assert.deepStrictEqual([between.row?.floor_strike, between.row?.cap_strike], ["53.25", "54.75"])
    assert.deepStrictEqual(between.kinds, ["strike_rounded"])
    assert.deepStrictEqual(judged({ ticker: "X-T94", floor_strike: 94 }).kinds, [])
    assert.deepStrictEqual(judged({ ticker: "X-T94", floor_strike: 90, yes_sub_title: "90 or more" }).kinds, [
      "strike_doubtful"
    ])
    assert.deepStrictEqual(
      judged({ ticker: "X-20", floor_strike: 20, yes_sub_title: "Over 19.5" }).row?.floor_strike,
      "19.5"
    )
    assert.deepStrictEqual(judged({ ticker: "X-20", floor_strike: 20 }).kinds, ["strike_doubtful"])
    assert.deepStrictEqual(judged({ ticker: "X-T1" }).kinds, [])
  })
})
