import { assert, describe, it } from "@effect/vitest"
import { AwaitedSnapshots } from "../../src/ingest/AwaitedSnapshots.ts"

const ticker = (name: string) =>
  `{"type":"ticker","sid":1,"msg":{"market_id":"x","market_ticker":"${name}","price_dollars":"0.5000"}}`

describe("awaited snapshots", () => {
  it("are the first ticker frame of each market that was asked for", () => {
    const awaited = new AwaitedSnapshots()
    awaited.expect(["A", "B"], 0)
    assert.isTrue(awaited.isSnapshot(ticker("A")))
    assert.isFalse(awaited.isSnapshot(ticker("A")))
    assert.isFalse(awaited.isSnapshot(ticker("C")))
    assert.isFalse(awaited.isSnapshot('{"type":"market_lifecycle_v2","sid":2,"msg":{"market_ticker":"B"}}'))
    assert.isFalse(awaited.isSnapshot('{"type":"ticker"'))
    assert.isTrue(awaited.isSnapshot(ticker("B")))
  })

  it("are not awaited for ever", () => {
    const awaited = new AwaitedSnapshots()
    awaited.expect(["A"], 0)
    awaited.expect(["B"], 9_000)
    awaited.forgetBefore(11_000)
    assert.isFalse(awaited.isSnapshot(ticker("A")))
    assert.isTrue(awaited.isSnapshot(ticker("B")))
  })
})
