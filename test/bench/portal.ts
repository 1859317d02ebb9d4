import { randomInt } from "node:crypto"
import * as fs from "node:fs"
import { Agent, request } from "node:http"
import * as os from "node:os"
import * as path from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import * as Ports from "../../src/local/Ports.ts"
import type { Decimal } from "../../src/market/Decimal.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { TickBatch } from "../../src/store/TickBatch.ts"
import { Ticks } from "../../src/store/Ticks.ts"
import { transaction } from "../../src/store/Transaction.ts"
import * as Programs from "../support/Programs.ts"
import { generate, settle } from "./PortalData.ts"

/*
 * Method. A real PostgreSQL 18 (fsync on) with a generated history (test/bench/PortalData.ts), and dist/portal.js, a process of its own.
 * A writer stores `rate` ticks a second of the active markets, in ten transactions a second, with the statements of ws. First the writer alone;
 * then with `readers` people, each with a session of its own, who ask for one route after another, drawn evenly, and
 * think for `think` milliseconds in between; a latency is from the request to the last byte. Then, the readers gone, `streams` clients
 * listen to one event: every two seconds a quote that they can recognize is stored, and the time until each of them has it is taken. `ingestSlowdown` is how much
 * less the writer stored with readers than alone; its transactions' times are there as well. All of it shares this machine's cores.
 */

interface Options {
  readonly closed: number
  readonly active: number
  readonly candles: number
  readonly ticks: number
  readonly rate: number
  readonly readers: number
  readonly think: number
  readonly streams: number
  readonly seconds: number
  readonly json: boolean
}

const password = "bench bench bench"

const quantiles = (values: ReadonlyArray<number>) => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (q: number) => Number((sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0).toFixed(1))
  return { n: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

interface Asked {
  readonly port: number
  readonly path: string
  readonly cookie: string
  readonly agent: Agent
}

const ask = ({ agent, cookie, path, port }: Asked) =>
  Effect.callback<{ readonly status: number; readonly millis: number }>((resume) => {
    const began = performance.now()
    const sent = request({ port, path, agent, headers: { cookie, "accept-encoding": "gzip" } }, (response) => {
      response.on("data", () => {})
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode ?? 0, millis: performance.now() - began }))
      )
    })
    sent.on("error", () => resume(Effect.succeed({ status: 0, millis: performance.now() - began })))
    sent.end()
  })

const signIn = (port: number) =>
  Effect.callback<string>((resume) => {
    const sent = request(
      { port, path: "/api/session", method: "POST", headers: { "content-type": "application/json" } },
      (response) => {
        response.resume()
        resume(Effect.succeed(String(response.headers["set-cookie"]).split(";")[0]!))
      }
    )
    sent.end(JSON.stringify({ password }))
  })

const any = <A>(list: ReadonlyArray<A>): A => list[randomInt(list.length)]!

