import { assert, describe, it } from "@effect/vitest"
import type { Event } from "../../src/market/Event.ts"
import { infer, normalize } from "../../src/market/StrikePeriod.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"

const rules = { hourMaxHours: 2, dayMaxHours: 36 }
const trading = (hours: number, extra: Partial<Event> = {}): Event => ({
  eventTicker: "E",
  markets: [{ ticker: "M", openTime: fromMillis(0), closeTime: fromMillis(hours * 3_600_000) }],
  ...extra
})

describe("strike period", () => {
  it("reads every spelling", () => {
    for (const word of ["hour", "Hourly", " hourly ", "HOURS", "1h", "one_hour"])
      assert.strictEqual(normalize(word), "hour")
    for (const word of ["day", "Daily", "days", "1d"]) assert.strictEqual(normalize(word), "day")
    assert.strictEqual(normalize("Week"), "week")
    assert.isUndefined(normalize(""))
    assert.isUndefined(normalize(undefined))
  })

  it("trusts the event's own words first", () => {
    assert.strictEqual(infer(trading(1, { strikePeriod: "daily" }), "hourly", rules), "day")
    assert.strictEqual(infer(trading(1, { strikePeriod: "", cadence: "fifteen_min" }), "hourly", rules), "fifteen_min")
  })

  it("then how long it trades, at the bounds too", () => {
    assert.strictEqual(infer(trading(1), undefined, rules), "hour")
    assert.strictEqual(infer(trading(2), "custom", rules), "hour")
    assert.strictEqual(infer(trading(2.01), "custom", rules), "day")
    assert.strictEqual(infer(trading(36), undefined, rules), "day")
    assert.isUndefined(infer(trading(36.01), undefined, rules))
  })

  it("keeps weekly events of an hourly series out, and daily events listed early in", () => {
    assert.isUndefined(infer(trading(7 * 24), "hourly", rules))
    assert.strictEqual(infer(trading(38), "daily", rules), "day")
    assert.isUndefined(infer(trading(30 * 24), "daily", rules))
  })

  it("does not take a quarter of an hour for an hour", () => {
    assert.strictEqual(infer(trading(0.25), "fifteen_min", rules), "fifteen_min")
    assert.strictEqual(infer(trading(0.25), "hourly", rules), "hour")
  })

  it("falls back on the series when no market tells its times", () => {
    assert.strictEqual(infer({ eventTicker: "E" }, "hourly", rules), "hour")
    assert.isUndefined(infer({ eventTicker: "E" }, "custom", rules))
  })
})
