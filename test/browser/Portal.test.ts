import { createServer } from "node:http"
import { assert, describe, layer } from "@effect/vitest"
import axe from "axe-core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import type { BrowserContext, Page } from "playwright-core"
import { Retention } from "../../src/ingest/Retention.ts"
import { ForecastScores } from "../../src/store/ForecastScores.ts"
import { archiveIn } from "../ingest/ArchiveFixture.ts"
import { cardsAreUpToDate, Portal, password, storeTick } from "../portal/PortalFixture.ts"
import * as Programs from "../support/Programs.ts"
import { browser, isInstalled, signIn } from "./Chromium.ts"

/** Hourly and daily events in three categories, one of them with candles, a gap, a book, trades; more closed ones than one page shows. */
const seed = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`insert into series (ticker, title, category, fee_type, fee_multiplier) values ('KXBTC', 'Bitcoin', 'Crypto', 'quadratic', 1)`
  yield* sql`
    insert into events (event_ticker, series_ticker, title, category, strike_period, mutually_exclusive)
    select 'KXBTC-' || kind || i, 'KXBTC', (array['Bitcoin price', 'Rain in New York', 'Oil'])[i % 3 + 1] || ' ' || i,
      (array['Crypto', 'Climate', 'Commodities'])[i % 3 + 1], case when i % 2 = 0 then 'hour' else 'day' end, true
    from (select 'A' as kind, i from generate_series(1, 12) i union all select 'C', i from generate_series(1, 30) i) n`
  yield* sql`
    insert into markets (ticker, event_ticker, title, yes_sub_title, status, open_time, close_time, result, rules_primary)
    select e.event_ticker || '-T' || o, e.event_ticker, e.title, 'above ' || o, case when e.event_ticker like '%-A%' then 'active' else 'finalized' end,
      date_trunc('hour', now()) - interval '3 hours', case when e.event_ticker like '%-A%' then now() + interval '40 minutes' else now() - interval '1 hour' end,
      case when e.event_ticker like '%-C%' then case when o = 1 then 'yes' else 'no' end end, 'If it is above, Yes.'
    from events e, generate_series(1, 3) o`
  yield* sql`insert into active_markets (ticker, event_ticker, status, open_time, close_time)
    select ticker, event_ticker, status, open_time, close_time from markets where status = 'active'`
  for (const [ticker, bid, ask] of [
    ["KXBTC-A3-T1", "0.4100", "0.4300"],
    ["KXBTC-A3-T2", "0.2000", "0.2200"],
    ["KXBTC-A6-T1", "0.3000", "0.3200"]
  ] as const)
    yield* storeTick(ticker, { bid, ask, price: bid, volume: "120.00" })
  yield* sql`
    insert into market_candles (market_ticker, period_interval_minutes, end_period_ts, start_period_ts, open, high, low, close, volume, yes_bid_close, yes_ask_close)
    select t, 1, date_trunc('minute', now()) - i * interval '1 minute', date_trunc('minute', now()) - (i + 1) * interval '1 minute',
      0.4, 0.45, 0.35, 0.42, 3, 0.41, 0.43
    from generate_series(1, 110) i, (values ('KXBTC-A3-T1'), ('KXBTC-A6-T1')) m (t) where i < 40 or i > 70`
  yield* sql`insert into capture_gaps (feed, shard, market_ticker, from_ts, to_ts, cause)
    values ('all', 'event/12', 'KXBTC-A3-T1', now() - interval '70 minutes', now() - interval '40 minutes', 'disconnect')`
  yield* sql`insert into trades (ts, trade_id, market_id, count, yes_price_dollars, taker_yes, is_block_trade)
    select date_trunc('milliseconds', now()) - i * interval '1 second', gen_random_uuid(), market_id, 2.50, 0.4200, true, false
    from market_keys, generate_series(1, 5) i where ticker = 'KXBTC-A3-T1'`
  yield* sql`insert into book_snapshots (ts, connection, seq, market_id, requested, yes_prices, yes_sizes, no_prices, no_sizes)
    select now() - interval '10 minutes', 1, 1, market_id, false, '{0.30,0.41}', '{100,50}', '{0.50,0.57}', '{10,20}' from market_keys where ticker = 'KXBTC-A3-T1'`
  yield* sql`insert into market_coverage (market_id, hour, state, open_ms, live_ms, healed_ms, candles)
    select market_id, date_trunc('hour', now()) - i * interval '1 hour', (array['live', 'degraded', 'repaired'])[i], 3600000, 3000000, 0, 60
    from market_keys, generate_series(1, 3) i`
  yield* sql`insert into service_instances (instance, service, host, pid, started_at, seen_at, ok, parts)
    values ('ws-1', 'ws', 'node1', 7, now(), now() + interval '1 hour', true, '{"capture":{"ok":true,"detail":"live"}}')`
  yield* sql`
    insert into market_predictions (event_ticker, market_ticker, predicted_at, yes_prob, handler, close_time, quote_mid_dollars)
    select event_ticker, ticker, close_time - interval '10 minutes', 0.2 + 0.1 * (length(ticker) % 5), h, close_time, 0.6
    from markets, (values ('baseline:market_mid'), ('statistical:diffusion')) v (h) where result is not null`
  yield* sql`update markets set settlement_value_dollars = case when result = 'yes' then 1 else 0 end, settlement_ts = now() where result is not null`
  yield* ForecastScores.use((scores) => scores.score(1000, false)).pipe(Effect.provide(ForecastScores.layer))
  yield* cardsAreUpToDate
  yield* sql`select refresh_coverage_day() from generate_series(1, 3)`
})

