import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import {
  type CandleCall,
  type CandleLimits,
  type CandleRequest,
  exchangeLimits,
  periodsIn,
  plan,
  tickersOf
} from "../../src/ingest/CandlePlan.ts"
import type { CandleInterval } from "../../src/market/Candle.ts"
import { endAtOrAfter, endAtOrBefore, lengthOf, lifeOf } from "../../src/market/CandlePeriod.ts"

const start = Date.parse("2026-10-31T12:00:00Z")
const minute = 60_000
const hour = 60 * minute

const request = (
  ticker: string,
  fromMillis: number,
  toMillis: number,
  periodMinutes: CandleInterval = 1
): CandleRequest => ({ ticker, seriesTicker: "S", periodMinutes, fromMillis, toMillis })

const endsIn = (interval: CandleInterval, from: number, to: number): ReadonlyArray<number> => {
  const ends: Array<number> = []
  for (let end = endAtOrAfter(interval, from + 1); end <= to; end = endAtOrAfter(interval, end + 1)) ends.push(end)
  return ends
}

/** How often each requested end of a period is asked for. */
const times = (requests: ReadonlyArray<CandleRequest>, calls: ReadonlyArray<CandleCall>) => {
  const counts = new Map<string, number>()
  for (const { fromMillis, periodMinutes, ticker, toMillis } of requests)
    for (const end of endsIn(
      periodMinutes,
      endAtOrBefore(periodMinutes, fromMillis),
      endAtOrAfter(periodMinutes, toMillis)
    ))
      if (toMillis > fromMillis) counts.set(`${ticker} ${periodMinutes} ${end}`, 0)
  for (const call of calls)
    for (const ticker of tickersOf(call))
      for (const end of endsIn(call.interval, call.fromMillis, call.toMillis)) {
        const key = `${ticker} ${call.interval} ${end}`
        const count = counts.get(key)
        if (count !== undefined) counts.set(key, count + 1)
      }
  return counts
}

const checkLimits = (calls: ReadonlyArray<CandleCall>, limits: CandleLimits) => {
  for (const call of calls) {
    const tickers = tickersOf(call)
    const seconds = (call.toMillis - call.fromMillis) / 1000
    const periods = seconds / (60 * call.interval)
    assert.isAbove(periods, 0)
    assert.isAtMost(periods, limits.periods)
    assert.isAtMost(seconds / 3600, Math.max(limits.hours, call.interval / 60))
    assert.isAtMost(tickers.length, limits.tickers)
    assert.strictEqual(new Set(tickers).size, tickers.length)
    if (call._tag === "Batch") assert.isAtMost(tickers.length * periods, limits.batchPeriods)
  }
}

const asked = (requests: ReadonlyArray<CandleRequest>) => times(requests, []).size

const Asked = Schema.Array(
  Schema.Struct({
    ticker: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 })),
    from: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3000 })),
    length: Schema.Int.check(Schema.isBetween({ minimum: -2, maximum: 700 })),
    interval: Schema.Literals([1, 60, 1440])
  })
).check(Schema.isMaxLength(40))

const requestsOf = (some: typeof Asked.Type) =>
  some.map(({ from, interval, length, ticker }) =>
    request(
      `M${ticker}`,
      start + from * (interval === 1 ? 1 : 10) * minute + 7000,
      start + (from + length) * (interval === 1 ? 1 : 10) * minute,
      interval
    )
  )

const Limits = Schema.Struct({
  tickers: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 })),
  batchPeriods: Schema.Int.check(Schema.isBetween({ minimum: 12, maximum: 900 })),
  periods: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 500 })),
  hours: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 80 }))
})

