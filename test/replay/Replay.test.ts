import { createHash } from "node:crypto"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AccountApi, Configuration, EventsApi, ExchangeApi, MarketApi } from "kalshi-typescript"
import * as Timestamp from "../../src/market/Timestamp.ts"
import type { ReplayOptions } from "../../src/replay/ReplayServer.ts"
import { makeSigningKey, type SigningKey } from "../../src/simulator/SigningKey.ts"
import { connect, type Frame, fetchJson } from "../simulator/Support.ts"
import { TestDatabase } from "../support/Database.ts"
import { messages, optionsWith, recorded, replaying, start } from "./Recording.ts"

class Recording extends Context.Service<Recording, { readonly journals: string; readonly key: SigningKey }>()(
  "kalshi-ingestor/test/Recording"
) {
  static readonly layer = Layer.effect(
    Recording,
    Effect.gen(function* () {
      return Recording.of({ journals: yield* recorded, key: yield* makeSigningKey })
    })
  ).pipe(Layer.provideMerge(TestDatabase.layer))
}

const everyChannel = {
  id: 1,
  cmd: "subscribe",
  params: { channels: ["ticker", "trade", "market_lifecycle_v2"] }
}
const books = { id: 2, cmd: "subscribe", params: { channels: ["orderbook_delta"], market_tickers: ["KXBTCD-1-A"] } }

const isEnd = (frame: Frame) => frame.type === "replay_end"

/** Everything that one client hears of a replay, from two subscriptions to the end. */
const heard = (from: "journal" | "database", given: Partial<ReplayOptions> = {}) =>
  Effect.gen(function* () {
    const { journals, key } = yield* Recording
    const server = yield* replaying(optionsWith(key, given), from === "journal" ? journals : undefined)
    const client = yield* connect(server.wsUrl, key)
    client.send(everyChannel)
    client.send(books)
    yield* client.until(() => client.frames.some(isEnd))
    return { server, client, frames: client.frames, texts: client.texts, stats: yield* server.stats }
  })

const plain = (text: string) => text.replace(/"sid":\d+,(?:"seq":\d+,)?/, "").replace(/"id":\d+,/, "")

