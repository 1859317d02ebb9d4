import { createServer } from "node:http"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { cardsAreUpToDate, Portal, seed, storeTick } from "./PortalFixture.ts"

const event = "KXBTCD-1"
const outcomes = 5
/** What the exchange was asked, and whether it answers. */
const calls: Array<string> = []
let isDown = false

const wire = (ticker: string) => ({
  ticker,
  event_ticker: event,
  status: "active",
  yes_bid_dollars: "0.1100",
  yes_ask_dollars: "0.1300",
  last_price_dollars: "0.1200",
  volume_fp: "99.00",
  open_interest_fp: "3.00"
})

/** The exchange's public route for the markets of an event; it has forgotten the last one, and tells of one that is not recorded. */
const exchange = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
    const server = createServer((request, response) => {
      calls.push(request.url ?? "")
      response.statusCode = isDown ? 400 : 200
      response.setHeader("content-type", "application/json")
      response.end(JSON.stringify({ cursor: "", markets: [1, 2, 3, 4, 9].map((i) => wire(`${event}-T${i}`)) }))
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

const portal = (settings: Readonly<Record<string, string>>) =>
  Layer.unwrap(
    Effect.map(exchange, ({ port }) =>
      Portal.layerWith({ KALSHI_REST_URL: `http://127.0.0.1:${port}/trade-api/v2`, ...settings })
    )
  )

const cacheSpan = "1100 millis"

/** Every outcome has a tick of ten minutes ago, the first a new one. */
const ticks = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* seed(outcomes, 3)
  for (let i = 1; i <= outcomes; i++) yield* storeTick(`${event}-T${i}`, { bid: "0.5000", ask: "0.5200" })
  yield* sql`update ticks_latest set ts = now() - interval '10 minutes', received_at = now() - interval '10 minutes'`
  yield* storeTick(`${event}-T1`, { bid: "0.6000", ask: "0.6200" })
  yield* cardsAreUpToDate
})

layer(portal({}), { timeout: "60 seconds", excludeTestServices: true })("an event's snapshot", (it) => {
  it.effect("reads all quotes that are old in one call, and leaves fresh ones and strange markets alone", () =>
    Effect.gen(function* () {
      const { ask, signIn } = yield* Portal
      const sql = yield* SqlClient.SqlClient
      yield* ticks
      const headers = yield* signIn
      const path = `/api/events/${event}`
      const read = Effect.map(ask(path, { headers }), ({ body }) => JSON.parse(body))
      const snapshot = (more: Readonly<Record<string, string>> = {}) =>
        ask(`${path}/snapshot`, { method: "POST", headers: { ...headers, ...more } })

      assert.deepInclude(yield* read, {
        canSnapshot: true,
        autoSnapshotSeconds: 120,
        exchangeUrl: "https://kalshi.com/markets/kxbtcd"
      })
      assert.strictEqual((yield* ask(`${path}/snapshot`, { method: "POST" })).status, 401)
      assert.strictEqual((yield* snapshot({ origin: "https://evil.example" })).status, 403)
      assert.strictEqual((yield* snapshot({ "sec-fetch-site": "cross-site" })).status, 403)
      assert.strictEqual((yield* ask(`${path}/snapshot`, { headers })).status, 404, "GET changes nothing")
      assert.deepStrictEqual(calls, [])

      isDown = true
      const refused = yield* snapshot()
      assert.strictEqual(refused.status, 409, refused.body)
      assert.match(refused.body, /the exchange did not give it/)
      isDown = false
      calls.length = 0

      const done = yield* snapshot()
      assert.strictEqual(done.status, 200, done.body)
      assert.match(done.body, /3 quotes were read from the exchange; the exchange gave none of 1/)
      assert.strictEqual(calls.length, 1)
      assert.match(calls[0]!, /^\/trade-api\/v2\/markets\?.*event_ticker=KXBTCD-1/)
      yield* Effect.sleep(cacheSpan)
      const quotes = (yield* read).outcomes.map(
        ({ source, ticker, yesBid }: Record<string, string>) => `${ticker?.slice(-2)} ${source} ${yesBid}`
      )
      assert.sameMembers(quotes, [
        "T1 live 0.6000",
        "T2 snapshot 0.1100",
        "T3 snapshot 0.1100",
        "T4 snapshot 0.1100",
        "T5 live 0.5000"
      ])
      assert.deepStrictEqual(yield* sql`select ticker from markets where ticker like '%-T9'`, [])

      yield* sql`update ticks_latest set ts = now()`
      yield* Effect.sleep(cacheSpan)
      assert.isFalse((yield* read).canSnapshot)
      const fresh = yield* snapshot()
      assert.strictEqual(fresh.status, 409)
      assert.match(fresh.body, /every quote is less than 60 s old/)
      const closed = yield* ask("/api/events/KXHIGHNY-1/snapshot", { method: "POST", headers })
      assert.strictEqual(closed.status, 409)
      assert.match(closed.body, /the event has closed; WEB_PORTAL_SNAPSHOT_ALLOW_CLOSED=1/)
      assert.strictEqual((yield* ask("/api/events/NOPE/snapshot", { method: "POST", headers })).status, 404)
      assert.strictEqual(calls.length, 1)
    })
  )
})

