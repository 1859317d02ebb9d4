import { assert, layer } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { cardsAreUpToDate, Portal, storeTick } from "./PortalFixture.ts"

interface Page {
  readonly events: ReadonlyArray<{ readonly eventTicker: string; readonly [field: string]: unknown }>
  readonly next: string | null
}

/** 40 hourly and daily events that trade, 3 ahead and 90 gone by, in three categories; two outcomes each. */
const seed = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`insert into series (ticker, title, category, fee_type, fee_multiplier) values
    ('KXA', 'A', 'Crypto', 'quadratic', 1), ('KXB', 'B', 'Climate', 'quadratic', 1)`
  yield* sql`
    insert into events (event_ticker, series_ticker, title, category, strike_period, mutually_exclusive)
    select 'KX' || k || i, case when i % 2 = 0 then 'KXA' else 'KXB' end, (array['Bitcoin', 'Rain', 'Oil'])[i % 3 + 1] || ' ' || i,
      (array['Crypto', 'Climate', null])[i % 3 + 1], case when i % 2 = 0 then 'hour' else 'day' end, true
    from (values ('ACT', 40), ('AHEAD', 3), ('GONE', 90)) kinds (k, n), generate_series(1, n) i`
  yield* sql`
    insert into markets (ticker, event_ticker, title, yes_sub_title, status, open_time, close_time, result, completion)
    select e.event_ticker || '-' || o, e.event_ticker, e.title, 'outcome ' || o,
      case when e.event_ticker like 'KXACT%' then case when n.i = 7 then 'inactive' else 'active' end
        when e.event_ticker like 'KXAHEAD%' then 'initialized' when n.i % 10 = 0 then 'closed' else 'finalized' end,
      now() - interval '1 day',
      case when e.event_ticker like 'KXGONE%' then now() - (n.i / 3) * interval '10 minutes' else now() + (n.i / 3) * interval '10 minutes' end,
      case when e.event_ticker like 'KXGONE%' and n.i % 10 > 0 then case when o = 1 then 'yes' else 'no' end end,
      case when e.event_ticker like 'KXGONE%' and n.i % 10 > 0 and n.i % 4 > 0 then 'settled' end
    from events e cross join lateral (select substring(e.event_ticker from '\\d+$')::int as i) n, generate_series(1, 2) o`
  yield* sql`insert into active_markets (ticker, event_ticker, status, open_time, close_time)
    select ticker, event_ticker, status, open_time, close_time from markets where status in ('active', 'inactive')`
  yield* cardsAreUpToDate
})

