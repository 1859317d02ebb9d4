import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { cardsAreUpToDate, Portal, seed, storeTick } from "./PortalFixture.ts"

interface Row {
  readonly ticker: string
  readonly yesBid: string | null
  readonly yesAsk: string | null
  readonly lastPrice: string | null
  readonly impliedMid: string | null
  readonly volume: string | null
  readonly lastTickAt: string | null
  readonly closeTime: string | null
  readonly result: string | null
  readonly settlementValue: string | null
}
interface Page {
  readonly markets: ReadonlyArray<Row>
  readonly next: string | null
}

const page = Effect.fnUntraced(function* (path: string, headers: Readonly<Record<string, string>>) {
  const portal = yield* Portal
  const answer = yield* portal.ask(path, { headers })
  assert.strictEqual(answer.status, 200, answer.body)
  return JSON.parse(answer.body) as Page
})

const every = Effect.fnUntraced(function* (table: string, limit: number, headers: Readonly<Record<string, string>>) {
  const rows: Array<Row> = []
  let next: string | null = null
  do {
    const after: string = next === null ? "" : `&after=${encodeURIComponent(next)}`
    const found: Page = yield* page(`/api/markets/${table}?limit=${limit}${after}`, headers)
    rows.push(...found.markets)
    next = found.next
  } while (next !== null)
  return rows
})

