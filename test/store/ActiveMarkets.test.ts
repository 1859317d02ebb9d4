import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type { Market } from "../../src/market/Market.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { ActiveMarkets } from "../../src/store/ActiveMarkets.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { Acting, TestDatabase } from "../support/Database.ts"

const start = 1_787_586_600_000
const hour = 3_600_000

const store = Layer.mergeAll(ActiveMarkets.layer, Catalog.layer).pipe(TestDatabase.under("rest"))

const save = (
  eventTicker: string,
  period: string,
  markets: ReadonlyArray<Partial<Market> & { readonly ticker: string }>
) =>
  Effect.gen(function* () {
    const catalog = yield* Catalog
    yield* catalog.saveEvents([{ event: { eventTicker }, strikePeriod: period }])
    yield* catalog.saveMarkets(
      markets.map((market) => ({
        eventTicker,
        status: "initialized",
        openTime: fromMillis(start),
        closeTime: fromMillis(start + hour),
        ...market
      })),
      fromMillis(start)
    )
  })

/** One beat of the clock. */
const beat = (millis: number) =>
  Effect.gen(function* () {
    const active = yield* ActiveMarkets
    const moved = yield* active.advanceClock(millis)
    const changed = yield* active.refresh(["hour", "day"], millis)
    return { moved, changed, tickers: yield* active.tickers }
  })

const statusOf = (ticker: string) =>
  PgClient.PgClient.use((sql) => sql<{ status: string }>`select status from markets where ticker = ${ticker}`).pipe(
    Effect.map((rows) => rows[0]?.status)
  )

