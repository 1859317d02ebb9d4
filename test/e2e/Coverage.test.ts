import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"

const day = Date.parse("2026-11-21T00:00:00Z")
const hour = 3_600_000

/**
 * Of the series KXBTCD: an event from 0 to 2 recorded throughout, one from 3 to 4 with a gap that is healed, one from 5 to 7 of two
 * markets, one of them with a gap. Of KXETHD: an event of which nothing is known. It is 8 o'clock.
 */
const Recorded = Layer.effectDiscard(
  PgClient.PgClient.use((sql) =>
    Effect.gen(function* () {
      yield* sql`insert into series (ticker) values ('KXBTCD'), ('KXETHD')`
      yield* sql`
        insert into events (event_ticker, series_ticker)
        values ('KXBTCD-1', 'KXBTCD'), ('KXBTCD-2', 'KXBTCD'), ('KXBTCD-3', 'KXBTCD'), ('KXETHD-1', 'KXETHD')`
      yield* sql`
        insert into markets (ticker, event_ticker, status, open_time, close_time)
        select ticker, event, 'active', timestamptz '2026-11-21 00:00Z' + opens * interval '1 hour',
          timestamptz '2026-11-21 00:00Z' + closes * interval '1 hour'
        from (values ('KXBTCD-1-T1', 'KXBTCD-1', 0, 2), ('KXBTCD-2-T1', 'KXBTCD-2', 3, 4), ('KXBTCD-3-T1', 'KXBTCD-3', 5, 7),
          ('KXBTCD-3-T2', 'KXBTCD-3', 5, 9), ('KXETHD-1-T1', 'KXETHD-1', 1, 3)) m (ticker, event, opens, closes)`
      yield* sql`insert into market_keys (ticker) select ticker from markets where ticker like 'KXBTCD%'`
      yield* sql`
        insert into ticks (ts, received_ms, market_id, provenance)
        select m.open_time, 500, k.market_id, 1 from markets m join market_keys k using (ticker)`
      yield* sql`
        insert into journal_positions (journal, shard, segment, "offset", last_received_at)
        values ('j', 'event/12', 0, 0, '2026-11-21 08:00Z')`
      yield* sql`
        insert into slot_feeds (shard, slot, journal, since)
        select 'event/12', slot, 'j', timestamptz '2026-11-20 00:00Z' from generate_series(0, 11) slot`
      yield* sql`
        insert into capture_gaps (feed, shard, market_ticker, from_ts, to_ts, cause, journal)
        values ('ticker', 'event/12', 'KXBTCD-2-T1', '2026-11-21 03:10Z', '2026-11-21 03:30Z', 'left_out', 'j'),
          ('ticker', 'event/12', 'KXBTCD-3-T2', '2026-11-21 06:10Z', '2026-11-21 06:30Z', 'left_out', 'j')`
      yield* sql`
        insert into candle_ranges (market_ticker, period_interval_minutes, checked)
        values ('KXBTCD-2-T1', 1, '{["2026-11-21 03:00Z","2026-11-21 04:00Z")}')`
    })
  )
).pipe(Layer.provideMerge(TestDatabase.layer))

