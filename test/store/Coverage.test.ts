import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { Coverage } from "../../src/store/Coverage.ts"
import { TestDatabase } from "../support/Database.ts"

const minute = 60_000
/** 2026-08-24T12:00:00Z */
const noon = 1_787_572_800_000
const at = (minutes: number) => fromMillis(noon + minutes * minute)
const graceMillis = 10_000

const Sql = Layer.mergeAll(Coverage.layer).pipe(TestDatabase.under("rest"))

const empty = "{}"
const span = (...bounds: ReadonlyArray<readonly [from: number, to: number]>) =>
  `{${bounds.map(([from, to]) => `[${at(from)},${at(to)})`).join(",")}}`

/** [name, open part, live, asked for minutes, asked for hours, candles, over, state]; minutes of the hour. */
type Case = readonly [
  name: string,
  opened: readonly [number, number],
  live: string,
  minutes: string,
  hours: string,
  candles: number,
  isOver: boolean,
  state: string
]
const whole = [0, 60] as const
const cases: ReadonlyArray<Case> = [
  ["recorded throughout", whole, span([-30, 90]), empty, empty, 0, true, "live"],
  ["recorded throughout what it was open", [20, 40], span([20, 40]), empty, empty, 0, true, "live"],
  ["recorded throughout, with candles", whole, span([0, 60]), span([0, 60]), empty, 40, true, "live"],
  ["the hour is not over", whole, span([0, 60]), empty, empty, 0, false, "not_yet_due"],
  ["the market was not open", [60, 60], span([0, 60]), empty, empty, 0, true, "not_yet_due"],
  ["a gap", whole, span([0, 20], [40, 60]), empty, empty, 0, true, "degraded"],
  ["a gap, half of it asked for", whole, span([0, 20], [40, 60]), span([20, 30]), empty, 10, true, "degraded"],
  ["a gap, only hourly candles", whole, span([0, 20], [40, 60]), empty, span([0, 60]), 1, true, "degraded"],
  ["a gap, asked for", whole, span([0, 20], [40, 60]), span([20, 40]), empty, 3, true, "repaired"],
  ["a gap, asked for and empty", whole, span([0, 20], [40, 60]), span([15, 45]), empty, 0, true, "repaired"],
  ["two gaps, one asked for", whole, span([0, 10], [15, 30], [35, 60]), span([10, 15]), empty, 1, true, "degraded"],
  [
    "two gaps, both asked for",
    whole,
    span([0, 10], [15, 30], [35, 60]),
    span([10, 15], [30, 35]),
    empty,
    1,
    true,
    "repaired"
  ],
  ["not recorded, candles of all of it", whole, empty, span([0, 60]), empty, 5, true, "candles_only"],
  ["not recorded, hourly candle", whole, empty, empty, span([0, 60]), 1, true, "candles_only"],
  ["not recorded, candles nobody says how they came", whole, empty, empty, empty, 5, true, "candles_only"],
  ["not recorded, candles of half of it", whole, empty, span([0, 30]), empty, 5, true, "degraded"],
  ["not recorded, asked for and empty", whole, empty, span([0, 60]), empty, 0, true, "checked_empty"],
  ["not recorded, asked for in two ways", whole, empty, span([0, 30]), span([30, 60]), 0, true, "checked_empty"],
  ["not recorded, half of it asked for and empty", whole, empty, span([0, 30]), empty, 0, true, "absent"],
  ["nothing", whole, empty, empty, empty, 0, true, "absent"],
  ["recorded at other times only", [0, 30], span([30, 60]), empty, empty, 0, true, "absent"]
]

layer(Sql)("the state of an hour", (it) => {
  for (const [name, opened, live, minutes, hours, candles, isOver, state] of cases)
    it.effect(`${name}: ${state}`, () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const rows = yield* sql<{ state: string }>`
          select coverage_state(
            coverage_span(${at(opened[0])}::timestamptz, ${at(opened[1])}::timestamptz), ${live}::tstzmultirange,
            ${minutes}::tstzmultirange, ${hours}::tstzmultirange, ${candles}::int, ${isOver}::boolean) as state`
        assert.strictEqual(rows[0]!.state, state)
      })
    )
})

const slots = "{0,1,2,3,4,5,6,7,8,9,10,11}"

