import { createServer } from "node:http"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as SqlClient from "effect/sql/SqlClient"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { channel } from "../../src/store/QueueJobs.ts"
import { cardsAreUpToDate, Portal, seed, storeTick } from "./PortalFixture.ts"

const ticker = "KXBTCD-1-T2"
const ticksStored = 60_000

const history = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* seed(5, 5)
  yield* sql`insert into series (ticker, title, fee_type, fee_multiplier) values ('KXBTCD', 'Bitcoin', 'quadratic', 1)`
  yield* sql`update markets set open_time = date_trunc('hour', now()) - interval '3 hours', close_time = now() + interval '1 hour',
    rules_primary = 'If above, then yes.' where ticker = ${ticker}`
  yield* storeTick(ticker, { bid: "0.3300", ask: "0.3500", price: "0.3400", volume: "10.00" })
  yield* sql`insert into market_candles (market_ticker, period_interval_minutes, end_period_ts, start_period_ts, open, high, low, close, volume, yes_bid_close, yes_ask_close)
    select ${ticker}, 1, date_trunc('hour', now()) - i * interval '1 minute', date_trunc('hour', now()) - (i + 1) * interval '1 minute',
      0.4, 0.45, 0.35, 0.42, 3, 0.41, 0.43 from generate_series(0, 99) i`
  yield* sql`insert into ticks (ts, received_ms, market_id, price_dollars, yes_bid_dollars, yes_ask_dollars, volume)
    select date_trunc('hour', now()) - interval '20 seconds' + i * (now() - date_trunc('hour', now())) / ${ticksStored}::float8, 12, market_id, 0.3300, 0.3300, 0.3500, i
    from market_keys, generate_series(1, ${ticksStored}::int) i where ticker = ${ticker}`
  yield* sql`insert into ticks (ts, received_ms, market_id, price_dollars, yes_bid_dollars, yes_ask_dollars, volume, provenance)
    select date_trunc('hour', now()) - interval '150 minutes', 12, market_id, 0, 0.2, 0.3, 1, 2 from market_keys where ticker = ${ticker}`
  yield* sql`insert into candle_ranges (market_ticker, period_interval_minutes, checked)
    values (${ticker}, 1, tstzmultirange(tstzrange(date_trunc('hour', now()) - interval '100 minutes', date_trunc('hour', now()))))`
  yield* sql`insert into trades (ts, trade_id, market_id, micros, count, yes_price_dollars, taker_yes, is_block_trade)
    select date_trunc('milliseconds', now()) - i * interval '1 second', gen_random_uuid(), market_id, 7, 2.50, 0.3400, i % 2 = 0, false
    from market_keys, generate_series(1, 30) i where ticker = ${ticker}`
  yield* sql`insert into capture_gaps (feed, shard, slots, from_ts, to_ts, cause) values
    ('all', 'event/12', array(select generate_series(0, 11)::smallint), now() - interval '50 minutes', now() - interval '40 minutes', 'disconnect'),
    ('all', 'event/12', '{}', now() - interval '30 minutes', now() - interval '20 minutes', 'disconnect'),
    ('all', 'event/12', array(select generate_series(0, 11)::smallint), now() - interval '9 days', now() - interval '8 days', 'silence')`
  yield* sql`insert into capture_gaps (feed, shard, market_ticker, from_ts, cause) values ('trade', 'event/12', ${ticker}, now() - interval '1 minute', 'sequence')`
  yield* sql`insert into book_snapshots (ts, connection, seq, market_id, requested, yes_prices, yes_sizes, no_prices, no_sizes)
    select now() - interval '10 minutes', 1, 1, market_id, false, '{0.30,0.33}', '{100,50}', '{0.60,0.65}', '{10,20}' from market_keys where ticker = ${ticker}`
  yield* sql`insert into book_events (ts, received_at, connection, seq, market_id, yes, price, delta)
    select now() - interval '5 minutes', now() - interval '5 minutes', 1, 2, market_id, true, 0.33, -50 from market_keys where ticker = ${ticker}`
  yield* sql`insert into lifecycle_events (received_at, market_ticker, event_type, raw) values (now() - interval '2 hours', ${ticker}, 'created', '{}')`
  yield* sql`update markets set status = 'inactive' where ticker = ${ticker}`
  yield* sql`update markets set status = 'active' where ticker = ${ticker}`
  yield* sql`insert into service_instances (instance, service, host, pid, started_at, seen_at, ok, parts)
    values ('ws-1', 'ws', 'node1', 7, now(), now(), true, '{"capture":{"ok":true,"detail":"live","ageSeconds":1.5}}')`
  yield* sql`insert into market_coverage (market_id, hour, state, open_ms, live_ms, healed_ms, candles)
    select market_id, date_trunc('hour', now()) - i * interval '1 hour', case when i = 1 then 'degraded' else 'live' end, 3600000, 3600000, 0, 60
    from market_keys, generate_series(1, 3) i where ticker = ${ticker}`
  yield* cardsAreUpToDate
})

