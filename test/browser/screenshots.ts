import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { Page } from "playwright-core"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import { browser, isInstalled, signIn } from "./Chromium.ts"
import { password, recording } from "./Recording.ts"

const out = path.resolve(import.meta.dirname, "../../docs/images")

const looks = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light", deviceScaleFactor: 1 },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark", deviceScaleFactor: 1 },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", deviceScaleFactor: 2, isMobile: true }
} as const

const seconds = (args: ReadonlyArray<string>) =>
  Number(args.find((arg) => arg.startsWith("--for="))?.slice("--for=".length) ?? 150)

/** The pages to show: the busiest event and market, and a day of the coverage. */
const chosen = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const [event] = yield* sql<{ event: string }>`
    select c.event_ticker as event from event_cards c join event_quotes q using (event_ticker)
    where c.section = 'active' and c.markets between 4 and 14 order by q.volume desc nulls last limit 1`
  const [market] = yield* sql<{ market: string }>`
    select q.ticker as market from market_quotes q join markets m using (ticker)
    cross join (select min(from_ts) as began from capture_gaps where to_ts is not null and cause <> 'left_out') g
    where m.status = 'active' and q.yes_bid_dollars between 0.15 and 0.85
    order by m.open_time < g.began - interval '10 minutes' desc, m.close_time - m.open_time, abs(q.yes_bid_dollars - 0.5) limit 1`
  const [cover] = yield* sql<{ series: string; day: string }>`
    select series_ticker as series, day::text as day from coverage_days where state = 'live' group by 1, 2
    order by series_ticker like 'KXHIGH%' desc, sum(hours) desc limit 1`
  return {
    market: `/market/${market?.market}`,
    event: `/event/${event?.event}`,
    index: "/",
    opportunities: "/opportunities?view=model&gap=0.02&confidence=0",
    coverage: cover === undefined ? "/coverage" : `/coverage?series=${cover.series}&day=${cover.day}`,
    forecasts: "/forecasts",
    health: "/health",
    queue: "/queue",
    access: "/access"
  }
})

const shoot = async (page: Page, file: string) => {
  await page.waitForTimeout(2500)
  await page.screenshot({ path: path.join(out, file) })
  process.stdout.write(`${file}\n`)
}

const main = Effect.fn("screenshots")(function* (args: ReadonlyArray<string>) {
  const { databaseUrl, origin, startWs } = yield* recording({ speed: 90, rate: 40 })
  yield* Effect.scoped(Effect.andThen(startWs, Effect.sleep(`${seconds(args)} seconds`)))
  yield* Console.log("a hole of six seconds")
  yield* Effect.sleep("6 seconds")
  yield* startWs
  yield* Effect.sleep("30 seconds")
  const pages = yield* chosen.pipe(Effect.provide(PgClient.layer({ url: databaseUrl })))
  fs.mkdirSync(out, { recursive: true })
  for (const [look, options] of Object.entries(looks))
    yield* Effect.scoped(
      Effect.gen(function* () {
        const context = yield* browser(options)
        yield* Effect.promise(async () => {
          const page = context.pages()[0] ?? (await context.newPage())
          await page.goto(`${origin}/login`)
          await shoot(page, `login-${look}.png`)
          await signIn(page, origin, password)
          for (const [name, href] of Object.entries(pages)) {
            await page.goto(origin + href)
            await shoot(page, `${name}-${look}.png`)
          }
        })
      })
    )
})

export const run = (args: ReadonlyArray<string>) => {
  if (!isInstalled) {
    process.stderr.write("screenshots: install Debian's chromium (apt-get install chromium)\n")
    process.exitCode = 1
    return
  }
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "screenshots-"))
  fs.chmodSync(dataDir, 0o755)
  main(args).pipe(
    Effect.scoped,
    Effect.provide(EmbeddedPostgres.layer({ dataDir }).pipe(Layer.orDie)),
    Effect.ensuring(Effect.sync(() => fs.rmSync(dataDir, { recursive: true, force: true }))),
    NodeRuntime.runMain
  )
}