layer(Recorded)("npm run coverage", (it) => {
  const run = (...args: ReadonlyArray<string>) =>
    Effect.flatMap(TestDatabase.environment, (env) =>
      Programs.run("coverage", { ...env, EXCHANGE_CLOCK: `0:${day + 8 * hour}:0.0000000001` }, args)
    )

  it.effect("prints a grid of hours and ends with 2 where holes remain", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run("--series", "KXBTCD", "--day", "2026-11-21")
      assert.strictEqual(
        stdout,
        [
          "coverage of KXBTCD on 2026-11-21 (hours in UTC), by events",
          "          0         1         2",
          "          012345678901234567890123",
          "KXBTCD-1  ##",
          "KXBTCD-2     +",
          "KXBTCD-3       #!#.",
          "",
          "# live   + repaired   c candles only   o checked, empty   . not yet due   ! degraded   X absent   (blank: not open)",
          "market-hours: 6 live, 1 repaired, 1 not yet due, 1 degraded; covered 87.5 %",
          ""
        ].join("\n")
      )
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 2)
    })
  )

  it.effect("ends with 0 where all that is due is covered, by lines of the asker's choice", () =>
    Effect.gen(function* () {
      const one = yield* run("--event", "kxbtcd-1", "--day", "2026-11-21")
      assert.include(one.stdout, "KXBTCD-1-T1  ##\n")
      assert.include(one.stdout, "covered 100.0 %")
      assert.strictEqual(one.code, 0)
      const market = yield* run("--market=KXBTCD-3-T1", "--day=2026-11-21")
      assert.include(market.stdout, "KXBTCD-3-T1       ##\n")
      assert.strictEqual(market.code, 0)
      const today = yield* run("--series", "KXBTCD", "--by", "markets")
      assert.include(today.stdout, "KXBTCD-3-T2       #!#.\n")
      assert.strictEqual(today.code, 2)
      const nothing = yield* run("--series", "KXETHD", "--day", "2026-11-22")
      assert.include(nothing.stdout, "no market is known that was open then")
      assert.strictEqual(nothing.code, 0)
    })
  )

  it.effect("gives the same as one JSON object", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* run("--day", "2026-11-21", "--json")
      const lines = stdout.trimEnd().split("\n")
      assert.strictEqual(lines.length, 1)
      const { holes, rows, ...rest } = JSON.parse(lines[0]!)
      assert.deepStrictEqual(rest, {
        day: "2026-11-21",
        by: "series",
        states: { live: 6, repaired: 1, candles_only: 0, checked_empty: 0, not_yet_due: 1, degraded: 1, absent: 2 },
        due: 10,
        covered: 7,
        shareCovered: 0.7
      })
      assert.deepStrictEqual(
        rows.map(({ markets, name }: { markets: number; name: string }) => [name, markets]),
        [
          ["KXBTCD", 4],
          ["KXETHD", 1]
        ]
      )
      assert.deepStrictEqual(
        holes.map((hole: { market: string; hour: string; state: string; liveSeconds: number }) => [
          hole.market,
          hole.hour.slice(11, 13),
          hole.state,
          hole.liveSeconds
        ]),
        [
          ["KXBTCD-3-T2", "06", "degraded", 2400],
          ["KXETHD-1-T1", "01", "absent", 0],
          ["KXETHD-1-T1", "02", "absent", 0]
        ]
      )
      assert.strictEqual(code, 2)
    })
  )

  const mistakes: ReadonlyArray<readonly [name: string, args: ReadonlyArray<string>, told: RegExp]> = [
    [
      "a day that does not exist",
      ["--day", "2026-02-30"],
      /^--day: "2026-02-30" is not a day; write it like --day 2026-11-21$/
    ],
    ["a day in another form", ["--day", "21.11.2026"], /^--day: /],
    [
      "an unknown series",
      ["--series", "KXNOPE"],
      /^--series: the catalog knows no series "KXNOPE"; write a ticker like KXBTCD$/
    ],
    ["an unknown event", ["--event", "KXNOPE-1"], /^--event: .*"KXNOPE-1"; write the full ticker of an event$/],
    ["an unknown market", ["--market", ""], /^--market: it is empty; write the full ticker of a market$/],
    ["a flag that does not exist", ["--serie", "KXBTCD"], /^coverage: .*--serie.*\(--help lists the flags\)$/],
    ["lines that do not exist", ["--by", "weeks"], /^coverage: .*by.*weeks.*\(--help lists the flags\)$/]
  ]
  for (const [name, args, told] of mistakes)
    it.effect(`${name} is one line and code 1`, () =>
      Effect.gen(function* () {
        const { code, stderr, stdout } = yield* run(...args)
        assert.match(stderr.trimEnd(), told)
        assert.strictEqual(stdout, "")
        assert.strictEqual(code, 1)
      })
    )

  it.effect("a database that is not set or not there is one line and code 1", () =>
    Effect.gen(function* () {
      const unset = yield* Programs.run("coverage", {}, ["--series", "KXBTCD"])
      assert.match(unset.stderr, /^DATABASE_URL: is not set; .*\n$/)
      assert.strictEqual(unset.code, 1)
      const refused = yield* Programs.run("coverage", { DATABASE_URL: "postgres://a:b@127.0.0.1:9/x" }, [
        "--series",
        "S"
      ])
      assert.match(refused.stderr, /^DATABASE_URL: .*\n$/)
      assert.notInclude(refused.stderr, "a:b")
      assert.strictEqual(refused.code, 1)
    })
  )
})