/** The exchange's public route for one market, which is all that a snapshot needs. */
const exchange = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
    const server = createServer((request, response) => {
      response.setHeader("content-type", "application/json")
      assert.isUndefined(request.headers["kalshi-access-key"])
      response.end(
        JSON.stringify({
          market: {
            ticker: request.url?.split("/").at(-1),
            event_ticker: "KXBTCD-1",
            status: "active",
            yes_bid_dollars: "0.1100",
            yes_ask_dollars: "0.1300",
            last_price_dollars: "0.1200",
            volume_fp: "99.00",
            open_interest_fp: "3.00"
          }
        })
      )
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(
        Effect.succeed({ port: typeof address === "object" ? (address?.port ?? 0) : 0, close: () => server.close() })
      )
    })
  }),
  ({ close }) => Effect.sync(close)
)

const portal = Layer.unwrap(
  Effect.map(exchange, ({ port }) =>
    Portal.layerWith({ KALSHI_REST_URL: `http://127.0.0.1:${port}/trade-api/v2`, WEB_PORTAL_BACKFILL_MODE: "queue" })
  )
)

layer(portal, { timeout: "60 seconds", excludeTestServices: true })("a market", (it) => {
  let cookie: { readonly cookie: string } | undefined
  const ask = Effect.fnUntraced(function* (path: string, method = "GET") {
    const portal = yield* Portal
    if (cookie === undefined) {
      yield* history
      cookie = yield* portal.signIn
    }
    return yield* portal.ask(path, { method, headers: cookie })
  })
  const read = Effect.fnUntraced(function* (path: string) {
    const answer = yield* ask(path)
    assert.strictEqual(answer.status, 200, `${path}: ${answer.body}`)
    return JSON.parse(answer.body)
  })
  const at = (part: string) => `/api/markets/${ticker}${part}`

  it.effect("has facts, rules, fees and a quote", () =>
    Effect.gen(function* () {
      const facts = yield* read(at(""))
      assert.deepInclude(facts, {
        rulesPrimary: "If above, then yes.",
        feeType: "quadratic",
        yesBid: "0.3300",
        impliedMid: "0.3400",
        source: "live",
        canBackfill: true,
        canSnapshot: false
      })
      assert.strictEqual((yield* ask("/api/markets/NOPE")).status, 404)
    })
  )

  it.effect("has candles, made of ticks where none is read yet", () =>
    Effect.gen(function* () {
      const candles = yield* read(at("/candles"))
      const seconds = candles.map((candle: { seconds: number }) => candle.seconds)
      assert.deepStrictEqual(
        seconds,
        [...new Set<number>(seconds)].toSorted((a, b) => a - b)
      )
      assert.strictEqual(candles.filter(({ source }: { source: string }) => source === "candle").length, 100)
      assert.deepInclude(candles[0], { source: "ticks", open: null, yesBid: "0.2", yesAsk: "0.3" })
      const last = candles.at(-1)
      assert.deepInclude(last, { source: "ticks", close: "0.3300", yesBid: "0.3300", yesAsk: "0.3500" })
      assert.strictEqual((yield* ask(at("/candles?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"))).status, 400)
      assert.strictEqual((yield* ask(at("/candles?from=yesterday"))).status, 400)
    })
  )

  it.effect("has ticks and trades, newest first", () =>
    Effect.gen(function* () {
      const ticks = yield* read(at("/ticks?limit=3"))
      assert.strictEqual(ticks.length, 3)
      assert.isTrue(ticks[0].at >= ticks[1].at)
      const trades = yield* read(at("/trades"))
      assert.strictEqual(trades.length, 30)
      assert.deepInclude(trades[0], { count: "2.50", yesPrice: "0.3400", takerSide: "no", isBlock: false })
      assert.match(trades[0].at, /007Z$/)
    })
  )

  it.effect("has the gaps that concern it and no others", () =>
    Effect.gen(function* () {
      const gaps = yield* read(at("/gaps"))
      assert.deepStrictEqual(
        gaps.map(({ cause, feed }: Record<string, string>) => [feed, cause]),
        [
          ["all", "disconnect"],
          ["trade", "sequence"]
        ]
      )
      assert.isNull(gaps[1].to)
    })
  )

  it.effect("has a book at an instant, and says what it rests on", () =>
    Effect.gen(function* () {
      const early = yield* read(at(`/book?at=${fromMillis((yield* Clock.currentTimeMillis) - 8 * 60_000)}`))
      assert.strictEqual(early.quality, "exact")
      assert.deepStrictEqual(
        early.levels.map(({ price, side, size }: Record<string, string>) => `${side} ${Number(price)} ${Number(size)}`),
        ["yes 0.3 100", "yes 0.33 50", "no 0.6 10", "no 0.65 20"]
      )
      const now = yield* read(at("/book"))
      assert.deepInclude(now, { changes: 1 })
      assert.strictEqual(now.levels.length, 3)
      const before = yield* read(at("/book?at=2020-01-01T00:00:00Z"))
      assert.deepInclude(before, { quality: "absent", levels: [] })
    })
  )

  it.effect("has a life of what was announced and what was learned", () =>
    Effect.gen(function* () {
      const steps = yield* read(at("/lifecycle"))
      assert.includeMembers(
        steps.map(({ source, what }: Record<string, string>) => `${source} ${what}`),
        ["lifecycle created", "catalog status"]
      )
    })
  )

  it.effect("is downloaded whole, as NDJSON or CSV, and in ranges that meet without overlap", () =>
    Effect.gen(function* () {
      const lines = (yield* ask(at("/download/ticks"))).body.trimEnd().split("\n")
      assert.strictEqual(lines.length, ticksStored + 1)
      const first = JSON.parse(lines[1]!)
      assert.strictEqual(first.yes_bid_dollars, "0.3300")
      const csv = yield* ask(at("/download/ticks?format=csv"))
      assert.match(String(csv.headers["content-type"]), /text\/csv/)
      assert.match(String(csv.headers["content-disposition"]), /KXBTCD-1-T2-ticks\.csv/)
      const [header, row, ...rest] = csv.body.trimEnd().split("\n")
      assert.strictEqual(rest.length, ticksStored)
      assert.strictEqual(header!.split(",").length, row!.split(",").length)
      const middle = JSON.parse(lines[30_000]!).ts
      const [before, after] = [
        yield* ask(at(`/download/ticks?to=${middle}`)),
        yield* ask(at(`/download/ticks?from=${middle}`))
      ]
      assert.strictEqual(before.body.split("\n").length + after.body.split("\n").length, ticksStored + 3)
      assert.strictEqual((yield* ask(at("/download/candles"))).body.trimEnd().split("\n").length, 100)
      assert.strictEqual((yield* ask(at("/download/trades?format=csv"))).body.trimEnd().split("\n").length, 31)
      assert.strictEqual((yield* ask("/api/markets/NOPE/download/ticks")).status, 404)
    })
  )

  it.effect("is downloaded by few at once", () =>
    Effect.gen(function* () {
      const answers = yield* Effect.all(
        Array.from({ length: 5 }, () => ask(at("/download/ticks"))),
        { concurrency: 5 }
      )
      assert.sameMembers([...new Set(answers.map(({ status }) => status))], [200, 429])
      assert.strictEqual((yield* ask(at("/download/trades"))).status, 200)
    })
  )

  it.effect("is read from the exchange when asked for, unless its quote is fresh or it has closed", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const fresh = yield* ask(at("/snapshot"), "POST")
      assert.strictEqual(fresh.status, 409)
      yield* sql`update ticks_latest set ts = now() - interval '10 minutes', received_at = now() - interval '10 minutes'`
      yield* Effect.sleep("1100 millis")
      assert.isTrue((yield* read(at(""))).canSnapshot)
      const done = yield* ask(at("/snapshot"), "POST")
      assert.strictEqual(done.status, 200, done.body)
      yield* Effect.sleep("1100 millis")
      assert.deepInclude(yield* read(at("")), {
        yesBid: "0.1100",
        volume: "99.00",
        source: "snapshot",
        canSnapshot: false
      })
      assert.strictEqual((yield* ask("/api/markets/KXHIGHNY-1-B1/snapshot", "POST")).status, 409)
      assert.strictEqual((yield* ask("/api/markets/NOPE/snapshot", "POST")).status, 404)
      assert.strictEqual((yield* ask(at("/snapshot"))).status, 404, "GET changes nothing")
    })
  )

  it.effect("is backfilled by a job, entered once", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      assert.deepInclude(JSON.parse((yield* ask(at("/backfill"), "POST")).body), { done: true })
      assert.deepInclude(JSON.parse((yield* ask(at("/backfill"), "POST")).body), { done: false })
      const jobs =
        yield* sql`select payload ->> 'force_full' as full from queue_jobs where job_type = 'backfill_market'`
      assert.deepStrictEqual(jobs, [{ full: "true" }])
      const [waiting] = (yield* read("/api/queue")).waiting
      assert.deepInclude(waiting, { jobType: "backfill_market", about: ticker, status: "pending" })
      assert.strictEqual((yield* ask("/api/markets/NOPE/backfill", "POST")).status, 404)
    })
  )

  it.effect("has failed jobs that a person may set going again, which workers hear of", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const portal = yield* Portal
      const [failed] = yield* sql<{ id: string }>`
        insert into queue_finished (id, job_type, payload, status, priority, available_at, attempts, max_attempts, fence, last_error, created_at)
        values (nextval('queue_positions'), 'repair_gap', '{"tickers":["M"]}', 'failed', 5, now(), 5, 5, 5, 'no', now())
        returning id::text`
      const retry = () =>
        portal.ask("/api/queue/retry", { method: "POST", headers: cookie!, json: { ids: [failed!.id] } })
      const heard = yield* sql.listen(channel)
      assert.deepStrictEqual(JSON.parse((yield* retry()).body), { retried: 1 })
      const note = yield* Effect.timeout(Queue.take(heard), "10 seconds")
      assert.deepStrictEqual(JSON.parse(note.payload), { job_type: "repair_gap", jobs: 1 })
      assert.strictEqual((yield* retry()).status, 409)
      assert.deepStrictEqual(yield* sql`select status, attempts from work_queue where id = ${failed!.id}::int8`, [
        { status: "pending", attempts: 0 }
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("is on the pages of health and coverage", () =>
    Effect.gen(function* () {
      const health = yield* read("/api/health")
      assert.deepInclude(health.instances[0], { instance: "ws-1", service: "ws", ok: true })
      assert.deepInclude(health.instances[0].parts.capture, { detail: "live", ageSeconds: 1.5 })
      assert.deepInclude(health, { openGaps: 1, gapsLastDay: 3 })
      assert.isAbove(health.databaseBytes, 1_000_000)
      const sql = yield* SqlClient.SqlClient
      yield* sql`select refresh_coverage_day() from generate_series(1, 3)`
      const wall = yield* Clock.currentTimeMillis
      const day = fromMillis(wall - 2 * 3_600_000).slice(0, 10)
      const today = fromMillis(wall).slice(0, 10)
      const days = yield* read(`/api/coverage?from=${day}&to=${today}`)
      assert.strictEqual(days.reduce((sum: number, { hours }: { hours: number }) => sum + hours, 0) > 0, true)
      assert.strictEqual((yield* ask("/api/coverage?from=2020-01-01&to=2026-01-01")).status, 400)
      const cells = yield* read(`/api/coverage/hours?series=KXBTCD&day=${day}`)
      assert.isTrue(cells.some((cell: { ticker: string; state: string }) => cell.ticker === ticker))
    })
  )
})