/** Pixels of the chart that have the colour of a gap's hatching. */
const hatched = (page: Page): Promise<number> =>
  page.evaluate(`
    [...document.querySelectorAll(".chart canvas")].reduce((found, canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
      for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 20 && data[i] > data[i + 2] + 60 && data[i + 1] > data[i + 2] + 40 && data[i] - data[i + 1] < 60) found += 1
      return found
    }, 0)`)

/** What axe finds on the page that is shown, the serious and the critical. */
const seriousViolations = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe.source)
  return page.evaluate(`
    axe.run().then(({ violations }) => violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, nodes }) => id + ": " + nodes.slice(0, 3).map(({ html, failureSummary }) => html + " " + failureSummary).join(" | ")))`)
}

/** A server on a port of its own, for as long as the scope is open. */
const served = (contentType: string, answer: (path: string) => string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = createServer((request, response) => {
        response.setHeader("content-type", contentType)
        response.end(answer(request.url ?? ""))
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" ? address?.port : 0
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close: () => server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

let exchangeCalls = 0

/** The exchange's public route for the markets of the one event that a test asks for. */
const exchange = served("application/json", () => {
  exchangeCalls += 1
  const market = (i: number) => ({
    ticker: `KXBTC-A6-T${i}`,
    event_ticker: "KXBTC-A6",
    status: "active",
    yes_bid_dollars: "0.1100",
    yes_ask_dollars: `0.${20 + exchangeCalls}00`,
    volume_fp: "99.00"
  })
  return JSON.stringify({ cursor: "", markets: [market(1), market(2), market(3)] })
})

const portal = Layer.unwrap(
  Effect.map(exchange, ({ url }) =>
    Portal.layerWith(
      {
        WEB_PORTAL_LIMIT: "10",
        KALSHI_REST_URL: `${url}/trade-api/v2`,
        WEB_PORTAL_EVENT_AUTO_SNAPSHOT_SEC: "2",
        WEB_PORTAL_SNAPSHOT_PREFER_TICKS_SEC: "0"
      },
      new URL("../../dist/web/", import.meta.url)
    )
  )
)

describe.skipIf(!isInstalled)(`in Chromium${isInstalled ? "" : ": install Debian's chromium"}`, () => {
  layer(
    Layer.suspend(() => portal),
    { timeout: "60 seconds", excludeTestServices: true }
  )("the portal", (it) => {
    let seeded = false
    const complaints: Array<string> = []

    const inBrowser = <A>(
      test: (page: Page, origin: string, context: BrowserContext) => Promise<A>
    ): Effect.Effect<A, unknown, Portal | SqlClient.SqlClient> =>
      Effect.gen(function* () {
        const { origin } = yield* Portal
        if (!seeded) yield* seed
        seeded = true
        const context = yield* browser({ viewport: { width: 1280, height: 900 } })
        const page = context.pages()[0] ?? (yield* Effect.promise(() => context.newPage()))
        page.on("console", (message) => {
          if (/content security policy|refused to/i.test(message.text())) complaints.push(message.text())
        })
        page.on("pageerror", (error) => complaints.push(String(error)))
        return yield* Effect.promise(() => test(page, origin, context))
      }).pipe(Effect.scoped)

    const change = (effect: Effect.Effect<unknown, unknown, SqlClient.SqlClient>) =>
      Effect.map(Effect.context<SqlClient.SqlClient>(), (context) => () => Effect.runPromiseWith(context)(effect))

    it.effect(
      "says that a password is wrong, and slows guessing down",
      () =>
        inBrowser(async (page, origin) => {
          await page.goto(`${origin}/`)
          for (let i = 0; i < 6; i++) {
            await page.getByLabel("Password").fill(`guess ${i}`)
            await page.getByRole("button", { name: "Sign in" }).click()
            await page.getByText(i < 5 ? "That is not the password." : /Too many attempts/).waitFor()
          }
        }).pipe(Effect.andThen(Effect.flatMap(SqlClient.SqlClient, (sql) => sql`delete from portal_login_attempts`))),
      60_000
    )

    it.effect(
      "filters, sorts and pages its lists, and keeps all of it in the address",
      () =>
        inBrowser(async (page, origin) => {
          await signIn(page, origin, password)
          const closed = page.getByRole("region", { name: /^Closed/ })
          await closed.getByRole("link", { name: /\d/ }).first().waitFor()
          assert.strictEqual(await closed.getByRole("rowheader").count(), 10)
          await closed.getByRole("button", { name: "Load more" }).click()
          await closed.getByRole("rowheader").nth(15).waitFor()
          assert.strictEqual(await closed.getByRole("rowheader").count(), 20)
          await page.waitForURL(/closed=20/)
          await page.reload()
          await closed.getByRole("rowheader").nth(15).waitFor()
          assert.strictEqual(await closed.getByRole("rowheader").count(), 20)
          await page.keyboard.press("/")
          await page.keyboard.type("rain")
          await page.waitForURL(/q=rain/)
          await page
            .getByRole("link", { name: /Rain in New York/ })
            .first()
            .waitFor()
          await page
            .getByRole("link", { name: /Bitcoin price/ })
            .first()
            .waitFor({ state: "detached" })
          await page.getByRole("searchbox").fill("")
          await page.getByText("Crypto", { exact: true }).first().click()
          await page.waitForURL((url) => url.search.includes("category=Crypto") && !url.search.includes("q="))
          await page.getByLabel("Sort").selectOption("title")
          await page.waitForURL(/sort=title/)
          const address = page.url()
          await page.goto(address)
          await page
            .getByRole("link", { name: /Bitcoin price/ })
            .first()
            .waitFor()
          assert.isTrue(await page.getByRole("checkbox", { name: "Crypto" }).isChecked())
          assert.notMatch((await page.locator("main").textContent()) ?? "", /Rain in New York/)
        }),
      60_000
    )

    it.effect(
      "opens a market from its event, shows its gap shaded, its book and trades, and a tick as it arrives",
      () =>
        Effect.gen(function* () {
          const tick = yield* change(
            Effect.gen(function* () {
              const sql = yield* SqlClient.SqlClient
              yield* storeTick("KXBTC-A3-T1", { bid: "0.5300", ask: "0.5500", price: "0.5400", volume: "130.00" })
              yield* sql`select pg_notify('ticks_stored', '{"ticks":1}')`
            })
          )
          yield* inBrowser(async (page, origin) => {
            await signIn(page, origin, password, "/event/KXBTC-A3")
            await page.getByRole("heading", { name: "Bitcoin price 3", level: 1 }).waitFor()
            await page.getByRole("link", { name: "above 1" }).click()
            await page.waitForURL(/\/market\/KXBTC-A3-T1$/)
            await page.getByText("1 gap of the record, shaded in the chart").waitFor()
            await page.locator(".chart canvas").first().waitFor()
            await page.waitForTimeout(500)
            assert.isAbove(await hatched(page), 300)
            const book = page.getByRole("region", { name: "Order book" })
            assert.match((await book.textContent()) ?? "", /43¢[\s\S]*41¢/)
            assert.strictEqual(
              await page.getByRole("region", { name: "Trades", exact: false }).first().getByRole("row").count(),
              6
            )
            await page
              .getByRole("status")
              .filter({ hasText: /^live$/ })
              .waitFor()
            await tick()
            await page.getByText("53¢").first().waitFor()
            assert.match((await page.locator("dl.figures").textContent()) ?? "", /54\.0%/)
            await page.goto(`${origin}/market/KXBTC-A6-T1`)
            await page.locator(".chart canvas").first().waitFor()
            await page.waitForTimeout(500)
            assert.strictEqual(await hatched(page), 0)
          })
        }),
      60_000
    )

    it.effect(
      "says on its first page which programs are well, and opens an event from anywhere in its row",
      () =>
        inBrowser(async (page, origin) => {
          await signIn(page, origin, password)
          const programs = page.getByRole("list", { name: "Programs" })
          await programs.getByRole("link", { name: /ws is well/ }).waitFor()
          await programs.getByRole("link", { name: /queue 0 waiting/ }).waitFor()
          await page.getByText("Recorded here: hourly and daily events").waitFor()
          const row = page.getByRole("row", { name: /Bitcoin price 3/ }).first()
          const volume = await row.getByRole("cell").nth(3).boundingBox()
          await page.mouse.click(volume!.x + volume!.width / 2, volume!.y + volume!.height / 2)
          await page.waitForURL(/\/event\/KXBTC-A3$/)
        }),
      60_000
    )

    it.effect(
      "downloads a span of a market",
      () =>
        inBrowser(async (page, origin) => {
          await signIn(page, origin, password, "/market/KXBTC-A3-T1")
          const section = page.getByRole("region", { name: "Download" })
          await section.getByText("All of it").waitFor()
          const local = (minutesAgo: number) =>
            page.evaluate<string>(
              `(() => { const t = new Date(Date.now() - ${minutesAgo} * 60000); return new Date(t - t.getTimezoneOffset() * 60000).toISOString().slice(0, 19) })()`
            )
          const lines = async () => {
            const coming = page.waitForEvent("download")
            await section.getByRole("listitem").filter({ hasText: "candles" }).getByText("NDJSON").click()
            const stream = await (await coming).createReadStream()
            let text = ""
            for await (const part of stream) text += String(part)
            return text.trim().split("\n").length
          }
          assert.strictEqual(await lines(), 79)
          const coming = page.waitForEvent("download")
          await section.getByRole("listitem").filter({ hasText: "candles" }).getByText("Parquet").click()
          await section.getByText("candles, PARQUET: 79 rows.").waitFor()
          const made = await coming
          assert.strictEqual(made.suggestedFilename(), "KXBTC-A3-T1-candles.parquet")
          const parts: Array<Buffer> = []
          for await (const part of await made.createReadStream()) parts.push(part)
          assert.strictEqual(Buffer.concat(parts).subarray(0, 4).toString(), "PAR1")
          await section.getByLabel("From, your time").fill(await local(31.5))
          await section.getByLabel("To, your time").fill(await local(21.5))
          await section.getByText("From is in it, To is not.").waitFor()
          assert.strictEqual(await lines(), 10)
          await section.getByLabel("To, your time").fill(await local(40))
          await section.getByText("From is not before To.").waitFor()
          assert.strictEqual(await section.getByRole("link", { name: "CSV" }).count(), 0)
        }),
      60_000
    )

    it.effect(
      "says which days of a market are in the archive only, and has an event's rows made into a file",
      () =>
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          yield* inBrowser(async (page, origin) => signIn(page, origin, password))
          yield* sql`select ensure_tick_partition((now() - interval '3 days')::date)`
          yield* sql`insert into market_keys (ticker) values ('KXBTC-C5-T1')`
          yield* sql`update markets set open_time = now() - interval '4 days' where ticker = 'KXBTC-C5-T1'`
          yield* sql`insert into ticks (ts, received_ms, market_id, price_dollars, provenance)
            select date_trunc('day', now(), 'UTC') - interval '65 hours', 5, market_id, 0.5, 0 from market_keys where ticker = 'KXBTC-C5-T1'`
          const lake = yield* Programs.folder
          yield* Retention.use(({ pass }) => pass).pipe(
            Effect.provide(archiveIn(lake, yield* Clock.currentTimeMillis, { ticksDays: 1, tables: ["ticks"] })),
            Effect.repeat({ until: ({ waiting }) => waiting.length === 0, schedule: Schedule.spaced("200 millis") })
          )
          yield* inBrowser(async (page, origin) => {
            await signIn(page, origin, password, "/market/KXBTC-C5-T1")
            const section = page.getByRole("region", { name: "Download" })
            await section
              .getByText(/are in the archive only, and cannot be shown or downloaded here: ARCHIVE_DIR/)
              .waitFor()
            await section
              .getByRole("listitem")
              .filter({ hasText: /^ticks/ })
              .last()
              .getByText("CSV")
              .click()
            await section.getByText(/^ticks, CSV could not be made: from .* is in the archive only/).waitFor()
            await page.goto(`${origin}/event/KXBTC-A3`)
            await section.getByLabel("Rows").selectOption("trades")
            const coming = page.waitForEvent("download")
            await section.getByRole("button", { name: "Download" }).click()
            await section.getByText("trades of KXBTC-A3: 5 rows.").waitFor()
            assert.strictEqual((await coming).suggestedFilename(), "KXBTC-A3-trades.parquet")
            await section.getByLabel("Of").selectOption("series")
            await section.getByText("Give From and To, at most 31 days apart.").waitFor()
          })
        }).pipe(Effect.scoped),
      60_000
    )

    it.effect(
      "keeps the filters of opportunities in the address",
      () =>
        inBrowser(async (page, origin) => {
          await signIn(page, origin, password, "/opportunities?quality=all&side=sell")
          await page.getByLabel("Direction").waitFor()
          assert.strictEqual(await page.getByLabel("Direction").inputValue(), "sell")
          await page.getByText("Model against market").first().click()
          const asked = page.waitForRequest((request) => /minGap=0\.05/.test(request.url()))
          await page.getByLabel("Gap of at least").selectOption("0.05")
          await asked
          await page.waitForURL(/view=model.*gap=0\.05/)
        }),
      60_000
    )

    it.effect(
      "refuses what another site asks for",
      () =>
        Effect.gen(function* () {
          const evil = yield* served("text/html", () => "<title>elsewhere</title>")
          yield* inBrowser(async (page, origin) => {
            await signIn(page, origin, password)
            await page.goto(evil.url)
            const answered = page.waitForResponse((response) => response.url().startsWith(origin))
            await page.setContent(
              `<form method="post" action="${origin}/api/markets/KXBTC-A3-T1/snapshot"><button>win</button></form>`
            )
            await page.getByRole("button").click()
            assert.strictEqual((await answered).status(), 403)
            await page.goto(evil.url)
            const again = page.waitForResponse((response) => response.url().startsWith(origin))
            await page.setContent(
              `<form method="post" action="${origin}/api/events/KXBTC-A6/snapshot"><button>win</button></form>`
            )
            await page.getByRole("button").click()
            assert.strictEqual((await again).status(), 403)
            assert.strictEqual(exchangeCalls, 0)
          })
        }).pipe(Effect.scoped),
      60_000
    )

    it.effect(
      "reads an event's quotes from the exchange when told to, again and again while it is told to",
      () =>
        inBrowser(async (page, origin) => {
          await signIn(page, origin, password, "/event/KXBTC-A6")
          const outcomes = page.getByRole("region", { name: /^Outcomes/ })
          await outcomes.getByText("no quote").first().waitFor()
          await page.getByRole("button", { name: "Snapshot" }).click()
          await page.getByText("Done: 3 quotes were read from the exchange.").waitFor()
          assert.strictEqual(exchangeCalls, 1)
          await outcomes.getByRole("row", { name: "above 2" }).getByText("21¢").waitFor()
          assert.strictEqual(await outcomes.getByText("snapshot", { exact: true }).count(), 2)
          await page.getByLabel("every 2 s").check()
          await page
            .getByRole("timer")
            .getByText(/next in [12] s/)
            .waitFor()
          await outcomes
            .getByRole("row", { name: "above 2" })
            .getByText(/^(2[3-9]|[3-9]\d)¢$/)
            .waitFor()
          await page.getByLabel("every 2 s").uncheck()
          await page.getByRole("timer").waitFor({ state: "detached" })
          await page.waitForTimeout(300)
          const calls = exchangeCalls
          await page.waitForTimeout(2600)
          assert.strictEqual(exchangeCalls, calls)
        }),
      60_000
    )

    it.effect(
      "is accessible on every page, in light and dark, on a desk and on a phone",
      () =>
        inBrowser(async (page, origin) => {
          await signIn(page, origin, password)
          const pages = [
            "/",
            "/event/KXBTC-A3",
            "/market/KXBTC-A3-T1",
            "/opportunities?quality=all",
            "/forecasts",
            "/opportunities?view=model&gap=0.02",
            "/coverage",
            "/queue",
            "/health",
            "/access"
          ]
          for (const [colorScheme, width] of [
            ["light", 1280],
            ["dark", 390]
          ] as const) {
            await page.emulateMedia({ colorScheme, reducedMotion: "reduce" })
            await page.setViewportSize({ width, height: 850 })
            for (const path of colorScheme === "light" ? pages : pages.slice(0, 7)) {
              await page.goto(origin + path)
              await page.waitForLoadState("load")
              await page.waitForTimeout(400)
              if (path === "/forecasts")
                await page
                  .getByRole("img", { name: /^Calibration curve/ })
                  .first()
                  .waitFor()
              const violations = await seriousViolations(page)
              assert.deepStrictEqual(violations, [], `${path} ${colorScheme}`)
              const overflow = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth")
              assert.isAtMost(overflow, 0, `${path} is wider than ${width} px`)
            }
          }
        }),
      120_000
    )

    it.effect(
      "signs out, and nothing broke the content security policy",
      () =>
        inBrowser(async (page, origin, context) => {
          await signIn(page, origin, password, "/health")
          await page.getByText("node1").waitFor()
          const [cookie] = await context.cookies()
          assert.isTrue(cookie?.httpOnly)
          await page.getByRole("button", { name: "Sign out" }).click()
          await page.getByLabel("Password").waitFor()
          await context.addCookies([cookie!])
          await page.goto(`${origin}/health`)
          await page.getByLabel("Password").waitFor()
          await page.goto(`${origin}/login?next=//evil.example/`)
          await page.getByLabel("Password").fill(password)
          await page.getByRole("button", { name: "Sign in" }).click()
          await page.getByRole("navigation", { name: "Pages" }).waitFor()
          assert.strictEqual(new URL(page.url()).origin, origin)
          assert.deepStrictEqual(complaints, [])
        }),
      60_000
    )
  })
})