/** Markets A and B of one event and C of another, open from 12:00 to 15:00, recorded from 11:30 to 16:00 by one journal. */
const scene = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* sql`insert into series (ticker, title) values ('S', 'S')`
  yield* sql`insert into events (event_ticker, series_ticker) values ('E1', 'S'), ('E2', 'S')`
  yield* sql`
    insert into markets (ticker, event_ticker, status, open_time, close_time)
    select ticker, event, 'active', ${at(0)}::timestamptz, ${at(180)}::timestamptz
    from (values ('A', 'E1'), ('B', 'E1'), ('C', 'E2')) m (ticker, event)`
  yield* sql`insert into market_keys (ticker) values ('A'), ('B'), ('C')`
  yield* sql`
    insert into journal_positions (journal, shard, segment, "offset", last_received_at)
    values ('j', 'event/12', 0, 0, ${at(240)}::timestamptz)`
  yield* sql`
    insert into slot_feeds (shard, slot, journal, since)
    select 'event/12', slot, 'j', ${at(-30)}::timestamptz from generate_series(0, 11) slot`
  yield* sql`
    insert into ticks (ts, received_ms, market_id, provenance, price_dollars)
    select ${at(0)}::timestamptz, 1200, market_id, 1, 0.5 from market_keys`
})

const refresh = (nowMinutes: number) =>
  Coverage.use((coverage) =>
    coverage.refresh({ nowMillis: noon + nowMinutes * minute, dueMillis: noon + nowMinutes * minute, graceMillis })
  )
const gap = (from: number, to: number | null, market: string | null = null, feed = "all") =>
  PgClient.PgClient.use(
    (sql) => sql`
      insert into capture_gaps (feed, shard, slots, market_ticker, from_ts, to_ts, cause, journal)
      values (${feed}, 'event/12', ${market === null ? slots : null}::smallint[], ${market}, ${at(from)}::timestamptz,
        ${to === null ? null : at(to)}::timestamptz, 'disconnect', 'j')`
  )
const checked = (ticker: string, period: number, from: number, to: number) =>
  PgClient.PgClient.use(
    (sql) => sql`
      insert into candle_ranges as r (market_ticker, period_interval_minutes, checked)
      values (${ticker}, ${period}, ${span([from, to])}::tstzmultirange)
      on conflict (market_ticker, period_interval_minutes) do update set checked = r.checked + excluded.checked`
  )
const candle = (ticker: string, end: number, period = 1) =>
  PgClient.PgClient.use(
    (sql) => sql`
      insert into market_candles (market_ticker, period_interval_minutes, start_period_ts, end_period_ts, provenance)
      values (${ticker}, ${period}, ${at(end - period)}::timestamptz, ${at(end)}::timestamptz, 3)
      on conflict do nothing`
  )

const table = PgClient.PgClient.use(
  (sql) => sql<{ ticker: string; hour: number; state: string }>`
    select market_ticker as ticker, extract(epoch from hour - ${at(0)}::timestamptz)::int / 3600 as hour, state
    from coverage where state <> 'not_yet_due' order by 1, 2`
)
const states = Effect.map(table, (rows) => {
  const found: Record<string, ReadonlyArray<string>> = {}
  for (const { state, ticker } of rows) found[ticker] = [...(found[ticker] ?? []), state]
  return found
})

const test = <A, E>(body: Effect.Effect<A, E, PgClient.PgClient | Coverage | TestDatabase>) =>
  Effect.andThen(scene, body).pipe(Effect.provide(Layer.fresh(Sql)))