/** Routes by name; each call gives an address of that kind. */
const routesOf = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const pick = (rows: ReadonlyArray<{ readonly ticker: string }>) => () => encodeURIComponent(any(rows).ticker)
  const events = pick(
    yield* sql<{ ticker: string }>`select event_ticker as ticker from event_cards where section = 'active'`
  )
  const closedEvents = pick(
    yield* sql<{
      ticker: string
    }>`select event_ticker as ticker from event_cards where section = 'closed' order by random() limit 500`
  )
  const markets = pick(yield* sql<{ ticker: string }>`select ticker from active_markets`)
  const closedMarkets = pick(
    yield* sql<{ ticker: string }>`select ticker from markets where status = 'finalized' order by random() limit 2000`
  )
  const days = yield* sql<{ series: string; day: string }>`
    select series_ticker as series, day::text as day from coverage_days group by 1, 2`
  const words = ["bitcoin", "temp", "gas no", "eth", "kxs7", "1234", "close 77"]
  const today =
    days
      .map(({ day }) => day)
      .toSorted()
      .at(-1) ?? ""
  const before = fromMillis(Date.parse(today) - 13 * 86_400_000).slice(0, 10)
  const sorts = ["close_time", "open_time", "title", "category", "strike_period", "market_count"]
  const routes: Readonly<Record<string, () => string>> = {
    "page /": () => "/",
    "index active": () => "/api/events?section=active",
    "index scheduled": () => "/api/events?section=scheduled",
    "index closed": () => "/api/events?section=closed",
    "index filtered": () =>
      `/api/events?section=closed&category=${any(["Crypto", "Financials", "Economics"])}&strikePeriod=${any(["hour", "day"])}`,
    "index sorted": () => `/api/events?section=closed&sort=${any(sorts)}&order=${any(["asc", "desc"])}`,
    "index search": () => `/api/events?section=closed&search=${encodeURIComponent(any(words))}`,
    counts: () => "/api/events/counts",
    overview: () => "/api/overview",
    event: () => `/api/events/${randomInt(2) === 0 ? events() : closedEvents()}`,
    forecast: () => `/api/events/${randomInt(2) === 0 ? events() : closedEvents()}/forecast`,
    market: () => `/api/markets/${randomInt(2) === 0 ? markets() : closedMarkets()}`,
    candles: () => `/api/markets/${randomInt(2) === 0 ? markets() : closedMarkets()}/candles`,
    trades: () => `/api/markets/${markets()}/trades`,
    ticks: () => `/api/markets/${markets()}/ticks`,
    gaps: () => `/api/markets/${closedMarkets()}/gaps`,
    book: () => `/api/markets/${markets()}/book`,
    lifecycle: () => `/api/markets/${closedMarkets()}/lifecycle`,
    baskets: () => "/api/opportunities/baskets?quality=all",
    "model gaps": () => "/api/opportunities/model",
    coverage: () => `/api/coverage?from=${before}&to=${today}`,
    "coverage hours": () => {
      const { day, series } = any(days)
      return `/api/coverage/hours?series=${series}&day=${day}`
    },
    health: () => "/api/health",
    queue: () => "/api/queue"
  }
  return routes
})

const cents = (n: number) => `0.${String(n).padStart(4, "0")}` as Decimal

/** Stores ticks at a pace until interrupted; what it did so far. */
const writing = Effect.fnUntraced(function* (rate: number, done: { ticks: number; readonly millis: Array<number> }) {
  const sql = yield* SqlClient.SqlClient
  const ticks = yield* Ticks
  const keys = yield* MarketKeys
  const tickers = (yield* sql<{ ticker: string }>`select ticker from active_markets order by ticker offset 1`).map(
    ({ ticker }) => ticker
  )
  yield* keys.register(new Set(tickers))
  const batch = Math.max(1, Math.round(rate / 10))
  let next = 0
  const store = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const rows = new TickBatch()
    for (let i = 0; i < batch; i++) {
      next += 1
      const price = cents(3000 + (next % 4000))
      rows.add(
        {
          ticker: tickers[next % tickers.length]!,
          exchangeMillis: now,
          receivedMillis: now + 20,
          price,
          yesBid: price,
          yesAsk: cents(3100 + (next % 4000)),
          yesBidSize: "120.00" as Decimal,
          yesAskSize: "80.00" as Decimal,
          lastTradeSize: undefined,
          volume: `${next}.00` as Decimal,
          openInterest: "300.00" as Decimal,
          dollarVolume: undefined,
          dollarOpenInterest: undefined
        },
        "live"
      )
    }
    const began = performance.now()
    yield* transaction(sql)(
      Effect.andThen(ticks.insert(rows), sql`select pg_notify('ticks_stored', ${JSON.stringify({ ticks: batch })})`)
    )
    done.millis.push(performance.now() - began)
    done.ticks += batch
  })
  const start = yield* Clock.currentTimeMillis
  for (let turn = 1; ; turn++) {
    yield* store
    const wait = start + turn * 100 - (yield* Clock.currentTimeMillis)
    if (wait > 0) yield* Effect.sleep(wait)
  }
})

