import { assert, describe, it } from "@effect/vitest"
import { dedupeFields, TickDedupe } from "../../src/ingest/TickDedupe.ts"
import type { Decimal } from "../../src/market/Decimal.ts"
import type { Tick } from "../../src/market/Tick.ts"
import { Random } from "../../src/simulator/Random.ts"

const tick = (ticker: string, millis: number, price: string, volume = "1.00"): Tick => ({
  ticker,
  exchangeMillis: millis,
  receivedMillis: millis + 3,
  price: price as Decimal,
  yesBid: "0.4500" as Decimal,
  yesAsk: "0.4700" as Decimal,
  yesBidSize: undefined,
  yesAskSize: undefined,
  lastTradeSize: undefined,
  volume: volume as Decimal,
  openInterest: undefined,
  dollarVolume: undefined,
  dollarOpenInterest: undefined
})

describe("TickDedupe", () => {
  it("drops an equal tick only while the kept one is young, and never across markets", () => {
    const dedupe = new TickDedupe({ maxAgeMillis: 1000, fields: ["price", "volume"] })
    const repeats = [
      tick("A", 0, "0.10"),
      tick("A", 500, "0.10"),
      tick("A", 1000, "0.10"),
      tick("A", 1001, "0.10"),
      tick("A", 1500, "0.10", "2.00"),
      tick("B", 1500, "0.10", "2.00"),
      tick("A", 1400, "0.10", "2.00")
    ].map((one) => dedupe.isRepeat(one))
    assert.deepStrictEqual(repeats, [false, true, true, false, false, false, false])
  })

  it("looks at the chosen fields only", () => {
    const byPrice = new TickDedupe({ maxAgeMillis: 1000, fields: ["price"] })
    assert.isFalse(byPrice.isRepeat(tick("A", 0, "0.10", "1.00")))
    assert.isTrue(byPrice.isRepeat(tick("A", 1, "0.10", "2.00")))
    const byMid = new TickDedupe({ maxAgeMillis: 1000, fields: ["implied_yes_mid"] })
    assert.isFalse(byMid.isRepeat(tick("A", 0, "0.10")))
    assert.isTrue(byMid.isRepeat(tick("A", 1, "0.20")))
    assert.isFalse(byMid.isRepeat({ ...tick("A", 2, "0.20"), yesBid: "0.4600" as Decimal }))
  })

  it("leaves the value of every field at every instant as it was, at most the age behind", () => {
    const random = new Random(3)
    const maxAgeMillis = 50
    const dedupe = new TickDedupe({ maxAgeMillis, fields: dedupeFields })
    let millis = 0
    const asOf = new Map<string, Tick>()
    const kept = new Map<string, Tick>()
    for (let step = 0; step < 20_000; step++) {
      millis += random.int(20)
      const next = tick(`M${random.int(3)}`, millis, `0.${10 + random.int(2)}`, `${random.int(2)}.00`)
      asOf.set(next.ticker, next)
      if (!dedupe.isRepeat(next)) kept.set(next.ticker, next)
      const stored = kept.get(next.ticker)!
      assert.deepStrictEqual([stored.price, stored.volume], [next.price, next.volume])
      assert.isAtMost(next.exchangeMillis - stored.exchangeMillis, maxAgeMillis)
    }
  })
})