describe("market_coverage", () => {
  it.effect("is kept as hours end, gaps come and close, candles arrive and close times move", () =>
    test(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* refresh(59)
        assert.deepStrictEqual(yield* table, [])
        yield* refresh(60)
        assert.deepStrictEqual(yield* states, { A: ["live"], B: ["live"], C: ["live"] })
        yield* gap(70, 90)
        yield* refresh(120)
        assert.deepStrictEqual(yield* states, {
          A: ["live", "degraded"],
          B: ["live", "degraded"],
          C: ["live", "degraded"]
        })
        yield* checked("A", 1, 70, 90)
        yield* refresh(120)
        assert.deepStrictEqual((yield* states)["A"], ["live", "repaired"])
        assert.deepStrictEqual((yield* states)["B"], ["live", "degraded"])
        yield* gap(110, null)
        yield* refresh(180)
        assert.deepStrictEqual(yield* states, {
          A: ["live", "degraded", "absent"],
          B: ["live", "degraded", "absent"],
          C: ["live", "degraded", "absent"]
        })
        yield* sql`update capture_gaps set to_ts = ${at(115)}::timestamptz where to_ts is null`
        yield* refresh(180)
        assert.deepStrictEqual((yield* states)["C"], ["live", "degraded", "live"])
        yield* sql`delete from capture_gaps where to_ts = ${at(115)}::timestamptz`
        yield* sql`update markets set close_time = ${at(100)}::timestamptz where ticker = 'B'`
        yield* refresh(180)
        assert.deepStrictEqual(yield* states, {
          A: ["live", "repaired", "live"],
          B: ["live", "degraded"],
          C: ["live", "degraded", "live"]
        })
        yield* sql`update markets set close_time = ${at(240)}::timestamptz where ticker = 'B'`
        yield* refresh(240)
        assert.deepStrictEqual((yield* states)["B"], ["live", "degraded", "live", "live"])
        assert.strictEqual(yield* refresh(240), 0)
      })
    )
  )

  it.effect(
    "takes a market-hour for recorded only as far as its feed is stored, and from when it first spoke of the market",
    () =>
      test(
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          yield* sql`update journal_positions set last_received_at = ${at(90)}::timestamptz`
          yield* sql`update ticks set received_ms = 25 * 60000 where market_id = (select market_id from market_keys where ticker = 'B')`
          yield* sql`delete from ticks where market_id = (select market_id from market_keys where ticker = 'C')`
          yield* refresh(120)
          assert.deepStrictEqual(yield* states, {
            A: ["live", "degraded"],
            B: ["degraded", "degraded"],
            C: ["absent", "absent"]
          })
          yield* sql`update journal_positions set last_received_at = ${at(130)}::timestamptz`
          yield* refresh(120)
          assert.deepStrictEqual(yield* states, {
            A: ["live", "live"],
            B: ["degraded", "live"],
            C: ["absent", "absent"]
          })
          yield* checked("C", 60, 0, 180)
          yield* candle("C", 60, 60)
          yield* refresh(120)
          assert.deepStrictEqual((yield* states)["C"], ["candles_only", "checked_empty"])
        })
      )
  )

  it.effect("does not forget that a market was recorded when its ticks move elsewhere", () =>
    test(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* refresh(60)
        yield* sql`delete from ticks`
        yield* gap(70, 71, "A", "ticker")
        yield* gap(70, 71, "B", "trade")
        yield* refresh(120)
        assert.deepStrictEqual(yield* states, {
          A: ["live", "degraded"],
          B: ["live", "live"],
          C: ["live", "live"]
        })
      })
    )
  )

  it.effect("counts a market as recorded when any division of the markets carries it", () =>
    test(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* gap(30, null)
        yield* sql`
          insert into journal_positions (journal, shard, segment, "offset", last_received_at)
          values ('k', 'market/2', 0, 0, ${at(240)}::timestamptz)`
        yield* sql`
          insert into slot_feeds (shard, slot, journal, since)
          values ('market/2', 0, 'k', ${at(30)}::timestamptz), ('market/2', 1, 'k', ${at(45)}::timestamptz)`
        yield* refresh(120)
        const slot = (ticker: string) =>
          Effect.map(sql<{ slot: number }>`select market_slot(${ticker}, 2) as slot`, (rows) => rows[0]!.slot)
        for (const ticker of ["A", "B", "C"])
          assert.deepStrictEqual((yield* states)[ticker], [(yield* slot(ticker)) === 0 ? "live" : "degraded", "live"])
      })
    )
  )

  it.effect("is summed up by day and series; hours that are not due have a name too", () =>
    test(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* gap(70, 90, "A", "ticker")
        yield* checked("B", 1, 0, 60)
        yield* refresh(120)
        assert.deepStrictEqual(
          yield* sql`
            select day::text, series_ticker, markets::int, hours::int, live::int, repaired::int, candles_only::int,
              checked_empty::int, degraded::int, absent::int, not_yet_due::int, share_covered
            from coverage_by_day`,
          [
            {
              day: "2026-08-24",
              series_ticker: "S",
              markets: 3,
              hours: 6,
              live: 5,
              repaired: 0,
              candles_only: 0,
              checked_empty: 0,
              degraded: 1,
              absent: 0,
              not_yet_due: 3,
              share_covered: "0.8333"
            }
          ]
        )
        assert.deepStrictEqual(
          yield* sql`select open_seconds::float8 as open, live_seconds::float8 as live, missing_live_seconds::float8 as missing
            from coverage where market_ticker = 'A' and state = 'degraded'`,
          [{ open: 3600, live: 2400, missing: 1200 }]
        )
      })
    )
  )
})

