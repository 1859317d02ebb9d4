import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { eventLifecycle } from "../../src/kalshi/LifecycleWire.ts"
import { ignoreUnknown } from "../../src/kalshi/Unknowns.ts"
import type { Decimal } from "../../src/market/Decimal.ts"
import type { Market } from "../../src/market/Market.ts"
import type { Timestamp } from "../../src/market/Timestamp.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { Acting, TestDatabase } from "../support/Database.ts"

const Store = Catalog.layer.pipe(TestDatabase.under("worker"))
const readAt = "2026-08-24T15:50:00.000Z"

const now = PgClient.PgClient.use((sql) => sql<{ now: string }>`select clock_timestamp()::text as now`).pipe(
  Effect.map((rows) => rows[0]!.now)
)
const changes = (key: string) =>
  PgClient.PgClient.use(
    (sql) => sql<{ field: string; before: unknown; after: unknown }>`
      select field, before, after from metadata_field_changes where key = ${key} order by id, field`
  )

layer(Store)("the history of metadata", (it) => {
  it.effect("tells what changed when, and shows a market, its event and its series as they were", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const catalog = yield* Catalog
      const market: Market = {
        ticker: "M",
        eventTicker: "E",
        status: "initialized",
        openTime: "2026-08-24T16:00:00Z" as Timestamp,
        closeTime: "2026-08-24T17:00:00Z" as Timestamp,
        floorStrike: "80749.990000001" as Decimal,
        rulesPrimary: "above",
        customStrike: { a: [1, null] },
        quote: { price: "0.4000" as Decimal }
      }
      const event = (over: object) => ({
        event: { eventTicker: "E", seriesTicker: "S", title: "E", ...over },
        strikePeriod: "hour"
      })
      const beforeAll = yield* now
      yield* catalog.saveSeries([{ ticker: "S", feeType: "quadratic", feeMultiplier: "1" as Decimal }])
      yield* catalog.saveEvents([event({})])
      yield* catalog.saveMarkets([market], readAt)
      const first = yield* now
      yield* catalog.saveMarkets([{ ...market, quote: { price: "0.5000" as Decimal } }], "2026-08-24T15:51:00.000Z")
      assert.deepStrictEqual(yield* changes("M"), [])
      yield* catalog.saveMarkets(
        [{ ticker: "M", closeTime: "2026-08-24T18:00:00Z" as Timestamp, rulesPrimary: "at or above" }],
        readAt
      )
      const second = yield* now
      yield* catalog.saveMarkets([{ ticker: "M", closeTime: "2026-08-24T19:00:00Z" as Timestamp, title: "T" }], readAt)
      yield* catalog.saveEvents([event({ feeTypeOverride: "flat", feeMultiplierOverride: "0.5" as Decimal })])
      const third = yield* now
      yield* catalog.saveSeries([{ ticker: "S", feeType: "quadratic", feeMultiplier: "2.50" as Decimal }])
      yield* sql`select advance_market_clock('2026-08-24T16:30:00Z')`

      assert.deepStrictEqual(yield* changes("M"), [
        { field: "close_time", before: "2026-08-24T17:00:00+00:00", after: "2026-08-24T18:00:00+00:00" },
        { field: "rules_primary", before: "above", after: "at or above" },
        { field: "close_time", before: "2026-08-24T18:00:00+00:00", after: "2026-08-24T19:00:00+00:00" },
        { field: "title", before: null, after: "T" },
        { field: "status", before: "initialized", after: "active" }
      ])
      assert.deepStrictEqual(yield* changes("S"), [{ field: "fee_multiplier", before: 1, after: 2.5 }])

      const asOf = (at: string) =>
        sql`select title, rules_primary, rfc3339(close_time) as close, status, floor_strike, custom_strike, rest_price_dollars as price
          from market_as_of('M', ${at}::timestamptz)`
      const constant = {
        floor_strike: "80749.990000001",
        custom_strike: { a: [1, null] },
        price: null,
        status: "initialized"
      }
      assert.deepStrictEqual(yield* asOf(beforeAll), [])
      assert.deepStrictEqual(yield* asOf(first), [
        { ...constant, title: null, rules_primary: "above", close: "2026-08-24T17:00:00.000000Z" }
      ])
      assert.deepStrictEqual(yield* asOf(second), [
        { ...constant, title: null, rules_primary: "at or above", close: "2026-08-24T18:00:00.000000Z" }
      ])
      assert.deepStrictEqual(yield* asOf(yield* now), [
        {
          ...constant,
          status: "active",
          title: "T",
          rules_primary: "at or above",
          close: "2026-08-24T19:00:00.000000Z"
        }
      ])
      const fees = (at: string) =>
        sql`select fee_type, fee_multiplier, fee_source from fees_as_of('M', ${at}::timestamptz)`
      assert.deepStrictEqual(yield* fees(second), [
        { fee_type: "quadratic", fee_multiplier: "1", fee_source: "series" }
      ])
      assert.deepStrictEqual(yield* fees(third), [{ fee_type: "flat", fee_multiplier: "0.5", fee_source: "event" }])
      assert.deepStrictEqual(yield* sql`select fee_multiplier from series_as_of('S', ${third}::timestamptz)`, [
        { fee_multiplier: "1" }
      ])
      assert.deepStrictEqual(yield* sql`select fee_type_override from event_as_of('E', ${second}::timestamptz)`, [
        { fee_type_override: null }
      ])
    })
  )

  it.effect("an override of fees ends when the exchange says so, and not when it says nothing", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const catalog = yield* Catalog
      const save = (msg: object) =>
        Effect.gen(function* () {
          const event = yield* Effect.fromResult(eventLifecycle({ event_ticker: "F", ...msg }, ignoreUnknown))
          yield* catalog.saveEvents([{ event, strikePeriod: "hour" }])
          const rows = yield* sql<{ type: string | null; multiplier: string | null }>`
            select fee_type_override as type, fee_multiplier_override as multiplier from events where event_ticker = 'F'`
          return [rows[0]!.type, rows[0]!.multiplier]
        })
      assert.deepStrictEqual(yield* save({ title: "F" }), [null, null])
      assert.deepStrictEqual(yield* save({ fee_type_override: "flat", fee_multiplier_override: 0.5 }), ["flat", "0.5"])
      assert.deepStrictEqual(yield* save({ title: "G" }), ["flat", "0.5"])
      assert.deepStrictEqual(yield* save({ fee_type_override: null, fee_multiplier_override: 0.25 }), ["flat", "0.25"])
      assert.deepStrictEqual(yield* save({ fee_type_override: null, fee_multiplier_override: null }), [null, null])
      assert.deepStrictEqual(
        (yield* changes("F")).filter(({ field }) => field === "fee_multiplier_override"),
        [
          { field: "fee_multiplier_override", before: null, after: 0.5 },
          { field: "fee_multiplier_override", before: 0.5, after: 0.25 },
          { field: "fee_multiplier_override", before: 0.25, after: null }
        ]
      )
    })
  )

  it.effect("is undone with the change itself", () =>
    Effect.gen(function* () {
      const sql = yield* Acting
      const catalog = yield* Catalog
      yield* catalog.saveMarkets([{ ticker: "R", title: "before" }], readAt)
      yield* sql
        .withTransaction(
          Effect.andThen(catalog.saveMarkets([{ ticker: "R", title: "after" }], readAt), Effect.fail("no" as const))
        )
        .pipe(Effect.ignore)
      assert.deepStrictEqual(yield* changes("R"), [])
      yield* catalog.saveMarkets([{ ticker: "R", title: "after" }], readAt)
      assert.deepStrictEqual(yield* changes("R"), [{ field: "title", before: "before", after: "after" }])
    })
  )
})