const measured = Effect.fnUntraced(function* (rate: number, seconds: number) {
  const done = { ticks: 0, millis: [] as Array<number> }
  const writer = yield* Effect.forkChild(writing(rate, done), { startImmediately: true })
  yield* Effect.sleep("2 seconds")
  const before = done.ticks
  done.millis.length = 0
  const began = yield* Clock.currentTimeMillis
  yield* Effect.sleep(`${seconds} seconds`)
  const spent = ((yield* Clock.currentTimeMillis) - began) / 1000
  const result = {
    ticksPerSecond: Math.round((done.ticks - before) / spent),
    transactionMillis: quantiles(done.millis)
  }
  yield* Fiber.interrupt(writer)
  return result
})

const reading = Effect.fnUntraced(function* (
  port: number,
  options: Options,
  routes: Readonly<Record<string, () => string>>,
  found: Map<string, Array<number>>,
  refused: Map<string, number>
) {
  const names = Object.keys(routes)
  const agent = new Agent({ keepAlive: true, maxSockets: options.readers })
  const cookies = yield* Effect.forEach(Array.from({ length: options.readers }), () => signIn(port))
  const reader = Effect.fnUntraced(function* (cookie: string) {
    while (true) {
      const name = any(names)
      const { millis, status } = yield* ask({ port, path: routes[name]!(), cookie, agent })
      if (status === 200) found.get(name)?.push(millis) ?? found.set(name, [millis])
      else refused.set(`${name} ${status}`, (refused.get(`${name} ${status}`) ?? 0) + 1)
      yield* Effect.sleep(options.think * (0.5 + randomInt(1000) / 1000))
    }
  })
  yield* Effect.forEach(cookies, reader, { concurrency: "unbounded" })
})

/** Times until each of many clients had a quote that was stored. */
const fanOut = Effect.fnUntraced(function* (port: number, options: Options) {
  const sql = yield* SqlClient.SqlClient
  const [market] = yield* sql<{ ticker: string; event: string; id: number }>`
    select a.ticker, a.event_ticker as event, k.market_id as id from active_markets a join market_keys k using (ticker) order by ticker limit 1`
  const { event, id } = market!
  const cookies = yield* Effect.forEach(Array.from({ length: 50 }), () => signIn(port))
  const stored = new Map<string, number>()
  const delays: Array<number> = []
  let open = 0
  const clients = Array.from({ length: options.streams }, (_, i) => {
    const cookie = cookies[i % cookies.length]!
    const sent = request(
      { port, path: `/api/stream?event=${event}`, headers: { cookie }, agent: false },
      (response) => {
        open += 1
        response.setEncoding("utf8")
        response.on("data", (text: string) => {
          const now = performance.now()
          for (const [, price] of text.matchAll(/"yesBid":"(0\.9\d{5})"/g)) {
            const at = stored.get(price!)
            if (at !== undefined) delays.push(now - at)
          }
        })
      }
    )
    sent.on("error", () => {})
    sent.end()
    return sent
  })
  for (let i = 0; i < 60 && open < options.streams; i++) yield* Effect.sleep("500 millis")
  const rounds = 8
  for (let round = 0; round < rounds; round++) {
    const price = `0.9${String(10_000 + round)}`
    yield* sql`update ticks_latest set yes_bid_dollars = ${price}::numeric, ts = clock_timestamp(), received_at = clock_timestamp() where market_id = ${id}`
    stored.set(price, performance.now())
    yield* sql`select pg_notify('ticks_stored', '{"ticks":1}')`
    yield* Effect.sleep("2 seconds")
  }
  for (const client of clients) client.destroy()
  return { clients: open, expected: open * rounds, ...quantiles(delays) }
})

