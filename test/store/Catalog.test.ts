import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Decimal } from "../../src/market/Decimal.ts"
import type { Market } from "../../src/market/Market.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { TestDatabase } from "../support/Database.ts"

const at = (n: number) => fromMillis(1_787_586_600_000 + n * 1_000)
const decimal = (text: string) => text as Decimal
const optional = <const A extends string>(words: ReadonlyArray<A>) => Schema.optionalKey(Schema.Literals(words))
const prices = ["0.0000", "0.4700", "1.0000"]

const statuses = [
  "initialized",
  "active",
  "inactive",
  "closed",
  "determined",
  "disputed",
  "amended",
  "finalized"
] as const

const Payload = Schema.Struct({
  ticker: Schema.Literals(["A", "B"]),
  readAt: Schema.Literals([0, 1, 2, 3]),
  title: optional(["old", "new", "0"]),
  result: optional(["yes", "no"]),
  status: optional(statuses),
  floorStrike: optional(["80749.99", "0", "0.5", "73.9999"]),
  canCloseEarly: Schema.optionalKey(Schema.Boolean),
  timer: Schema.optionalKey(Schema.Literals([0, 60])),
  custom: Schema.optionalKey(Schema.Literals([0, 7])),
  close: Schema.optionalKey(Schema.Literals([0, 1, 2])),
  price: optional(prices),
  volume: optional(["0.00", "12.50"]),
  quoted: Schema.Boolean
})
type Payload = typeof Payload.Type

const toMarket = (payload: Payload): Market => ({
  ticker: payload.ticker,
  ...(payload.title === undefined ? {} : { title: payload.title }),
  ...(payload.result === undefined ? {} : { result: payload.result }),
  ...(payload.status === undefined ? {} : { status: payload.status }),
  ...(payload.floorStrike === undefined ? {} : { floorStrike: decimal(payload.floorStrike) }),
  ...(payload.canCloseEarly === undefined ? {} : { canCloseEarly: payload.canCloseEarly }),
  ...(payload.timer === undefined ? {} : { settlementTimerSeconds: payload.timer }),
  ...(payload.custom === undefined ? {} : { customStrike: { index: payload.custom } }),
  ...(payload.close === undefined ? {} : { closeTime: at(payload.close) }),
  ...(payload.quoted
    ? {
        quote: {
          ...(payload.price === undefined ? {} : { price: decimal(payload.price) }),
          ...(payload.volume === undefined ? {} : { volume: decimal(payload.volume) })
        }
      }
    : {})
})

const nextStatus = (current: string | undefined, incoming: string | undefined) => {
  if (current === undefined || incoming === undefined) return incoming ?? current
  if (current === "finalized" || current === "settled") return current
  const decided = ["determined", "disputed", "amended"]
  if (decided.includes(current) && ["initialized", "active", "inactive", "closed"].includes(incoming)) return current
  return incoming === "initialized" && ["active", "inactive", "closed"].includes(current) ? current : incoming
}

interface Expected {
  title?: string | undefined
  result?: string | undefined
  status?: string | undefined
  floor?: string | undefined
  early?: boolean | undefined
  timer?: number | undefined
  custom?: number | undefined
  close?: string | undefined
  price?: string | undefined
  volume?: string | undefined
  quoteAt?: number | undefined
}

const fold = (known: Expected, payload: Payload): Expected => {
  const newer = payload.quoted && payload.readAt >= (known.quoteAt ?? -1)
  return {
    title: payload.title ?? known.title,
    result: payload.result ?? known.result,
    status: nextStatus(known.status, payload.status),
    floor: payload.floorStrike ?? known.floor,
    early: payload.canCloseEarly ?? known.early,
    timer: payload.timer ?? known.timer,
    custom: payload.custom ?? known.custom,
    close: payload.close === undefined ? known.close : at(payload.close),
    price: newer ? (payload.price ?? known.price) : known.price,
    volume: newer ? (payload.volume ?? known.volume) : known.volume,
    quoteAt: newer ? payload.readAt : known.quoteAt
  }
}

const orNull = (expected: Expected) => ({
  title: expected.title ?? null,
  result: expected.result ?? null,
  status: expected.status ?? null,
  floor: expected.floor ?? null,
  early: expected.early ?? null,
  timer: expected.timer ?? null,
  custom: expected.custom ?? null,
  close: expected.close ?? null,
  price: expected.price ?? null,
  volume: expected.volume ?? null
})