describe("a plan of candle calls", () => {
  it.prop("asks for every requested period once and keeps within the limits", [Asked, Limits], ([some, limits]) => {
    const requests = requestsOf(some)
    const calls = plan(requests, (ticker) => Number(ticker.slice(1)) % 3 === 0, limits)
    for (const [key, count] of times(requests, calls)) assert.strictEqual(count, 1, key)
    checkLimits(calls, limits)
    for (const call of calls)
      for (const ticker of tickersOf(call))
        assert.strictEqual(call._tag === "Historical", Number(ticker.slice(1)) % 3 === 0)
  })

  it.prop("is never longer than a call a market and range", [Asked], ([some]) => {
    const requests = requestsOf(some)
    const calls = plan(requests, () => false)
    checkLimits(calls, exchangeLimits)
    assert.isAtMost(calls.length, requests.length)
    assert.isAtMost(plan(requests, () => true).length, requests.length)
  })

  it.prop(
    "of markets with one range is near the least that the limits allow",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1500 })),
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3000 }))
    ],
    ([markets, minutes]) => {
      const requests = Array.from({ length: markets }, (_, n) => request(`M${n}`, start, start + minutes * minute))
      const calls = plan(requests, () => false)
      checkLimits(calls, exchangeLimits)
      const least = Math.max(
        Math.ceil(markets / exchangeLimits.tickers),
        Math.ceil((markets * minutes) / exchangeLimits.batchPeriods)
      )
      assert.isAtMost(calls.length, Math.ceil(least * 1.25) + 1)
    }
  )

  it.prop(
    "of hours with any number of markets each is at most twice that",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 260 }))).check(Schema.isMaxLength(12))],
    ([hours]) => {
      const requests = hours.flatMap((markets, at) =>
        Array.from({ length: markets }, (_, n) => {
          const open = start + at * hour
          const { fromMillis, toMillis } = lifeOf(1, open, open + hour)
          return request(`H${at}-${n}`, fromMillis, toMillis)
        })
      )
      const calls = plan(requests, () => false)
      checkLimits(calls, exchangeLimits)
      assert.isAtMost(calls.length, 2 * Math.ceil(requests.length / exchangeLimits.tickers) + 1)
    }
  )

  it("of 1,000 closed hourly markets is 12 calls, and one a market once they are archived", () => {
    const requests = [236, 236, 206, 206, 116].flatMap((markets, at) =>
      Array.from({ length: markets }, (_, n) => {
        const { fromMillis, toMillis } = lifeOf(1, start + at * hour, start + (at + 1) * hour)
        return request(`H${at}-${n}`, fromMillis, toMillis)
      })
    )
    assert.strictEqual(requests.length, 1000)
    assert.isAtMost(plan(requests, () => false).length, 12)
    assert.strictEqual(plan(requests, () => true).length, 1000)
  })

  it("closes many small holes of many markets with a few rectangles", () => {
    const requests = Array.from({ length: 300 }, (_, market) =>
      Array.from({ length: 20 }, (_, hole) => {
        const from = start + ((market * 7 + hole * 3) % 60) * minute
        return request(`M${market}`, from, from + minute)
      })
    ).flat()
    const calls = plan(requests, () => false)
    checkLimits(calls, exchangeLimits)
    assert.isAtMost(calls.length, 5)
    for (const [key, count] of times(requests, calls)) assert.strictEqual(count, 1, key)
  })

  it("asks for one market on its own route, when its series is known, and for no more than the hours allow", () => {
    const one = [request("A", start, start + 200 * hour)]
    const calls = plan(one, () => false, { ...exchangeLimits, hours: 72 })
    assert.deepStrictEqual(
      calls.map((call) => [call._tag, periodsIn(1, call)]),
      [
        ["Single", 72 * 60],
        ["Single", 72 * 60],
        ["Single", 56 * 60]
      ]
    )
    assert.deepStrictEqual(
      plan([{ ...one[0]!, toMillis: start + hour, seriesTicker: undefined }], () => false).map(({ _tag }) => _tag),
      ["Batch"]
    )
  })

  it("asks first for what is next to leave the live tier, and for archived markets last", () => {
    const tags = plan(
      [
        request("new", start + 500 * hour, start + 501 * hour),
        request("old", start, start + hour),
        request("archived", start - 500 * hour, start - 499 * hour)
      ],
      (ticker) => ticker === "archived"
    ).map((call) => tickersOf(call)[0])
    assert.deepStrictEqual(tags, ["old", "new", "archived"])
  })

  it("of nothing, and of ranges that are empty or end before they begin, is empty", () => {
    assert.deepStrictEqual(
      plan([], () => false),
      []
    )
    assert.deepStrictEqual(
      plan([request("A", start, start), request("B", start, start - hour)], () => false),
      []
    )
    assert.strictEqual(asked([request("A", start, start)]), 0)
  })

  it("counts days of 23 and 25 hours", () => {
    const from = endAtOrBefore(1440, start)
    const requests = [request("A", from, from + 9 * 24 * hour + hour, 1440)]
    const calls = plan(requests, () => false, { ...exchangeLimits, periods: 1 })
    for (const [key, count] of times(requests, calls)) assert.strictEqual(count, 1, key)
    for (const call of calls) assert.isAtMost(call.toMillis - call.fromMillis, lengthOf(1440))
  })
})
