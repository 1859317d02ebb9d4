import { assert, describe, it } from "vitest"
import { type FeedFacts, feedReport } from "../../src/ingest/FeedHealth.ts"

const quiet: FeedFacts = { open: true, silentSeconds: 4, ageSeconds: 7200, suspect: false }

describe("feedReport", () => {
  it("a quiet market is well while the server pings, however old its data is", () => {
    assert.deepStrictEqual(feedReport(quiet, 60), {
      ok: true,
      detail: "connected; no data for 7200 s, none was due",
      ageSeconds: 7200
    })
    assert.strictEqual(feedReport({ ...quiet, ageSeconds: 3 }, 60).detail, "connected")
  })

  it("a link without frame and ping is dead from the threshold on", () => {
    assert.isTrue(feedReport({ ...quiet, silentSeconds: 59.9 }, 60).ok)
    const dead = feedReport({ ...quiet, silentSeconds: 60 }, 60)
    assert.isFalse(dead.ok)
    assert.strictEqual(dead.detail, "no frame and no ping for 60 s")
    assert.isTrue(feedReport({ ...quiet, silentSeconds: 60 }, 61).ok)
  })

  it("data that is due and does not come is a fault though the server pings, and so is no connection", () => {
    assert.isFalse(feedReport({ ...quiet, suspect: true }, 60).ok)
    assert.isFalse(feedReport({ ...quiet, open: false, silentSeconds: 0 }, 60).ok)
  })
})