layer(Portal.layerWith({}), { timeout: "30 seconds", excludeTestServices: true })("the markets", (it) => {
  it.effect("pages reach every market once, in order", () =>
    Effect.gen(function* () {
      yield* seed(23, 31)
      const cookie = yield* (yield* Portal).signIn
      const active = yield* every("active", 5, cookie)
      assert.strictEqual(active.length, 23)
      assert.strictEqual(new Set(active.map(({ ticker }) => ticker)).size, 23)
      assert.strictEqual(active.at(-1)!.ticker, "KXBTCD-1-T1", "a market without a close time comes last")
      const closes = active.slice(0, -1).map(({ closeTime }) => closeTime!)
      assert.deepStrictEqual(closes, closes.toSorted())
      const closed = yield* every("closed", 4, cookie)
      assert.strictEqual(new Set(closed.map(({ ticker }) => ticker)).size, 31)
      const ends = closed.map(({ closeTime }) => closeTime!)
      assert.deepStrictEqual(ends, ends.toSorted().toReversed())
      const asOnePage = yield* page("/api/markets/closed?limit=31", cookie)
      assert.strictEqual(asOnePage.next, null)
    })
  )

  it.effect("an absent number is null and zero is zero", () =>
    Effect.gen(function* () {
      const cookie = yield* (yield* Portal).signIn
      yield* storeTick("KXBTCD-1-T2", { bid: "0.0000", ask: "0.0700", volume: "0" })
      yield* storeTick("KXBTCD-1-T3", { bid: "0.4700", ask: "0.4850", price: "0.4800" })
      const { markets } = yield* page("/api/markets/active?limit=500", cookie)
      const row = (ticker: string) => markets.find((market) => market.ticker === ticker)!
      const empty = row("KXBTCD-1-T2")
      assert.deepStrictEqual([empty.yesBid, empty.yesAsk, empty.lastPrice], ["0.0000", "0.0700", null])
      assert.deepStrictEqual([empty.volume, empty.impliedMid], ["0", null])
      assert.strictEqual(row("KXBTCD-1-T3").impliedMid, "0.4775")
      assert.deepStrictEqual([row("KXBTCD-1-T4").yesBid, row("KXBTCD-1-T4").lastTickAt], [null, null])
      const { markets: closed } = yield* page("/api/markets/closed?limit=500", cookie)
      const lost = closed.find(({ ticker }) => ticker === "KXHIGHNY-1-B3")!
      assert.deepStrictEqual([lost.result, lost.settlementValue], ["no", "0"])
    })
  )

  it.effect("a market without a tick shows the quote that discovery read", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`update markets set rest_yes_bid_dollars = 0.11, rest_yes_ask_dollars = 0.13
        where ticker in ('KXBTCD-1-T5', 'KXBTCD-1-T6')`
      yield* storeTick("KXBTCD-1-T6", { ask: "0.9000" })
      const { markets } = yield* page("/api/markets/active?limit=500", yield* (yield* Portal).signIn)
      const bidAndAsk = (ticker: string) => {
        const found = markets.find((market) => market.ticker === ticker)!
        return [found.yesBid, found.yesAsk]
      }
      assert.deepStrictEqual(bidAndAsk("KXBTCD-1-T5"), ["0.11", "0.13"])
      assert.deepStrictEqual(bidAndAsk("KXBTCD-1-T6"), [null, "0.9000"])
    })
  )

  it.effect("searches beginnings of words, filters by strike period, refuses bad questions", () =>
    Effect.gen(function* () {
      const portal = yield* Portal
      const cookie = yield* portal.signIn
      const found = (query: string) => Effect.map(page(query, cookie), ({ markets }) => markets.length)
      assert.strictEqual(yield* found("/api/markets/active?search=btcd%20t12"), 1)
      assert.strictEqual(yield* found("/api/markets/active?search=KXBTCD-1-T12"), 1)
      assert.strictEqual(yield* found("/api/markets/active?search=bitc&limit=500"), 23)
      assert.strictEqual(yield* found("/api/markets/active?strikePeriod=day"), 0)
      assert.strictEqual(yield* found("/api/markets/closed?search=temp&strikePeriod=day&limit=500"), 31)
      assert.strictEqual(yield* found("/api/markets/closed?search=%27%20%26%20%7C%20%21%20%3A%2A&limit=500"), 31)
      for (const bad of [
        "after=nonsense",
        "after=WyJ4IiwieSJd",
        "limit=0",
        "limit=501",
        "limit=x",
        "strikePeriod=week"
      ]) {
        const answer = yield* portal.ask(`/api/markets/closed?${bad}`, { headers: cookie })
        assert.strictEqual(answer.status, 400, bad)
        assert.notMatch(answer.body, /select|schema|stack|node_modules/i)
      }
    })
  )

  it.effect("the overview counts what there is", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`insert into capture_gaps (feed, shard, from_ts, to_ts, cause) values
        ('ticker', '0', now(), null, 'disconnect'), ('ticker', '0', now(), now(), 'disconnect')`
      yield* sql`update markets set status = 'determined' where ticker = 'KXHIGHNY-1-B1'`
      yield* cardsAreUpToDate
      const portal = yield* Portal
      const answer = yield* portal.ask("/api/overview", { headers: yield* portal.signIn })
      const overview = JSON.parse(answer.body)
      assert.deepInclude(overview, { events: 2, markets: 54, active: 23, closed: 31, settled: 30, openGaps: 1 })
      assert.deepInclude(overview, {
        activeEvents: 1,
        scheduledEvents: 0,
        closedEvents: 1,
        completeEvents: 0,
        simulated: false,
        exchangeSpeed: 1
      })
      assert.isBelow(overview.newestTickAgeSeconds, 20)
    })
  )

  it.effect("streams tell one page what concerns it, and nothing else", () =>
    Effect.gen(function* () {
      const portal = yield* Portal
      const sql = yield* SqlClient.SqlClient
      const context = yield* Effect.context<SqlClient.SqlClient>()
      const cookie = yield* portal.signIn
      const change = Effect.gen(function* () {
        yield* storeTick("KXBTCD-1-T7", { bid: "0.3300", ask: "0.3500" })
        yield* storeTick("KXBTCD-1-T8", { bid: "0.4400", ask: "0.4500" })
        yield* sql`select pg_notify('ticks_stored', '{"ticks":41}')`
        yield* sql`update markets set yes_sub_title = yes_sub_title || '!' where ticker = 'KXBTCD-1-T7'`
      })
      const [index, event, market] = yield* Effect.all(
        [
          portal.readUntil("/api/stream", cookie, {
            onFirst: () => Effect.runForkWith(context)(Effect.delay(change, "200 millis")),
            enough: (sofar) => sofar.includes('"ticksStored":41') && sofar.includes("CardsChanged")
          }),
          portal.readUntil("/api/stream?event=KXBTCD-1", cookie, {
            enough: (sofar) => sofar.includes('"0.3300"') && sofar.includes('"0.4400"')
          }),
          portal.readUntil("/api/stream?market=KXBTCD-1-T7", cookie, { enough: (sofar) => sofar.includes('"0.3300"') })
        ],
        { concurrency: 3 }
      )
      assert.notInclude(index, '"0.3300"')
      assert.notInclude(market, '"0.4400"')
      for (const text of [index, event, market]) {
        const ids = Array.from(text.matchAll(/^id: (\d+)$/gm), ([, id]) => Number(id))
        assert.deepStrictEqual(
          ids,
          ids.map((_, i) => ids[0]! + i)
        )
      }
    })
  )
})