layer(Portal.layerWith({ WEB_PORTAL_LIMIT: "15" }), { timeout: "60 seconds", excludeTestServices: true })(
  "events",
  (it) => {
    const read = Effect.fnUntraced(function* (path: string) {
      const portal = yield* Portal
      const answer = yield* portal.ask(path, { headers: yield* signedIn })
      assert.strictEqual(answer.status, 200, `${path}: ${answer.body}`)
      return JSON.parse(answer.body)
    })
    let cookie: { readonly cookie: string } | undefined
    const signedIn = Effect.gen(function* () {
      const portal = yield* Portal
      if (cookie === undefined) {
        yield* seed
        cookie = yield* portal.signIn
      }
      return cookie
    })
    const readAll = Effect.fnUntraced(function* (query: string) {
      const found: Array<Page["events"][number]> = []
      let next: string | null = ""
      while (next !== null) {
        const page: Page = yield* read(`/api/events?${query}${next === "" ? "" : `&after=${next}`}`)
        found.push(...page.events)
        next = page.next
      }
      return found
    })

    it.effect("come in pages that leave out nothing and repeat nothing, in every order and both ways", () =>
      Effect.gen(function* () {
        for (const [section, count] of [
          ["active", 40],
          ["scheduled", 3],
          ["closed", 90]
        ] as const)
          for (const sort of ["close_time", "open_time", "title", "category", "strike_period", "market_count"]) {
            const up = (yield* readAll(`section=${section}&sort=${sort}&order=asc`)).map(
              ({ eventTicker }) => eventTicker
            )
            const down = (yield* readAll(`section=${section}&sort=${sort}&order=desc`)).map(
              ({ eventTicker }) => eventTicker
            )
            assert.strictEqual(new Set(up).size, count, `${section} ${sort}`)
            assert.deepStrictEqual(up.toReversed(), down)
          }
      })
    )

    it.effect("are filtered by category, strike period, status, close window and words", () =>
      Effect.gen(function* () {
        const count = (query: string) => Effect.map(readAll(query), ({ length }) => length)
        assert.strictEqual(yield* count("section=closed&category=Crypto"), 30 + 15)
        assert.strictEqual(yield* count("section=closed&category=Crypto%7CClimate&strikePeriod=day"), 45)
        assert.strictEqual(yield* count("section=active&status=paused"), 1)
        assert.strictEqual(yield* count("section=closed&status=closed"), 9)
        const soon = yield* readAll("section=active&closeWindow=1h")
        const now = yield* Clock.currentTimeMillis
        assert.isAbove(soon.length, 10)
        for (const { closeTime } of soon) assert.isBelow(Date.parse(String(closeTime)), now + 3_601_000)
        assert.strictEqual(yield* count("section=closed&closeWindow=15m"), 5)
        assert.strictEqual(yield* count("section=closed&search=bitc"), 30)
        assert.strictEqual(yield* count("section=closed&search=gone17%20outc"), 1)
        assert.strictEqual(yield* count("section=closed&search=nothing"), 0)
        const sorted = yield* readAll("section=closed&category=Crypto&strikePeriod=hour")
        const times = sorted.map(({ closeTime }) => String(closeTime))
        assert.deepStrictEqual(times, times.toSorted().reverse())
      })
    )

    it.effect("refuse strange cursors and filters without telling more", () =>
      Effect.gen(function* () {
        const portal = yield* Portal
        const { next } = (yield* read("/api/events?section=closed&sort=title")) as Page
        for (const bad of [
          "after=x",
          `sort=market_count&after=${next}`,
          "sort=volume",
          "limit=0",
          "closeWindow=2h",
          "section=all"
        ]) {
          const answer = yield* portal.ask(`/api/events?section=closed&${bad}`, { headers: yield* signedIn })
          assert.strictEqual(answer.status, 400, bad)
          assert.notMatch(answer.body, /select|stack|node_modules/i)
        }
      })
    )

    it.effect("are counted by kind, whatever happened to them", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const counted = Effect.fnUntraced(function* () {
          const counts: ReadonlyArray<{
            section: string
            events: number
            markets: number
            settled: number
            complete: boolean
          }> = yield* read("/api/events/counts")
          const sum = (section: string) =>
            counts.filter((count) => count.section === section).reduce((total, { events }) => total + events, 0)
          return {
            active: sum("active"),
            scheduled: sum("scheduled"),
            closed: sum("closed"),
            complete: counts.filter(({ complete }) => complete).reduce((total, { events }) => total + events, 0)
          }
        })
        yield* signedIn
        assert.deepStrictEqual(yield* counted(), { active: 40, scheduled: 3, closed: 90, complete: 63 })
        yield* sql`update markets set status = 'active' where event_ticker = 'KXAHEAD1'`
        yield* sql`update markets set event_ticker = 'KXAHEAD3' where event_ticker = 'KXAHEAD2'`
        yield* cardsAreUpToDate
        yield* Effect.sleep("1100 millis")
        assert.deepStrictEqual(yield* counted(), { active: 41, scheduled: 1, closed: 90, complete: 63 })
        yield* sql`update markets set status = 'initialized' where event_ticker = 'KXAHEAD1'`
        yield* sql`update markets set event_ticker = 'KXAHEAD2' where ticker like 'KXAHEAD2%'`
        yield* cardsAreUpToDate
      })
    )

    it.effect("show their outcomes, the leader, the newest forecast and lines over time", () =>
      Effect.gen(function* () {
        const portal = yield* Portal
        const sql = yield* SqlClient.SqlClient
        yield* signedIn
        yield* storeTick("KXACT4-1", { bid: "0.7000", ask: "0.7100", volume: "12.50" })
        yield* storeTick("KXACT4-2", { bid: "0.0000", ask: "0.3000", volume: "7.50" })
        yield* sql`insert into market_predictions (event_ticker, market_ticker, yes_prob, confidence, predicted_at) values
        ('KXACT4', 'KXACT4-1', 0.10, 0.9, now() - interval '1 hour'), ('KXACT4', 'KXACT4-1', 0, 0.9, now())`
        yield* sql`insert into market_candles (market_ticker, period_interval_minutes, end_period_ts, start_period_ts, close, yes_bid_close, yes_ask_close)
        select 'KXACT4-1', 1, date_trunc('minute', now()) - i * interval '1 minute', date_trunc('minute', now()) - (i + 1) * interval '1 minute', 0.5, 0.40, 0.50
        from generate_series(60, 120) i`
        yield* sql`insert into ticks (ts, received_ms, market_id, yes_bid_dollars, yes_ask_dollars)
        select now() - interval '5 minutes', 10, market_id, 0.60, 0.62 from market_keys where ticker = 'KXACT4-1'`
        yield* sql`select refresh_event_quotes(array['KXACT4'])`
        yield* Effect.sleep("1100 millis")
        const detail = yield* read("/api/events/KXACT4")
        assert.deepInclude(detail, { title: "Rain 4", feeType: "quadratic", mutuallyExclusive: true, status: "open" })
        assert.strictEqual(detail.exchangeUrl, "https://kalshi.com/markets/kxa")
        assert.deepInclude(detail.outcomes[0], {
          ticker: "KXACT4-1",
          impliedMid: "0.7050",
          source: "live",
          volume: "12.50"
        })
        assert.strictEqual(Number(detail.outcomes[0].forecast), 0)
        assert.strictEqual(detail.outcomes[1].impliedMid, null)
        const card = (yield* readAll("search=act4")).find(({ eventTicker }) => eventTicker === "KXACT4")!
        assert.strictEqual(card["leaderTicker"], "KXACT4-1")
        assert.deepStrictEqual(
          [Number(card["leaderMid"]), Number(card["forecast"]), Number(card["volume"])],
          [0.705, 0, 20]
        )
        const { lines } = yield* read("/api/events/KXACT4/forecast?points=100")
        assert.deepStrictEqual(
          lines.map(({ ticker }: { ticker: string }) => ticker),
          ["KXACT4-1"]
        )
        const values = lines[0].points.map(([, value]: [number, number]) => value)
        assert.strictEqual(values[0], 0.45)
        assert.strictEqual(values.at(-1), 0.61)
        assert.strictEqual((yield* portal.ask("/api/events/NOPE", { headers: yield* signedIn })).status, 404)
      })
    )

    it.effect("are compared: baskets buy at asks, models against midpoints", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* signedIn
        for (const [ticker, bid, ask] of [
          ["KXACT10-1", "0.4000", "0.4200"],
          ["KXACT10-2", "0.4500", "0.4700"],
          ["KXACT12-1", "0.5600", "0.9900"],
          ["KXACT12-2", "0.6000", "0.9900"]
        ] as const)
          yield* storeTick(ticker, { bid, ask })
        yield* sql`update ticks_latest set yes_bid_size = 100, yes_ask_size = 50`
        yield* sql`insert into market_predictions (market_ticker, yes_prob, confidence, predicted_at) values
        ('KXACT10-1', 0.80, 0.9, now()), ('KXACT10-2', 0.80, 0.2, now()), ('KXACT12-1', 0.1, 0.9, now() - interval '20 hours')`
        yield* Effect.sleep("2100 millis")
        const baskets = yield* read("/api/opportunities/baskets?quality=confirmed")
        assert.deepStrictEqual(
          baskets.map(({ edge, eventTicker, side, size }: Record<string, string>) => [eventTicker, side, edge, size]),
          [
            ["KXACT12", "sell", "0.1600", "100.0000"],
            ["KXACT10", "buy", "0.1100", "50.0000"]
          ]
        )
        const gaps = yield* read("/api/opportunities/model")
        assert.deepStrictEqual(
          gaps
            .filter(({ eventTicker }: Record<string, string>) => eventTicker !== "KXACT4")
            .map(({ gap, ticker }: Record<string, string>) => [ticker, gap]),
          [["KXACT10-1", "0.3900"]]
        )
      })
    )
  }
)