/** A fact that changes the coverage; minutes from 12:00. */
const Fact = Schema.Union([
  Schema.Struct({
    kind: Schema.Literal("gap"),
    from: Schema.Int.check(Schema.isBetween({ minimum: -20, maximum: 170 })),
    length: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 80 })),
    market: Schema.NullOr(Schema.Literals(["A", "B", "C"]))
  }),
  Schema.Struct({
    kind: Schema.Literal("checked"),
    ticker: Schema.Literals(["A", "B", "C"]),
    period: Schema.Literals([1, 60]),
    from: Schema.Int.check(Schema.isBetween({ minimum: -20, maximum: 170 })),
    length: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 120 }))
  }),
  Schema.Struct({
    kind: Schema.Literal("candle"),
    ticker: Schema.Literals(["A", "B", "C"]),
    end: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 200 }))
  }),
  Schema.Struct({
    kind: Schema.Literal("stored"),
    until: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 240 }))
  }),
  Schema.Struct({
    kind: Schema.Literal("closes"),
    ticker: Schema.Literals(["A", "B", "C"]),
    close: Schema.Int.check(Schema.isBetween({ minimum: 30, maximum: 230 }))
  })
])
type Fact = typeof Fact.Type

const happen = (fact: Fact): Effect.Effect<unknown, unknown, PgClient.PgClient> => {
  if (fact.kind === "gap")
    return gap(fact.from, fact.from + fact.length, fact.market, fact.market === null ? "all" : "ticker")
  if (fact.kind === "checked") return checked(fact.ticker, fact.period, fact.from, fact.from + fact.length)
  if (fact.kind === "candle") return candle(fact.ticker, fact.end)
  return PgClient.PgClient.use((sql) =>
    fact.kind === "stored"
      ? sql`update journal_positions set last_received_at = greatest(last_received_at, ${at(fact.until)}::timestamptz)`
      : sql`update markets set close_time = greatest(close_time, ${at(fact.close)}::timestamptz) where ticker = ${fact.ticker}`
  )
}

const rows = PgClient.PgClient.use(
  (sql) => sql`
    select k.ticker, c.hour, c.state, c.open_ms, c.live_ms, c.healed_ms, c.candles
    from market_coverage c join market_keys k using (market_id) order by 1, 2`
)
const computedAtOnce = PgClient.PgClient.use(
  (sql) => sql`
    select ticker, hour, state, open_ms, live_ms, healed_ms, candles
    from coverage_hours(
      '{A,B,C}', array_fill(${at(-60)}::timestamptz, array[3]), array_fill(${at(300)}::timestamptz, array[3]),
      ${at(300)}::timestamptz, interval '10 seconds')
    order by 1, 2`
)

layer(Sql)("keeping the table", (it) => {
  it.effect.prop(
    "gives what computing it at once gives, in whatever order things happen and however often it is kept up",
    {
      facts: Schema.Array(Fact).check(Schema.isMaxLength(12)),
      keptAfter: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))).check(
        Schema.isMaxLength(6)
      ),
      shift: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 11 }))
    },
    ({ facts, keptAfter, shift }) =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const again = Effect.gen(function* () {
          yield* sql`truncate series, events, markets, market_keys, journal_positions, slot_feeds, capture_starts, capture_gaps,
            gap_repairs, candle_ranges, market_candles, ticks, coverage_stale, coverage_progress, coverage_frontiers,
            coverage_heard, market_coverage restart identity`
          yield* scene
          yield* sql`update journal_positions set last_received_at = ${at(0)}::timestamptz`
        })
        const play = Effect.fnUntraced(function* (order: ReadonlyArray<Fact>) {
          yield* again
          let now = 0
          for (const [index, fact] of order.entries()) {
            yield* happen(fact)
            now = Math.max(now, index * 25)
            for (const _ of keptAfter.filter((place) => place === index)) yield* refresh(now)
          }
          yield* refresh(300)
          const kept = yield* rows
          assert.deepStrictEqual(kept, yield* computedAtOnce)
          yield* sql`insert into coverage_stale (from_ts, to_ts) values ('-infinity', 'infinity')`
          yield* refresh(300)
          assert.deepStrictEqual(yield* rows, kept)
          return kept
        })
        const turned = [...facts.slice(shift), ...facts.slice(0, shift)]
        assert.deepStrictEqual(yield* play(turned), yield* play(facts))
      }),
    { arbitrary: { runs: 12 } }
  )
})
