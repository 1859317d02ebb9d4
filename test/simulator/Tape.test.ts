import { assert, describe, it } from "@effect/vitest"
import { type CandleSpec, candlesOf } from "../../src/simulator/Candles.ts"
import { closeAt, outcomeOf, pausedAt, statusAt } from "../../src/simulator/Catalog.ts"
import { snapDown } from "../../src/simulator/Prices.ts"
import { Tape } from "../../src/simulator/Tape.ts"
import { World } from "../../src/simulator/World.ts"
import { start } from "./Support.ts"

const world = new World(7, start)
const markets = world.catalog.events
  .filter((event) => event.openMs < start && event.closeMs > start - 3 * 3_600_000 && event.series.ticker !== "KXFED")
  .flatMap((event) => event.markets)
const busiest = () =>
  markets
    .map((market) => world.tape(market))
    .reduce((best, tape) => (tape.fills.length > best.fills.length ? tape : best))

describe("Tape", () => {
  it("is the same however it is stepped", () => {
    for (const market of markets.filter((_, i) => i % 17 === 0)) {
      const slow = new Tape(7, market)
      for (let ms = market.event.openMs; ms < start; ms += 7_777) slow.advance(ms)
      slow.advance(start)
      const fast = new Tape(7, market)
      fast.advance(start)
      assert.deepStrictEqual(fast.tops, slow.tops)
      assert.deepStrictEqual(fast.fills, slow.fills)
    }
    assert.notDeepEqual(new World(8, start).tape(markets[100]!).tops, world.tape(markets[100]!).tops)
  })

  it("never goes back in time, crosses its book, or leaves the price grid", () => {
    for (const market of markets) {
      const tape = world.tape(market)
      let before = 0
      for (const top of tape.tops) {
        assert.isAbove(top.ms, before)
        before = top.ms
        assert.isBelow(top.bid, top.ask)
        assert.strictEqual(snapDown(market.event.series.structure, top.bid), top.bid)
        assert.isAtMost(top.openInterest, top.volume)
        if (top.bid === 0) assert.strictEqual(top.bidSize, 0)
        if (top.ask === 10_000) assert.strictEqual(top.askSize, 0)
      }
      for (const fill of tape.fills) {
        assert.isBelow(fill.ms, closeAt(market, fill.ms))
        assert.isFalse(pausedAt(market, fill.ms))
      }
      if (statusAt(market, start) !== "active") assert.strictEqual(tape.top.bid, 0)
    }
  })

  it("keeps book and deltas in step", () => {
    const tape = new Tape(7, busiest().market)
    const book = new Map<string, number>()
    while (!tape.ended && tape.nextMs <= start) {
      tape.step()
      for (const { price, side, size } of tape.deltas) {
        const level = (book.get(`${side}${price}`) ?? 0) + size
        assert.isAtLeast(level, 0)
        if (level === 0) book.delete(`${side}${price}`)
        else book.set(`${side}${price}`, level)
      }
      const levels = [
        ...tape.yes.prices.map((price, i) => [`yes${price}`, tape.yes.sizes[i]] as const),
        ...tape.no.prices.map((price, i) => [`no${price}`, tape.no.sizes[i]] as const)
      ]
      assert.deepStrictEqual(new Map([...book].sort()), new Map(levels.sort()) as Map<string, number>)
    }
  })

  it("candles say exactly what trades and quotes say", () => {
    for (const interval of [1, 60] as const) {
      const tape = busiest()
      const seconds = interval * 60
      const candles = candlesOf(tape, interval, start)
      const expected = new Map<number, CandleSpec>()
      let quote = { bid: 0, ask: 10_000, openInterest: 0 }
      let last = 0
      for (const end of new Set(tape.tops.map((top) => Math.ceil(top.ms / 1000 / seconds) * seconds))) {
        const tops = tape.tops.filter((top) => top.ms > (end - seconds) * 1000 && top.ms <= end * 1000)
        const fills = tape.fills.filter((fill) => fill.ms > (end - seconds) * 1000 && fill.ms <= end * 1000)
        const spread = (open: number, values: ReadonlyArray<number>) => ({
          open,
          high: Math.max(open, ...values),
          low: Math.min(open, ...values),
          close: values[values.length - 1] ?? open
        })
        const volume = fills.reduce((sum, fill) => sum + fill.count, 0)
        const prices = fills.map((fill) => fill.price)
        expected.set(end, {
          end,
          bid: spread(
            quote.bid,
            tops.map((top) => top.bid)
          ),
          ask: spread(
            quote.ask,
            tops.map((top) => top.ask)
          ),
          price:
            fills.length === 0
              ? undefined
              : {
                  ...spread(prices[0]!, prices),
                  mean: Math.round(fills.reduce((sum, fill) => sum + fill.price * fill.count, 0) / volume)
                },
          previous: last,
          volume,
          openInterest: tops[tops.length - 1]!.openInterest
        })
        quote = tops[tops.length - 1]!
        last = prices[prices.length - 1] ?? last
      }
      assert.deepStrictEqual(candles, [...expected.values()])
    }
  })

  it("settles exactly one market of an exclusive event", () => {
    const ended = world.catalog.events.filter((event) => event.exclusive && event.closeMs < start)
    assert.isAbove(ended.length, 20)
    for (const event of ended) {
      const yes = event.markets.filter((market) => outcomeOf(7, market, closeAt(market, start)).result === "yes")
      assert.strictEqual(yes.length, 1, event.ticker)
    }
  })
})