const bench = Effect.fn("bench.portal")(function* (options: Options) {
  const { url } = yield* EmbeddedPostgres
  yield* Effect.gen(function* () {
    const migrated = yield* Programs.run("migrator", { DATABASE_URL: Redacted.value(url) })
    if (migrated.code !== 0) return yield* Effect.die(new Error(migrated.stderr))
    const began = yield* Clock.currentTimeMillis
    yield* generate({
      closedMarkets: options.closed,
      activeMarkets: options.active,
      candles: options.candles,
      ticks: options.ticks
    })
    yield* settle
    const generatedSeconds = Math.round(((yield* Clock.currentTimeMillis) - began) / 1000)
    const port = yield* Ports.free()
    yield* Programs.running("portal", {
      DATABASE_URL: Redacted.value(url),
      WEB_PORTAL_HOST: "127.0.0.1",
      WEB_PORTAL_PORT: String(port),
      WEB_PORTAL_PASSWORD: password,
      WEB_PORTAL_SECRET_KEY: "a key that only a bench uses"
    })
    yield* Effect.sleep("5 seconds")
    const routes = yield* routesOf
    const cookie = yield* signIn(port)
    const agent = new Agent({ keepAlive: true })
    for (const path of Object.values(routes)) yield* ask({ port, path: path(), cookie, agent })

    const alone = yield* measured(options.rate, options.seconds)
    const found = new Map<string, Array<number>>()
    const refused = new Map<string, number>()
    const readers = yield* Effect.forkChild(reading(port, options, routes, found, refused), { startImmediately: true })
    yield* Effect.sleep("4 seconds")
    const withReaders = yield* measured(options.rate, options.seconds)
    yield* Fiber.interrupt(readers)
    const done = { ticks: 0, millis: [] as Array<number> }
    const writer = yield* Effect.forkChild(writing(options.rate, done), { startImmediately: true })
    const stream = yield* fanOut(port, options)
    yield* Fiber.interrupt(writer)

    const all = [...found.values()].flat()
    const index = [...found]
      .filter(([name]) => name.startsWith("index") || name === "page /")
      .flatMap(([, list]) => list)
    const result = {
      database: {
        closed: options.closed,
        active: options.active,
        candles: options.candles,
        ticks: options.ticks,
        generatedSeconds
      },
      readers: options.readers,
      thinkMillis: options.think,
      requestsPerSecond: Math.round(all.length / options.seconds),
      refused: Object.fromEntries(refused),
      index: quantiles(index),
      all: quantiles(all),
      routes: Object.fromEntries([...found].toSorted().map(([name, list]) => [name, quantiles(list)])),
      stream,
      ingest: {
        alone,
        withReaders,
        slowdown: Number((1 - withReaders.ticksPerSecond / alone.ticksPerSecond).toFixed(3))
      }
    }
    yield* Console.log(options.json ? JSON.stringify(result) : JSON.stringify(result, undefined, 2))
  }).pipe(
    Effect.provide(
      Ticks.layer.pipe(
        Layer.provideMerge(MarketKeys.layer),
        Layer.provideMerge(PgClient.layer({ url, maxConnections: 4 }))
      )
    )
  )
})

const option = (args: ReadonlyArray<string>, name: string, fallback: number) => {
  const found = args.find((arg) => arg.startsWith(`--${name}=`))
  return found === undefined ? fallback : Number(found.slice(name.length + 3))
}

export const main = (args: ReadonlyArray<string>) => {
  const dataDir = fs.mkdtempSync(path.join(os.tmpdir(), "bench-portal-"))
  fs.chmodSync(dataDir, 0o755)
  bench({
    closed: option(args, "closed", 20_000),
    active: option(args, "active", 3_000),
    candles: option(args, "candles", 1_200_000),
    ticks: option(args, "ticks", 5_000_000),
    rate: option(args, "rate", 1_000),
    readers: option(args, "readers", 50),
    think: option(args, "think", 500),
    streams: option(args, "streams", 500),
    seconds: option(args, "seconds", 30),
    json: args.includes("--json")
  }).pipe(
    Effect.scoped,
    Effect.provide(EmbeddedPostgres.layer({ dataDir })),
    Effect.ensuring(Effect.sync(() => fs.rmSync(dataDir, { recursive: true, force: true }))),
    NodeRuntime.runMain
  )
}