describe("ActiveMarkets", () => {
  it.effect("a market opens and closes at its instants to the millisecond, without a message", () =>
    Effect.gen(function* () {
      const active = yield* ActiveMarkets
      yield* save("E", "hour", [{ ticker: "A" }, { ticker: "B", closeTime: fromMillis(start + hour / 2) }])
      assert.deepStrictEqual(yield* beat(start - 1), { moved: 0, changed: 0, tickers: [] })
      assert.strictEqual(yield* active.nextTransition(start - 1), start)
      assert.deepStrictEqual(yield* beat(start), { moved: 2, changed: 2, tickers: ["B", "A"] })
      assert.strictEqual(yield* active.nextTransition(start), start + hour / 2)
      assert.deepStrictEqual(yield* beat(start + hour / 2 - 1), { moved: 0, changed: 0, tickers: ["B", "A"] })
      assert.deepStrictEqual(yield* beat(start + hour / 2), { moved: 1, changed: 1, tickers: ["A"] })
      assert.deepStrictEqual(yield* beat(start + hour), { moved: 1, changed: 1, tickers: [] })
      assert.strictEqual(yield* statusOf("A"), "closed")
      assert.isUndefined(yield* active.nextTransition(start + hour))
    }).pipe(Effect.provide(store))
  )

  it.effect("a paused market stays; one whose whole life was slept through is closed", () =>
    Effect.gen(function* () {
      const catalog = yield* Catalog
      yield* save("E", "day", [{ ticker: "A" }])
      yield* beat(start)
      yield* catalog.saveMarkets([{ ticker: "A", status: "inactive" }], fromMillis(start))
      const paused = yield* beat(start + 1)
      assert.deepStrictEqual(paused.tickers, ["A"])
      assert.strictEqual(yield* statusOf("A"), "inactive")
      yield* save("E2", "day", [{ ticker: "LATE" }])
      const late = yield* beat(start + 2 * hour)
      assert.deepStrictEqual(late.tickers, [])
      assert.strictEqual(yield* statusOf("A"), "closed")
      assert.strictEqual(yield* statusOf("LATE"), "closed")
    }).pipe(Effect.provide(store))
  )

  it.effect("only wanted periods, only live statuses", () =>
    Effect.gen(function* () {
      yield* save("H", "hour", [{ ticker: "H" }])
      yield* save("D", "day", [{ ticker: "D" }])
      yield* save("W", "week", [{ ticker: "W" }])
      yield* save("X", "hour", [
        { ticker: "DET", status: "determined" },
        { ticker: "FIN", status: "finalized" }
      ])
      assert.deepStrictEqual((yield* beat(start)).tickers, ["D", "H"])
      const active = yield* ActiveMarkets
      assert.strictEqual(yield* active.refresh(["hour"], start), 1)
      assert.deepStrictEqual(yield* active.tickers, ["H"])
    }).pipe(Effect.provide(store))
  )

  it.effect(
    "a close that moves: earlier closes then, later keeps open, and a closed market that is activated opens again",
    () =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        yield* save("E", "hour", [{ ticker: "A" }, { ticker: "B" }])
        yield* beat(start)
        yield* catalog.saveMarkets(
          [
            { ticker: "A", closeTime: fromMillis(start + 10) },
            { ticker: "B", closeTime: fromMillis(start + 2 * hour) }
          ],
          fromMillis(start)
        )
        assert.deepStrictEqual((yield* beat(start + 10)).tickers, ["B"])
        assert.deepStrictEqual((yield* beat(start + hour)).tickers, ["B"])
        yield* catalog.saveMarkets(
          [
            { ticker: "A", closeTime: fromMillis(start + 3 * hour) },
            { ticker: "A", status: "active" }
          ],
          fromMillis(start)
        )
        assert.deepStrictEqual((yield* beat(start + hour + 1)).tickers, ["B", "A"])
        assert.deepStrictEqual((yield* beat(start + 3 * hour)).tickers, [])
      }).pipe(Effect.provide(store))
  )

  it.effect("stale news cannot open a market again", () =>
    Effect.gen(function* () {
      const catalog = yield* Catalog
      yield* save("E", "hour", [{ ticker: "A" }])
      yield* beat(start + hour)
      yield* catalog.saveMarkets([{ ticker: "A", status: "active" }], fromMillis(start))
      assert.deepStrictEqual((yield* beat(start + hour + 1)).tickers, [])
      assert.strictEqual(yield* statusOf("A"), "closed")
    }).pipe(Effect.provide(store))
  )

  it.live("tells listeners of a change, and of nothing else", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const heard = yield* sql.listen("markets_changed")
      yield* save("E", "hour", [{ ticker: "A" }])
      yield* beat(start - 1)
      yield* beat(start)
      yield* beat(start)
      yield* beat(start + 1)
      yield* beat(start + hour)
      yield* sql`select pg_notify('markets_changed', 'the end')`
      const told: Array<string> = []
      while (told.at(-1) !== "the end") told.push((yield* Queue.take(heard)).payload)
      assert.strictEqual(told.length, 3)
    }).pipe(Effect.scoped, Effect.provide(store))
  )

  it.live("clocks, writers and discovery at once neither deadlock nor disagree", () =>
    Effect.gen(function* () {
      const catalog = yield* Catalog
      const tickers = Array.from({ length: 120 }, (_, n) => `M${String(n).padStart(3, "0")}`)
      yield* save(
        "E",
        "hour",
        tickers.map((ticker, n) => ({ ticker, openTime: fromMillis(start + n), closeTime: fromMillis(start + 60 + n) }))
      )
      const clock = Effect.forEach(
        Array.from({ length: 40 }, (_, n) => start + n * 5),
        (millis) => beat(millis),
        { discard: true }
      )
      const savings = Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n),
        (n) =>
          Acting.use((sql) =>
            Effect.andThen(
              catalog.saveMarkets(
                (n % 2 === 0 ? tickers : tickers.toReversed()).map((ticker) => ({ ticker, title: `${n}` })),
                fromMillis(start)
              ),
              ActiveMarkets.use((active) => active.refresh(["hour"], start + n * 10))
            ).pipe(sql.withTransaction)
          ),
        { discard: true }
      )
      const fibers = yield* Effect.forEach([clock, clock, savings, savings], (work) => Effect.forkChild(work))
      yield* Effect.forEach(fibers, Fiber.join).pipe(Effect.timeout("15 seconds"))
      const end = yield* beat(start + hour)
      assert.deepStrictEqual(end.tickers, [])
      for (const ticker of tickers) assert.strictEqual(yield* statusOf(ticker), "closed")
    }).pipe(Effect.provide(store))
  )
})