layer(Recording.layer, { timeout: 60_000, excludeTestServices: true })("a replay", (it) => {
  it.effect("gives every message of the journal byte for byte, in order, and tells its gap", () =>
    Effect.gen(function* () {
      const { frames, stats, texts } = yield* heard("journal")
      const data = texts.filter((text) => !/"type":"(subscribed|replay_\w+)"/.test(text))
      assert.deepStrictEqual(
        data.map(plain),
        messages.map(({ raw }) => plain(raw))
      )
      for (const sid of [2, 3, 4])
        assert.deepStrictEqual(
          frames.filter((frame) => frame.sid === sid).map((frame) => frame.seq),
          frames.filter((frame) => frame.sid === sid).map((_, at) => at + 1)
        )
      assert.isTrue(frames.filter((frame) => frame.sid === 1).every((frame) => frame.seq === undefined))
      const at = frames.findIndex((frame) => frame.type === "replay_gap")
      const { from_ts_ms, ...gap } = frames[at]!.msg
      assert.isTrue(from_ts_ms > start + 9_000 && from_ts_ms <= start + 12_000, String(from_ts_ms))
      assert.deepStrictEqual(gap, {
        feed: "all",
        market_ticker: null,
        to_ts_ms: start + 15_000,
        cause: "disconnect"
      })
      assert.strictEqual(frames[at + 1]?.msg.ts_ms, start + 16_000, texts.slice(at - 2, at + 3).join("\n"))
      assert.deepStrictEqual(frames.find(isEnd)!.msg, { frames: messages.length, ts_ms: start + 18_000 })
      assert.strictEqual(stats.skipped, 1)
      assert.strictEqual(stats.gaps, 1)
      assert.strictEqual(stats.state, "ended")
    })
  )

  it.effect("gives the same bytes every time", () =>
    Effect.gen(function* () {
      const sums: Array<string> = []
      for (const speed of ["max", "max", 200] as const) {
        const { texts } = yield* Effect.scoped(heard("journal", { speed }))
        sums.push(createHash("sha256").update(texts.join("\n")).digest("hex"))
      }
      assert.strictEqual(new Set(sums).size, 1)
    })
  )

  it.effect("tells the rows of the database as the frames they were", () =>
    Effect.gen(function* () {
      const { frames } = yield* heard("database", {
        span: { fromMillis: start, toMillis: start + 60_000 },
        isFromFirst: false
      })
      const types = [
        "ticker",
        "trade",
        "orderbook_delta",
        "orderbook_snapshot",
        "market_lifecycle_v2",
        "event_lifecycle"
      ]
      const told = frames.filter(({ type }) => types.includes(type))
      const wanted: ReadonlyArray<Frame> = messages
        .map(({ raw }) => JSON.parse(raw))
        .filter(({ type }) => types.includes(type))
      const essence = ({ msg, type }: Frame) => {
        const { market_id: _, time: __, ts: ___, ...rest } = msg
        return { type, msg: rest }
      }
      assert.deepStrictEqual(told.map(essence), wanted.map(essence))
      assert.strictEqual(new Set(told.filter(({ type }) => type === "ticker").map(({ msg }) => msg.market_id)).size, 2)
    })
  )

  it.effect("begins in the middle with the books and quotes as they stood", () =>
    Effect.gen(function* () {
      const { key, journals } = yield* Recording
      const middle = { span: { fromMillis: start + 7_500, toMillis: start + 60_000 }, isFromFirst: false }
      for (const from of [journals, undefined]) {
        const server = yield* replaying(optionsWith(key, { ...middle, holdMillis: 500 }), from)
        const client = yield* connect(server.wsUrl, key)
        const ask = { channels: ["ticker"], market_tickers: ["KXBTCD-1-A"], send_initial_snapshot: true }
        client.send({ id: 1, cmd: "subscribe", params: ask })
        client.send(books)
        const book = yield* client.until(() => client.frames.find((frame) => frame.type === "orderbook_snapshot"))
        assert.deepStrictEqual(book.msg.yes_dollars_fp, [["0.4400", "10.00"]])
        assert.deepStrictEqual(book.msg.no_dollars_fp, [
          ["0.5300", "120.00"],
          ["0.5400", "7.25"]
        ])
        assert.strictEqual(client.frames.find((frame) => frame.type === "ticker")!.msg.ts_ms, start + 3_000)
        yield* client.until(() => client.frames.some(isEnd))
        const ticks = client.frames.filter((frame) => frame.type === "ticker").map((frame) => frame.msg.ts_ms)
        assert.deepStrictEqual(ticks, [start + 3_000, start + 8_000, start + 16_000])
      }
    })
  )

  it.effect("answers commands as the exchange does", () =>
    Effect.gen(function* () {
      const { key, journals } = yield* Recording
      const server = yield* replaying(optionsWith(key, { holdMillis: 300_000 }), journals)
      const client = yield* connect(server.wsUrl, key)
      const ticker = { channels: ["ticker"], market_tickers: ["KXBTCD-1-A"] }
      assert.deepStrictEqual((yield* client.ask({ id: 1, ...{ cmd: "subscribe", params: ticker } })).msg, {
        channel: "ticker",
        sid: 1
      })
      const update = { sid: 1, action: "add_markets", market_tickers: ["KXBTCD-1-B"] }
      const added = yield* client.ask({ id: 2, ...{ cmd: "update_subscription", params: update } })
      assert.deepStrictEqual(added.msg, { market_tickers: ["KXBTCD-1-A", "KXBTCD-1-B"] })
      const listed = yield* client.ask({ id: 3, ...{ cmd: "list_subscriptions" } })
      assert.deepStrictEqual(listed.msg, [{ channel: "ticker", sid: 1 }])
      const wrong = yield* client.ask({ id: 4, ...{ cmd: "unsubscribe", params: { sids: [9] } } })
      assert.strictEqual(wrong.msg.code, 7)
      const gone = yield* client.ask({ id: 5, ...{ cmd: "unsubscribe", params: { sids: [1] } } })
      assert.strictEqual(gone.type, "unsubscribed")
      const stranger = yield* makeSigningKey
      assert.strictEqual((yield* Effect.exit(connect(server.wsUrl, stranger)))._tag, "Failure")
    })
  )

  it.effect("plays only what was chosen", () =>
    Effect.gen(function* () {
      const { frames } = yield* heard("journal", { choice: { series: [], events: [], markets: ["KXBTCD-1-B"] } })
      const tickers = new Set(frames.flatMap(({ msg }) => msg?.market_ticker ?? []))
      assert.deepStrictEqual([...tickers], ["KXBTCD-1-B"])
    })
  )

  it.effect("serves the vendor's own client what was known at the replay's clock, and nothing later", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { key } = yield* Recording
      yield* sql`
        update markets set created_time = open_time, status = 'finalized', result = 'yes', settlement_value_dollars = 1,
          determination_ts = close_time + interval '1 minute', settlement_ts = close_time + interval '5 minutes'`
      yield* sql`insert into events (event_ticker, series_ticker) values ('KXBTCD-1', 'KXBTCD') on conflict (event_ticker) do update set series_ticker = 'KXBTCD'`
      yield* sql`insert into series (ticker, frequency) values ('KXBTCD', 'hourly') on conflict do nothing`
      yield* sql`
        insert into market_candles (market_ticker, period_interval_minutes, start_period_ts, end_period_ts, open, high, low, close,
          yes_bid_open, yes_bid_high, yes_bid_low, yes_bid_close, yes_ask_open, yes_ask_high, yes_ask_low, yes_ask_close, volume, open_interest)
        select 'KXBTCD-1-A', 1, t, t + interval '1 minute', 0.47, 0.48, 0.46, 0.47, 0.45, 0.45, 0.44, 0.44, 0.47, 0.47, 0.47, 0.47, 93, 1834.25
        from unnest(array[${Timestamp.fromMillis(start)}::timestamptz, ${Timestamp.fromMillis(start + 60_000)}::timestamptz]) as t`
      const at = (millis: number) =>
        Effect.gen(function* () {
          const server = yield* replaying(
            optionsWith(key, {
              span: { fromMillis: millis, toMillis: millis + 1_000 },
              isFromFirst: false,
              holdMillis: 300_000
            }),
            undefined
          )
          return new Configuration({ apiKey: key.keyId, privateKeyPem: key.privateKeyPem, basePath: server.restUrl })
        })
      const early = yield* at(start + 70_000)
      const { data } = yield* Effect.promise(() =>
        new EventsApi(early).getEvents(200, undefined, true, undefined, "open", "KXBTCD")
      )
      assert.deepStrictEqual(
        data.events.map(({ event_ticker, markets }) => [
          event_ticker,
          markets?.map(({ result, status, ticker }) => [ticker, status, result])
        ]),
        [
          [
            "KXBTCD-1",
            [
              ["KXBTCD-1-A", "active", ""],
              ["KXBTCD-1-B", "active", ""]
            ]
          ]
        ]
      )
      const api = new MarketApi(early)
      const market = (yield* Effect.promise(() => api.getMarket("KXBTCD-1-A"))).data.market
      assert.strictEqual(market.yes_bid_dollars, "0.4600")
      assert.strictEqual(market.no_ask_dollars, "0.5400")
      assert.isUndefined(market.settlement_value_dollars)
      const seconds = start / 1000
      const candles = yield* Effect.promise(() =>
        api.getMarketCandlesticks("KXBTCD", "KXBTCD-1-A", seconds, seconds + 3600, 1)
      )
      assert.deepStrictEqual(
        candles.data.candlesticks.map(({ end_period_ts, price }) => [end_period_ts, price.close_dollars]),
        [[seconds + 60, "0.4700"]]
      )
      const trades = (yield* Effect.promise(() => api.getTrades(1))).data
      assert.deepStrictEqual(
        trades.trades.map(({ ticker }) => ticker),
        ["KXBTCD-1-B"]
      )
      const rest = (yield* Effect.promise(() => api.getTrades(1, trades.cursor))).data
      assert.deepStrictEqual([rest.trades.map(({ ticker }) => ticker), rest.cursor], [["KXBTCD-1-A"], ""])
      const book = (yield* Effect.promise(() => api.getMarketOrderbook("KXBTCD-1-A", 1))).data.orderbook_fp
      assert.deepStrictEqual(book.no_dollars, [["0.5400", "7.25"]])
      const page = (yield* Effect.promise(() => api.getMarkets(1))).data
      const next = (yield* Effect.promise(() => api.getMarkets(1, page.cursor))).data
      assert.deepStrictEqual(
        [...page.markets, ...next.markets].map(({ ticker }) => ticker),
        ["KXBTCD-1-A", "KXBTCD-1-B"]
      )
      assert.strictEqual(next.cursor, "")
      assert.isTrue((yield* Effect.promise(() => new ExchangeApi(early).getExchangeStatus())).data.trading_active)
      assert.strictEqual(
        (yield* Effect.promise(() => new AccountApi(early).getAccountApiLimits())).data.read.refill_rate,
        2000
      )

      const late = new MarketApi(yield* at(start + 3600_000 + 6 * 60_000))
      const settled = (yield* Effect.promise(() => late.getMarket("KXBTCD-1-A"))).data.market
      assert.deepStrictEqual(
        [settled.status, settled.result, settled.settlement_value_dollars],
        ["finalized", "yes", "1.0000"]
      )
    })
  )

  it.effect("keeps to its pace, and says where it is", () =>
    Effect.gen(function* () {
      const { journals, key } = yield* Recording
      const server = yield* replaying(optionsWith(key, { speed: 4 }), journals)
      const client = yield* connect(server.wsUrl, key)
      client.send(everyChannel)
      yield* client.until(() => client.frames.some((frame) => frame.type === "ticker"))
      const stats = yield* Effect.promise(() => fetchJson(`${server.controlUrl}/stats`))
      assert.strictEqual(stats.state, "playing")
      assert.isBelow(Date.parse(stats.exchangeTime), start + 8_000)
      assert.strictEqual(stats.clock.speed, 4)
    })
  )
})
