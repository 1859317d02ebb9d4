import { createServer } from "node:http"
import { assert, describe, layer } from "@effect/vitest"
import axe from "axe-core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { BrowserContext, Page } from "playwright-core"
import { cardsAreUpToDate, Portal, password, storeTick } from "../portal/PortalFixture.ts"
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

const portal = Portal.layerWith({ WEB_PORTAL_LIMIT: "10" }, new URL("../../dist/web/", import.meta.url))

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
      "refuses what another site asks for",
      () =>
        Effect.gen(function* () {
          const evil = yield* Effect.acquireRelease(
            Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
              const server = createServer((_, response) => {
                response.setHeader("content-type", "text/html")
                response.end("<title>elsewhere</title>")
              })
              server.listen(0, "127.0.0.1", () => {
                const address = server.address()
                const port = typeof address === "object" ? address?.port : 0
                resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close: () => server.close() }))
              })
            }),
            ({ close }) => Effect.sync(close)
          )
          yield* inBrowser(async (page, origin) => {
            await signIn(page, origin, password)
            await page.goto(evil.url)
            const answered = page.waitForResponse((response) => response.url().startsWith(origin))
            await page.setContent(
              `<form method="post" action="${origin}/api/markets/KXBTC-A3-T1/snapshot"><button>win</button></form>`
            )
            await page.getByRole("button").click()
            assert.strictEqual((await answered).status(), 403)
          })
        }).pipe(Effect.scoped),
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
            for (const path of colorScheme === "light" ? pages : pages.slice(0, 5)) {
              await page.goto(origin + path)
              await page.waitForLoadState("load")
              await page.waitForTimeout(400)
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
