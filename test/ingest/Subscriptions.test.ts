import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { plan } from "../../src/ingest/Subscriptions.ts"

const Tickers = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })))

describe("subscription plan", () => {
  it.prop("reaches the wanted set and disturbs nobody who stays", [Tickers, Tickers], ([has, wants]) => {
    const subscribed = new Set(has.map(String))
    const wanted = [...new Set(wants.map(String))]
    const { add, remove } = plan(subscribed, wanted, { limit: 1000, batchSize: 7 })
    const added = add.flat()
    const removed = remove.flat()
    const result = new Set([...subscribed].filter((ticker) => !removed.includes(ticker)).concat(added))
    assert.deepStrictEqual([...result].sort(), [...wanted].sort())
    assert.isFalse(added.some((ticker) => subscribed.has(ticker)))
    assert.isFalse(removed.some((ticker) => wanted.includes(ticker)))
    assert.isTrue([...add, ...remove].every((batch) => batch.length <= 7 && batch.length > 0))
  })

  it("keeps the first of too many and says how many are left out", () => {
    const { add, leftOut } = plan(new Set(), ["a", "b", "c"], { limit: 2, batchSize: 10 })
    assert.deepStrictEqual(add, [["a", "b"]])
    assert.strictEqual(leftOut, 1)
  })
})
