import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ForecastSchedule, type Lane } from "../../src/store/ForecastSchedule.ts"
import { event, hour, minute, now } from "../prediction/ForecastFixture.ts"
import { TestDatabase } from "../support/Database.ts"

const Store = ForecastSchedule.layer.pipe(TestDatabase.under("predictor"))
const lane: Lane = {
  agent: "a",
  intervals: new Map([
    ["hour", 600],
    ["day", 1800]
  ])
}
const tickers = (claims: ReadonlyArray<{ readonly eventTicker: string }>) => claims.map((claim) => claim.eventTicker)
const claim = (holder: string, at: number, limit: number, leaseSeconds = 60) =>
  ForecastSchedule.use((schedule) => schedule.claim(lane, holder, at, leaseSeconds, limit))

describe("ForecastSchedule", () => {
  it.live("30 events that cannot be forecast do not hide a live one", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 30; i++) {
        const ticker = `OLD${String(i).padStart(2, "0")}`
        const kinds = [
          { status: "finalized", close: now - hour },
          { status: "active", close: now - minute },
          { status: "inactive" },
          { status: "initialized", open: now + hour, close: now + 2 * hour },
          { status: "active", open: now + hour, close: now + 2 * hour }
        ]
        yield* event(ticker, i % 6 === 5 ? [] : [{ ticker: `${ticker}-A`, ...kinds[i % 6]! }])
      }
      yield* event("WEEKLY", [{ ticker: "WEEKLY-A", close: now + 100 * hour }], { period: "week" })
      yield* event("NONE", [{ ticker: "NONE-A" }], { period: null })
      yield* event("ZLIVE", [{ ticker: "ZLIVE-A" }, { ticker: "ZLIVE-B", status: "finalized" }])
      assert.deepStrictEqual(tickers(yield* claim("p", now, 25)), ["ZLIVE"])
      const sql = yield* PgClient.PgClient
      assert.deepStrictEqual(yield* sql`select event_ticker from forecast_schedule`, [{ event_ticker: "ZLIVE" }])
    }).pipe(Effect.provide(Store))
  )

  it.live("with barely enough hands for all events, none waits longer than two intervals", () =>
    Effect.gen(function* () {
      const hourly = 24
      const daily = 12
      for (let i = 0; i < hourly; i++)
        yield* event(`H${i}`, [{ ticker: `H${i}-A`, open: now - minute, close: now + 9 * hour }])
      for (let i = 0; i < daily; i++)
        yield* event(`D${i}`, [{ ticker: `D${i}-A`, open: now - minute, close: now + 9 * hour }], { period: "day" })
      const schedule = yield* ForecastSchedule
      const last = new Map<string, number>()
      let longest = 0
      // 2.8 events a minute are due (24 / 10 + 12 / 30), three a minute are made.
      for (let at = now; at < now + 2 * hour; at += minute) {
        for (const held of yield* claim("p", at, 3)) {
          const intervals = (at - (last.get(held.eventTicker) ?? now - minute)) / (held.intervalSeconds * 1000)
          longest = Math.max(longest, intervals)
          last.set(held.eventTicker, at)
          assert.isTrue(yield* schedule.finish(held, at + held.intervalSeconds * 1000, false))
        }
      }
      assert.strictEqual(last.size, hourly + daily)
      for (const [ticker, at] of last)
        longest = Math.max(longest, (now + 2 * hour - at) / (ticker.startsWith("H") ? 600_000 : 1_800_000))
      assert.isAtMost(longest, 2)
      assert.deepStrictEqual(yield* schedule.state(lane, now + 2 * hour), { eligible: 36, late: 0 })
    }).pipe(Effect.provide(Store))
  )

  it.live("predictors that look at the same time never get the same event", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 40; i++) yield* event(`E${i}`, [{ ticker: `E${i}-A` }])
      const rounds = yield* Effect.forEach(
        Array.from({ length: 8 }, (_, i) => `p${i}`),
        (holder) => Effect.forEach([1, 2, 3], () => claim(holder, now, 2)),
        { concurrency: "unbounded" }
      )
      const all = rounds.flat(2)
      assert.strictEqual(new Set(tickers(all)).size, all.length)
      yield* claim("last", now, 100)
      assert.deepStrictEqual(yield* claim("nobody", now, 100), [])
    }).pipe(Effect.provide(Store))
  )

  it.live("when a predictor dies its events go to another, and it can end them no more", () =>
    Effect.gen(function* () {
      yield* event("E", [{ ticker: "E-A" }])
      const schedule = yield* ForecastSchedule
      const sql = yield* PgClient.PgClient
      const [first] = yield* claim("dead", now, 1)
      assert.deepStrictEqual(yield* claim("other", now, 1), [])
      yield* sql`update forecast_schedule set lease_until = clock_timestamp() - interval '1 second'`
      const [second] = yield* claim("other", now, 1)
      assert.isAbove(second!.fence, first!.fence)
      assert.isFalse(yield* schedule.finish(first!, now + hour, false))
      assert.isTrue(yield* schedule.finish(second!, now + minute, true))
      assert.isFalse(yield* schedule.finish(second!, now + hour, false))
      assert.deepStrictEqual(yield* claim("other", now, 1), [])
      const [third] = yield* claim("other", now + minute, 1)
      assert.strictEqual(third!.attempts, 1)
    }).pipe(Effect.provide(Store))
  )

  it.live("agents do not share events; what is over is forgotten", () =>
    Effect.gen(function* () {
      yield* event("E", [{ ticker: "E-A" }])
      yield* event("F", [{ ticker: "F-A", close: now + 5 * minute }])
      const schedule = yield* ForecastSchedule
      const other = yield* schedule.claim({ ...lane, agent: "b" }, "p", now, 60, 5)
      const mine = yield* claim("p", now, 5)
      assert.deepStrictEqual(tickers(mine), tickers(other))
      for (const held of [...mine, ...other]) yield* schedule.finish(held, now + hour, false)
      assert.strictEqual(yield* schedule.forget(now + 6 * minute), 2)
    }).pipe(Effect.provide(Store))
  )
})