layer(
  portal({
    WEB_PORTAL_SNAPSHOT_ALLOW_CLOSED: "1",
    WEB_PORTAL_EVENT_AUTO_SNAPSHOT_SEC: "0",
    WEB_PORTAL_KALSHI_MARKET_URL_TEMPLATE: "https://example.org/{series_ticker}/{event_ticker}?m={market_ticker}"
  }),
  { timeout: "60 seconds", excludeTestServices: true }
)("a portal that allows more", (it) => {
  it.effect("asks for closed events too, may offer no repeated snapshots, and links to where it is told", () =>
    Effect.gen(function* () {
      const { ask, signIn } = yield* Portal
      yield* ticks
      const headers = yield* signIn
      const facts = JSON.parse((yield* ask("/api/events/KXHIGHNY-1", { headers })).body)
      assert.deepInclude(facts, { canSnapshot: true, autoSnapshotSeconds: 0 })
      const before = calls.length
      const answer = yield* ask("/api/events/KXHIGHNY-1/snapshot", { method: "POST", headers })
      assert.strictEqual(answer.status, 409, answer.body)
      assert.match(answer.body, /the exchange gave none of the 3 outcomes/)
      assert.strictEqual(calls.length, before + 1)
      const market = JSON.parse((yield* ask(`/api/markets/${event}-T2`, { headers })).body)
      assert.strictEqual(market.exchangeUrl, "https://example.org/kxbtcd/kxbtcd-1?m=kxbtcd-1-t2")
    })
  )
})

layer(portal({}), { timeout: "60 seconds", excludeTestServices: true })("the overview", (it) => {
  it.effect("says which programs are well, and what the queue has to do", () =>
    Effect.gen(function* () {
      const { ask, signIn } = yield* Portal
      const sql = yield* SqlClient.SqlClient
      yield* sql`insert into service_instances (instance, service, host, pid, started_at, seen_at, ok, parts) values
        ('ws-1', 'ws', 'a', 1, now(), now(), true, '{}'), ('ws-2', 'ws', 'b', 1, now(), now() - interval '1 minute', true, '{}'),
        ('ws-3', 'ws', 'c', 1, now(), now() - interval '1 hour', true, '{}'), ('rest-1', 'rest', 'a', 2, now(), now(), false, '{}'),
        ('worker-1', 'worker', 'a', 3, now(), now(), true, '{}')`
      const headers = yield* signIn
      const overview = JSON.parse((yield* ask("/api/overview", { headers })).body)
      assert.deepStrictEqual(overview.programs, [
        { service: "rest", running: 1, well: 0 },
        { service: "worker", running: 1, well: 1 },
        { service: "ws", running: 2, well: 1 }
      ])
      assert.deepInclude(overview.queue, { waiting: 0, running: 0, failed: 0 })
    })
  )
})
