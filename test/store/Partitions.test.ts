import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { dayTables, Partitions } from "../../src/store/Partitions.ts"
import { Acting, TestDatabase } from "../support/Database.ts"

const millis = (text: string) => DateTime.toEpochMillis(DateTime.makeUnsafe(text))

layer(Partitions.layer.pipe(TestDatabase.under("rest")))("Partitions", (it) => {
  const storeTick = (ts: string) =>
    PgClient.PgClient.use(
      (sql) =>
        sql<{ readonly partition: string }>`
        insert into ticks (ts, received_ms, market_id) values (${ts}, 0, 1) returning tableoid::regclass::text as partition`
    ).pipe(Effect.map((rows) => rows[0]?.partition))

  it.effect("makes five days of each table and four months of candles ahead, once", () =>
    Effect.gen(function* () {
      const partitions = yield* Partitions
      const sql = yield* PgClient.PgClient
      const now = millis("2031-01-31T23:59:59.999Z")
      assert.strictEqual(yield* partitions.ahead(now), 4 + 5 * dayTables.length)
      assert.strictEqual(yield* partitions.ahead(now), 0)
      const made = yield* sql<{ readonly name: string }>`
        select c.relname as name from pg_class c join pg_inherits i on i.inhrelid = c.oid
        where c.relkind = 'r' and c.relname ~ '_(2030|2031)' order by name`
      assert.deepStrictEqual(
        made.map((row) => row.name),
        [
          ...["203012", "203101", "203102", "203103"].map((month) => `market_candles_${month}`),
          ...dayTables.flatMap((table) =>
            ["20310130", "20310131", "20310201", "20310202", "20310203"].map((day) => `${table}_${day}`)
          )
        ].sort()
      )
    })
  )

  it.effect("cuts days at midnight UTC", () =>
    Effect.gen(function* () {
      const partitions = yield* Partitions
      yield* partitions.ensureDays("ticks", [Partitions.dayOf(millis("2032-03-01T00:00:00Z"))])
      assert.strictEqual(yield* storeTick("2032-03-01T00:00:00Z"), "ticks_20320301")
      assert.strictEqual(yield* storeTick("2032-03-01T23:59:59.999999Z"), "ticks_20320301")
      assert.strictEqual(yield* storeTick("2032-03-02T00:00:00Z"), "ticks_default")
      yield* partitions.ensureDays("ticks", [Partitions.dayOf(millis("2032-03-02T00:00:00Z"))])
    })
  )

  it.effect("moves rows out of the default partition when their day is made", () =>
    Effect.gen(function* () {
      const partitions = yield* Partitions
      const sql = yield* PgClient.PgClient
      assert.strictEqual(yield* storeTick("2033-06-01T10:00:00Z"), "ticks_default")
      assert.deepStrictEqual(yield* partitions.defaultRows, {
        ticks: 1,
        tick_frames: 0,
        trades: 0,
        book_events: 0,
        book_snapshots: 0,
        market_candles: 0
      })
      assert.strictEqual(yield* partitions.ensureDays("ticks", [Partitions.dayOf(millis("2033-06-01T10:00:00Z"))]), 1)
      assert.deepStrictEqual(yield* partitions.defaultRows, {
        ticks: 0,
        tick_frames: 0,
        trades: 0,
        book_events: 0,
        book_snapshots: 0,
        market_candles: 0
      })
      assert.deepStrictEqual(yield* sql`select count(*)::int as n from ticks_20330601`, [{ n: 1 }])
    })
  )

  it.effect("keeps candles unique within a month that was made from the default partition", () =>
    Effect.gen(function* () {
      const partitions = yield* Partitions
      const sql = yield* PgClient.PgClient
      const insert = sql`
        insert into market_candles (market_ticker, period_interval_minutes, end_period_ts, start_period_ts)
        values ('M', 60, '2033-06-01T10:00:00Z', '2033-06-01T09:00:00Z')`
      yield* insert
      yield* partitions.ensureCandleMonths([Partitions.monthOf(millis("2033-06-15T00:00:00Z"))])
      const refused = yield* Effect.flip(insert)
      assert.strictEqual(refused.reason._tag, "UniqueViolation")
      assert.deepStrictEqual(yield* partitions.defaultRows, {
        ticks: 0,
        tick_frames: 0,
        trades: 0,
        book_events: 0,
        book_snapshots: 0,
        market_candles: 0
      })
    })
  )

  it.effect("keeps trades unique within a day that was made from the default partition", () =>
    Effect.gen(function* () {
      const partitions = yield* Partitions
      const sql = yield* PgClient.PgClient
      const insert = sql`
        insert into trades (ts, trade_id, market_id, count, yes_price_dollars, is_block_trade)
        values ('2033-06-02T10:00:00Z', '00000000-0000-4000-8000-000000000001', 1, 1, 0.5, false)`
      yield* insert
      assert.strictEqual((yield* partitions.defaultRows).trades, 1)
      yield* partitions.ensureDays("trades", [Partitions.dayOf(millis("2033-06-02T00:00:00Z"))])
      assert.strictEqual((yield* Effect.flip(insert)).reason._tag, "UniqueViolation")
      assert.strictEqual((yield* partitions.defaultRows).trades, 0)
    })
  )

  it.effect("several processes at once make one partition", () =>
    Effect.gen(function* () {
      const day = Partitions.dayOf(millis("2034-01-01T00:00:00Z"))
      const ensure = Partitions.use((partitions) => partitions.ensureDays("ticks", [day])).pipe(
        Effect.provide(Layer.fresh(Partitions.layer))
      )
      const made = yield* Effect.all([ensure, ensure, ensure, ensure], { concurrency: "unbounded" })
      assert.strictEqual(
        made.reduce((sum, count) => sum + count, 0),
        1
      )
    })
  )

  it.effect("forgets what a rolled-back transaction made", () =>
    Effect.gen(function* () {
      const partitions = yield* Partitions
      const sql = yield* Acting
      const days = [Partitions.dayOf(millis("2035-01-01T00:00:00Z"))]
      yield* partitions
        .ensureDays("ticks", days)
        .pipe(Effect.andThen(Effect.fail("no")), sql.withTransaction, Effect.ignore)
      assert.strictEqual(yield* partitions.ensureDays("ticks", days), 1)
      assert.strictEqual(yield* partitions.ensureDays("ticks", days), 0)
    })
  )
})
