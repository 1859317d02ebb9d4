import * as fs from "node:fs"
import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { TestDatabase } from "../support/Database.ts"
import * as Exchange from "../support/Exchange.ts"
import * as Programs from "../support/Programs.ts"

const until = <A, E, R>(what: string, ask: Effect.Effect<A, E, R>, wanted: (answer: A) => boolean) => {
  let last: A | undefined
  return ask.pipe(
    Effect.tap((answer) =>
      Effect.sync(() => {
        last = answer
      })
    ),
    Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: wanted }),
    Effect.timeoutOrElse({
      duration: "30 seconds",
      orElse: () => Effect.die(new Error(`it never came: ${what}, but ${JSON.stringify(last)}`))
    })
  )
}

const count = (sql: PgClient.PgClient, table: string) =>
  sql<{ n: number }>`select count(*)::int as n from ${sql(table)}`.pipe(Effect.map((rows) => rows[0]!.n))

/** Everything that the exchange said of markets that were open at an instant; when we heard it is not part of it. */
const sums = (sql: PgClient.PgClient, openMillis: number) =>
  sql<{ table: string; rows: number; sum: string }>`
    with wanted as (
      select k.market_id, m.ticker from markets m join market_keys k using (ticker)
      where m.open_time <= to_timestamp(${openMillis / 1000}::float8) and m.close_time > to_timestamp(${openMillis / 1000}::float8)
    )
    select 'ticks' as table, count(*)::int as rows, md5(string_agg(row::text, '|' order by row::text)) as sum
    from (
      select w.ticker, t.ts, t.price_dollars, t.yes_bid_dollars, t.yes_ask_dollars, t.yes_bid_size, t.yes_ask_size,
        t.last_trade_size, t.volume, t.open_interest, t.dollar_volume, t.dollar_open_interest
      from ticks t join wanted w using (market_id)) row
    union all
    select 'trades', count(*)::int, md5(string_agg(row::text, '|' order by row::text))
    from (
      select w.ticker, t.ts, t.trade_id, t.count, t.yes_price_dollars, t.taker_yes
      from trades t join wanted w using (market_id) where t.received_at is not null) row`

describe("node dist/replay.js", () => {
  it.live(
    "plays a recorded journal into a fresh recorder: both databases hold the same ticks and trades",
    () =>
      Effect.gen(function* () {
        const http = yield* HttpClient.HttpClient
        const home = yield* Programs.folder
        const exchange = yield* Exchange.start(path.join(home, "keys"), ["--speed=20", "--seed=4"])
        const first = Context.get(yield* Layer.build(Layer.fresh(TestDatabase.layerEmpty)), PgClient.PgClient)
        const firstUrl = Redacted.value(first.config.url!)
        const common = {
          KALSHI_WS_CHANNELS: "ticker,trade,market_lifecycle_v2",
          BACKFILL_SECONDS: "0",
          CLOSED_CLEANUP_SECONDS: "0",
          TRADE_RECONCILE_SECONDS: "0"
        }
        const recording = {
          ...common,
          DATABASE_URL: firstUrl,
          DATA_DIR: path.join(home, "first"),
          ...exchange.settings
        }
        assert.strictEqual((yield* Programs.run("migrator", recording)).code, 0)
        const rest = yield* Programs.running("rest", recording)
        yield* until("markets", count(first, "active_markets"), (n) => n > 50)
        const ws = yield* Programs.running("ws", recording)
        yield* until("ticks", count(first, "ticks"), (n) => n > 2_000)
        assert.strictEqual(yield* ws.end("SIGTERM"), 0, ws.stderr())
        assert.strictEqual(yield* rest.end("SIGTERM"), 0, rest.stderr())
        yield* exchange.end("SIGTERM")

        const keys = path.join(home, "replay-keys")
        const replay = yield* Programs.running("replay", recording, [
          "--source=journal",
          "--speed=max",
          "--hold-ms=4000",
          `--keys-dir=${keys}`
        ])
        const announced = JSON.parse(yield* replay.firstLine)
        const stats = http.get(`${announced.control}/stats`).pipe(
          Effect.flatMap(({ text }) => text),
          Effect.map((text) => JSON.parse(text))
        )
        const startMillis = Date.parse((yield* stats).exchangeTime)
        const second = Context.get(yield* Layer.build(Layer.fresh(TestDatabase.layerEmpty)), PgClient.PgClient)
        const again = {
          ...common,
          DATABASE_URL: Redacted.value(second.config.url!),
          DATA_DIR: path.join(home, "second"),
          KALSHI_API_KEY_ID: fs.readFileSync(path.join(keys, "kalshi-key-id"), "utf8").trim(),
          KALSHI_PRIVATE_KEY_PEM_PATH: path.join(keys, "kalshi-key.pem"),
          KALSHI_REST_URL: announced.rest,
          KALSHI_WS_URL: announced.ws,
          EXCHANGE_CLOCK: `${yield* Clock.currentTimeMillis}:${startMillis}:0.001`
        }
        assert.strictEqual((yield* Programs.run("migrator", again)).code, 0)
        const rest2 = yield* Programs.running("rest", again)
        yield* until("markets again", count(second, "active_markets"), (n) => n > 50)
        const ws2 = yield* Programs.running("ws", again)
        const ended = yield* until("the end", stats, ({ state }) => state === "ended")
        assert.isAbove(ended.played.ticker, 2_000)
        yield* until(
          "the last frame",
          second<{ n: number }>`select coalesce(sum(frames), 0)::int as n from journal_positions`,
          ([row]) => row!.n >= ended.sent.ticker + (ended.sent.trade ?? 0)
        )
        assert.strictEqual(yield* ws2.end("SIGTERM"), 0, ws2.stderr())
        assert.strictEqual(yield* rest2.end("SIGTERM"), 0, rest2.stderr())
        const recorded = yield* sums(first, startMillis)
        assert.deepStrictEqual(yield* sums(second, startMillis), recorded)
        assert.isAbove(recorded[0]!.rows, 1_000)
        assert.isAbove(recorded[1]!.rows, 20)
        assert.strictEqual(yield* replay.end("SIGTERM"), 0, replay.stderr())
      }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerNodeHttp)),
    180_000
  )
})
