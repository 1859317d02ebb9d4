import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { WebSocket } from "ws"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { connect, type Frame, fetchJson, start } from "./Support.ts"

const open = Effect.fnUntraced(function* () {
  const simulator = yield* Simulator
  return { simulator, client: yield* connect(simulator.wsUrl, simulator) }
})

const get = (url: string) => Effect.promise(() => fetchJson(url))
const ticker = "KXBTCD-26AUG2412"

const anyMarkets = Effect.fnUntraced(function* () {
  const { restUrl } = yield* Simulator
  const body = yield* get(`${restUrl}/markets?status=open&series_ticker=KXETHD`)
  return body.markets.map((market: { ticker: string }) => market.ticker)
})

layer(
  Simulator.layer({
    speed: 0,
    startMs: start,
    seed: 3,
    pingMillis: 100,
    strictness: { maxMarketsPerSubscription: 60, refusePrivateChannels: true, novelty: 0 }
  })
)("commands", (it) => {
  it.effect("refuses an unsigned upgrade with a body", () =>
    Effect.gen(function* () {
      const { wsUrl } = yield* Simulator
      const [status, body] = yield* Effect.promise(
        () =>
          new Promise<readonly [number | undefined, string]>((resolve) => {
            const socket = new WebSocket(wsUrl)
            socket.on("unexpected-response", (_, response) => {
              let text = ""
              response.on("data", (chunk) => (text += chunk))
              response.on("end", () => resolve([response.statusCode, text]))
            })
          })
      )
      assert.strictEqual(status, 401)
      assert.include(body, '"error"')
    })
  )

  it.effect("answers every mistake with its code", () =>
    Effect.gen(function* () {
      const { client } = yield* open()
      const book = { channels: ["orderbook_delta"], market_ticker: "KXBTCD-1" }
      const mistakes: ReadonlyArray<readonly [number, Record<string, unknown>]> = [
        [5, { cmd: "dance" }],
        [2, { cmd: "subscribe" }],
        [3, { cmd: "subscribe", params: {} }],
        [4, { cmd: "unsubscribe", params: {} }],
        [7, { cmd: "unsubscribe", params: { sids: [99] } }],
        [8, { cmd: "subscribe", params: { channels: ["ticker_v2"] } }],
        [9, { cmd: "subscribe", params: { channels: ["fill"] } }],
        [11, { cmd: "subscribe", params: { channels: ["ticker"], market_ticker: "A", market_tickers: ["B"] } }],
        [14, { cmd: "subscribe", params: { channels: ["orderbook_delta"] } }],
        [24, { cmd: "subscribe", params: { channels: ["cfbenchmarks_value"] } }],
        [28, { cmd: "subscribe", params: { channels: ["pyth_value"] } }],
        [
          26,
          {
            cmd: "subscribe",
            params: { channels: ["ticker"], market_tickers: Array.from({ length: 61 }, (_, i) => `M${i}`) }
          }
        ],
        [12, { cmd: "update_subscription", params: { action: "add_markets", market_ticker: "A" } }],
        [12, { cmd: "update_subscription", params: { sids: [1, 2], action: "add_markets", market_ticker: "A" } }],
        [7, { cmd: "update_subscription", params: { sid: 99, action: "add_markets", market_ticker: "A" } }]
      ]
      for (const [i, [code, command]] of mistakes.entries()) {
        const reply = yield* client.ask({ id: i + 1, ...command })
        assert.strictEqual(reply.type, "error")
        assert.strictEqual(reply.msg.code, code, JSON.stringify(command))
      }
      client.send("not json")
      const broken = yield* client.until(() => client.frames.find((frame) => frame.msg?.code === 1))
      assert.isUndefined(broken.id)
      yield* client.ask(Object.assign({ id: 50 }, { cmd: "subscribe", params: book }))
      const tied: ReadonlyArray<readonly [number, Record<string, unknown>]> = [
        [15, { sid: 1, market_ticker: "A" }],
        [13, { sid: 1, action: "sing", market_ticker: "A" }],
        [14, { sid: 1, action: "get_snapshot" }]
      ]
      for (const [i, [code, params]] of tied.entries()) {
        const reply = yield* client.ask(Object.assign({ id: 60 + i }, { cmd: "update_subscription", params }))
        assert.strictEqual(reply.msg.code, code)
        assert.strictEqual(reply.seq, i + 1)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("merges, numbers, lists, snapshots and unsubscribes", () =>
    Effect.gen(function* () {
      const { client } = yield* open()
      const [a, b, c] = yield* anyMarkets()
      const ask = (id: number, cmd: string, params?: unknown) => client.ask(Object.assign({ id }, { cmd, params }))
      const first = yield* ask(1, "subscribe", { channels: ["orderbook_delta"], market_tickers: [a] })
      assert.deepStrictEqual(first.msg, { channel: "orderbook_delta", sid: 1 })
      yield* client.until(() => client.frames.find((frame) => frame.seq === 1))
      const merged = yield* ask(2, "subscribe", { channels: ["orderbook_delta"], market_tickers: [a, b] })
      assert.strictEqual(merged.type, "ok")
      assert.deepStrictEqual([merged.sid, merged.seq, merged.msg.market_tickers], [1, 2, [a, b]])
      const snapshot = yield* client.until(() => client.frames.find((frame) => frame.seq === 3))
      assert.deepStrictEqual([snapshot.type, snapshot.msg.market_ticker], ["orderbook_snapshot", b])
      const added = yield* ask(3, "update_subscription", { sids: [1], action: "add_markets", market_ticker: c })
      assert.deepStrictEqual([added.seq, added.msg.market_tickers], [4, [a, b, c]])
      const asked = yield* ask(4, "update_subscription", { sid: 1, action: "get_snapshot", market_ticker: a })
      assert.deepStrictEqual([asked.type, asked.seq], ["orderbook_snapshot", 6])
      const removed = yield* ask(5, "update_subscription", { sid: 1, action: "delete_markets", market_tickers: [a] })
      assert.deepStrictEqual([removed.seq, removed.msg.market_tickers], [7, [b, c]])
      yield* ask(6, "subscribe", { channels: ["ticker"], market_tickers: [a] })
      const quiet = yield* ask(7, "update_subscription", {
        sid: 2,
        action: "add_markets",
        market_ticker: b,
        skip_ticker_ack: true
      })
      assert.isFalse("seq" in quiet)
      assert.isFalse("market_tickers" in quiet.msg)
      const list = yield* ask(8, "list_subscriptions")
      assert.deepStrictEqual(list.msg, [
        { channel: "orderbook_delta", sid: 1 },
        { channel: "ticker", sid: 2 }
      ])
      const gone = yield* ask(9, "unsubscribe", { sids: [1] })
      assert.deepStrictEqual([gone.type, gone.sid, gone.seq], ["unsubscribed", 1, 8])
      yield* client.until(() => client.pings.includes("heartbeat"))
    }).pipe(Effect.scoped)
  )

  it.effect("ends a subscription on the terminal errors", () =>
    Effect.gen(function* () {
      const { client, simulator } = yield* open()
      yield* client.ask(Object.assign({ id: 1 }, { cmd: "subscribe", params: { channels: ["trade"] } }))
      yield* simulator.control.fail(25, "trade")
      const ended = yield* client.until(() => client.frames.find((frame) => frame.msg?.code === 25))
      assert.strictEqual(ended.sid, 1)
      const list = yield* client.ask(Object.assign({ id: 2 }, { cmd: "list_subscriptions" }))
      assert.deepStrictEqual(list.msg, [])
      yield* simulator.control.dropConnections(1012)
      assert.strictEqual(yield* client.until(() => client.closeCode), 1012)
    }).pipe(Effect.scoped)
  )
})

layer(Simulator.layer({ speed: 0, startMs: start, seed: 3, strictness: { novelty: 0 } }))("the feed", (it) => {
  it.effect("tells one hour as it happens, and REST agrees", () =>
    Effect.gen(function* () {
      const { client, simulator } = yield* open()
      const books = yield* anyMarkets()
      yield* client.ask(
        Object.assign({ id: 1 }, { cmd: "subscribe", params: { channels: ["ticker", "trade", "market_lifecycle_v2"] } })
      )
      yield* client.ask(
        Object.assign({ id: 2 }, { cmd: "subscribe", params: { channels: ["orderbook_delta"], market_tickers: books } })
      )
      yield* simulator.control.advance(9 * 60_000)
      const ok = yield* client.ask(Object.assign({ id: 3 }, { cmd: "list_subscriptions" }))
      assert.strictEqual(ok.type, "ok")
      yield* booksAgree(client.frames, simulator.restUrl, books.slice(0, 60))
      const opening = client.frames.filter(
        (frame) => frame.msg.market_ticker?.startsWith(ticker) && frame.type === "market_lifecycle_v2"
      )
      assert.deepStrictEqual(opening, [])
      yield* simulator.control.advance(40 * 60_000)
      yield* client.ask(Object.assign({ id: 4 }, { cmd: "list_subscriptions" }))
      const words = new Map<string, Array<string>>()
      for (const { msg, type } of client.frames)
        if (type === "market_lifecycle_v2" && msg.market_ticker.startsWith(ticker))
          words.set(msg.market_ticker, [...(words.get(msg.market_ticker) ?? []), msg.event_type])
      assert.strictEqual(words.size, 80)
      for (const order of words.values()) assert.deepStrictEqual(order, ["determined", "settled"])
      for (const sid of [2, 3, 4]) {
        const seqs = client.frames
          .filter((frame) => frame.sid === sid && frame.seq !== undefined)
          .map((frame) => frame.seq)
        assert.deepStrictEqual(
          seqs,
          seqs.map((_, i) => i + 1)
        )
      }
      assert.isTrue(client.frames.some((frame) => frame.type === "event_lifecycle"))
      assert.isTrue(client.frames.some((frame) => frame.msg.event_type === "created"))
      const tickers = client.frames.filter((frame) => frame.type === "ticker")
      const keys = tickers.map((frame) => `${frame.msg.market_ticker}\t${frame.msg.ts_ms}`)
      assert.strictEqual(new Set(keys).size, keys.length)
      const ledger = (yield* simulator.control.sent("ticker")).trimEnd().split("\n")
      assert.deepStrictEqual(ledger.sort(), keys.map((key) => `${key}\t1`).sort())
      const traded = client.frames.filter((frame) => frame.type === "trade").map((frame) => frame.msg.trade_id)
      const rest = yield* get(`${simulator.restUrl}/markets/trades?limit=1000&min_ts=${start / 1000 + 1}`)
      const ids = new Set(traded)
      for (const trade of rest.trades) assert.isTrue(ids.has(trade.trade_id), trade.created_time)
      for (const text of client.texts)
        assert.match(text, /^\{"type":"\w+"(,"id":\d+)?(,"sid":\d+)?(,"seq":\d+)?(,"msg":.*)?\}$/)
    }).pipe(Effect.scoped)
  )

  it.effect("pauses and resumes a market, and moves its close", () =>
    Effect.gen(function* () {
      const { client, simulator } = yield* open()
      const [market] = yield* anyMarkets()
      yield* client.ask(Object.assign({ id: 1 }, { cmd: "subscribe", params: { channels: ["market_lifecycle_v2"] } }))
      const status = Effect.map(get(`${simulator.restUrl}/markets/${market}`), (body) => body.market)
      const now = Date.parse((yield* simulator.control.stats).exchangeTime)
      yield* simulator.control.deactivate(market)
      yield* simulator.control.advance(1000)
      assert.strictEqual((yield* status).status, "inactive")
      yield* simulator.control.activate(market)
      yield* simulator.control.advance(1000)
      assert.strictEqual((yield* status).status, "active")
      yield* simulator.control.moveClose(market, now + 60_000)
      assert.strictEqual(Date.parse((yield* status).close_time), now + 60_000)
      yield* simulator.control.advance(600_000)
      assert.strictEqual((yield* status).status, "finalized")
      const words = yield* client.until(() => {
        const said = client.frames
          .filter((frame) => frame.msg.market_ticker === market)
          .map((frame) => frame.msg.event_type)
        return said.includes("settled") && said
      })
      assert.deepStrictEqual(words, ["deactivated", "activated", "close_date_updated", "determined", "settled"])
    }).pipe(Effect.scoped)
  )
})

const booksAgree = Effect.fnUntraced(function* (
  frames: ReadonlyArray<Frame>,
  restUrl: string,
  tickers: ReadonlyArray<string>
) {
  const books = new Map<string, Map<string, number>>()
  const cents = (text: string) => Math.round(Number(text) * 100)
  for (const { msg, type } of frames) {
    if (type === "orderbook_snapshot")
      books.set(
        msg.market_ticker,
        new Map([
          ...(msg.yes_dollars_fp ?? []).map(([price, size]: [string, string]) => [`yes${price}`, cents(size)] as const),
          ...(msg.no_dollars_fp ?? []).map(([price, size]: [string, string]) => [`no${price}`, cents(size)] as const)
        ])
      )
    if (type !== "orderbook_delta") continue
    const book = books.get(msg.market_ticker)!
    const key = `${msg.side}${msg.price_dollars}`
    const size = (book.get(key) ?? 0) + cents(msg.delta_fp)
    if (size <= 0) book.delete(key)
    else book.set(key, size)
  }
  const body = yield* get(`${restUrl}/markets/orderbooks?${tickers.map((one) => `tickers=${one}`).join("&")}`)
  for (const { orderbook_fp, ticker: name } of body.orderbooks) {
    const expected = [
      ...orderbook_fp.yes_dollars.map(([price, size]: [string, string]) => [`yes${price}`, cents(size)]),
      ...orderbook_fp.no_dollars.map(([price, size]: [string, string]) => [`no${price}`, cents(size)])
    ]
    assert.deepStrictEqual([...books.get(name)!].sort(), expected.sort(), name)
  }
})