layer(Catalog.layer.pipe(TestDatabase.under("worker")))("Catalog", (it) => {
  const market = (ticker: string) =>
    PgClient.PgClient.use(
      (sql) => sql`
        select title, result, status, floor_strike::text as floor, can_close_early as early,
          settlement_timer_seconds as timer, (custom_strike ->> 'index')::int as custom,
          to_char(close_time, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as close,
          rest_price_dollars::text as price, rest_volume::text as volume
        from markets where ticker = ${ticker}`
    ).pipe(Effect.map((rows) => rows[0]))
  const version = (table: "markets" | "events" | "series") =>
    PgClient.PgClient.use((sql) => sql`select xmin::text, ctid::text from ${sql(table)} order by ctid`)

  it.effect.prop(
    "holds the last value that was there, field by field, whatever came in between and however it was batched",
    [Schema.Array(Schema.Struct({ payload: Payload, together: Schema.Boolean }))],
    ([steps]) =>
      Effect.gen(function* () {
        const catalog = yield* Catalog
        const sql = yield* PgClient.PgClient
        yield* sql`delete from markets`
        const expected = new Map<string, Expected>()
        const batches: Array<Array<Payload>> = []
        for (const { payload, together } of steps) {
          const last = batches.at(-1)
          if (together && last?.[0]?.readAt === payload.readAt) last.push(payload)
          else batches.push([payload])
        }
        for (const batch of batches) {
          const changed = yield* catalog.saveMarkets(batch.map(toMarket), at(batch[0]!.readAt))
          const before = new Map(expected)
          for (const payload of batch) expected.set(payload.ticker, fold(expected.get(payload.ticker) ?? {}, payload))
          const differs = [...expected].some(
            ([ticker, row]) => JSON.stringify(row) !== JSON.stringify(before.get(ticker))
          )
          if (differs) assert.isAbove(changed, 0)
          else assert.strictEqual(changed, 0)
        }
        for (const [ticker, row] of expected) assert.deepStrictEqual(yield* market(ticker), orNull(row))
      }),
    { arbitrary: { runs: 60 }, timeout: 30_000 }
  )

  it.effect("statuses move forward only", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      for (const current of [undefined, ...statuses, "settled"])
        for (const incoming of [undefined, ...statuses, "settled", "a_new_word"]) {
          const rows = yield* sql<{ status: string | null }>`
            select next_status(${current ?? null}::text, ${incoming ?? null}::text) as status`
          assert.strictEqual(rows[0]?.status ?? undefined, nextStatus(current, incoming), `${current} then ${incoming}`)
        }
    })
  )

  it.effect("a save that changes nothing writes nothing", () =>
    Effect.gen(function* () {
      const catalog = yield* Catalog
      const quoted: Market = {
        ticker: "SAME",
        title: "t",
        floorStrike: decimal("73.9999"),
        quote: { price: decimal("0") }
      }
      const event = { event: { eventTicker: "E", title: "t", strikeDate: at(1) }, strikePeriod: "hour" }
      const series = { ticker: "S", title: "t", frequency: "hourly", tags: ["a", "b"], feeMultiplier: decimal("0.07") }
      assert.strictEqual(yield* catalog.saveMarkets([quoted], at(1)), 1)
      assert.strictEqual(yield* catalog.saveEvents([event]), 1)
      assert.strictEqual(yield* catalog.saveSeries([series]), 1)
      const before = [yield* version("markets"), yield* version("events"), yield* version("series")]
      assert.strictEqual(yield* catalog.saveMarkets([quoted, { ticker: "SAME" }], at(1)), 0)
      assert.strictEqual(yield* catalog.saveMarkets([{ ...quoted, quote: { price: decimal("0.9") } }], at(0)), 0)
      assert.strictEqual(
        yield* catalog.saveEvents([event, { event: { eventTicker: "E" }, strikePeriod: undefined }]),
        0
      )
      assert.strictEqual(yield* catalog.saveSeries([series, { ticker: "S" }]), 0)
      assert.strictEqual(yield* catalog.saveMarkets([], at(9)), 0)
      assert.deepStrictEqual([yield* version("markets"), yield* version("events"), yield* version("series")], before)
    })
  )

  it.effect("numbers survive to the last digit, and zero is a number", () =>
    Effect.gen(function* () {
      const catalog = yield* Catalog
      const sql = yield* PgClient.PgClient
      const strikes = ["80749.99", "0.5", "73.9999", "0", "99999999999999999999.123456789012", "-0.1"]
      yield* catalog.saveMarkets(
        strikes.map((text, index) => ({
          ticker: `X${index}`,
          floorStrike: decimal(text),
          settlementValue: decimal("0.0000"),
          quote: { volume: decimal("0.00"), openInterest: decimal("0"), yesBid: decimal("0.0000") }
        })),
        at(1)
      )
      const rows = yield* sql`
        select floor_strike::text as floor, settlement_value_dollars::text as value, rest_volume::text as volume,
          rest_open_interest::text as oi, rest_yes_bid_dollars::text as bid
        from markets where ticker like 'X_' order by ticker`
      assert.deepStrictEqual(
        rows,
        strikes.map((floor) => ({ floor, value: "0.0000", volume: "0.00", oi: "0", bid: "0.0000" }))
      )
    })
  )

  it.effect("an event keeps its period and its words when a later payload lacks them", () =>
    Effect.gen(function* () {
      const catalog = yield* Catalog
      const sql = yield* PgClient.PgClient
      yield* catalog.saveEvents([
        { event: { eventTicker: "EV", title: "t", mutuallyExclusive: false, seriesTicker: "S" }, strikePeriod: "hour" },
        { event: { eventTicker: "EV", subTitle: "s" }, strikePeriod: undefined }
      ])
      yield* catalog.saveEvents([{ event: { eventTicker: "EV", title: "u" }, strikePeriod: undefined }])
      assert.deepStrictEqual(
        yield* sql`select title, sub_title, mutually_exclusive, series_ticker, strike_period from events where event_ticker = 'EV'`,
        [{ title: "u", sub_title: "s", mutually_exclusive: false, series_ticker: "S", strike_period: "hour" }]
      )
      assert.deepStrictEqual([...(yield* catalog.strikePeriods(["EV", "none"]))], [["EV", "hour"]])
      assert.deepStrictEqual([...(yield* catalog.knownMarkets(["X0", "none"]))], ["X0"])
    })
  )
})
