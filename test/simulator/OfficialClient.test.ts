import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AccountApi, Configuration, EventsApi, ExchangeApi, HistoricalApi, MarketApi } from "kalshi-typescript"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { start } from "./Support.ts"

const configuration = Effect.map(
  Simulator,
  ({ keyId, privateKeyPem, restUrl }) => new Configuration({ apiKey: keyId, privateKeyPem, basePath: restUrl })
)
const seconds = start / 1000

layer(Simulator.layer({ speed: 0, startMs: start, seed: 3 }))("the vendor's own client", (it) => {
  it.effect("reads events with their markets", () =>
    Effect.gen(function* () {
      const api = new EventsApi(yield* configuration)
      const { data } = yield* Effect.promise(() => api.getEvents(200, undefined, true, undefined, "open", "KXBTCD"))
      assert.strictEqual(data.cursor, "")
      assert.deepStrictEqual(
        data.events.map((event) => event.event_ticker),
        ["KXBTCD-26AUG2412"]
      )
      const markets = data.events[0]!.markets ?? []
      assert.strictEqual(markets.length, 80)
      assert.match(markets[0]!.ticker, /^KXBTCD-26AUG2412-T\d+\.99$/)
      assert.strictEqual(markets[0]!.status, "active")
      assert.strictEqual(markets[0]!.close_time, "2026-08-24T16:00:00Z")
    })
  )

  it.effect("reads candles, trades and books that agree with each other", () =>
    Effect.gen(function* () {
      const config = yield* configuration
      const api = new MarketApi(config)
      const { data } = yield* Effect.promise(() =>
        api.getMarkets(
          1000,
          undefined,
          undefined,
          "KXBTCD",
          undefined,
          undefined,
          undefined,
          undefined,
          undefined,
          undefined,
          undefined,
          "open"
        )
      )
      const market = data.markets.reduce((best, next) =>
        Number(next.volume_fp) > Number(best.volume_fp) ? next : best
      )
      const candles = yield* Effect.promise(() =>
        api.getMarketCandlesticks("KXBTCD", market.ticker, seconds - 3600, seconds + 60, 1)
      )
      const trades: Array<{ count_fp: string; created_time: string; trade_id: string }> = []
      let cursor: string | undefined
      do {
        const page = yield* Effect.promise(() => api.getTrades(50, cursor, market.ticker))
        trades.push(...page.data.trades)
        cursor = page.data.cursor
      } while (cursor)
      assert.isAbove(trades.length, 50)
      assert.strictEqual(new Set(trades.map((trade) => trade.trade_id)).size, trades.length)
      const cents = (text: string) => Math.round(Number(text) * 100)
      const traded = trades.reduce((sum, trade) => sum + cents(trade.count_fp), 0)
      const summed = candles.data.candlesticks.reduce((sum, candle) => sum + cents(candle.volume_fp), 0)
      assert.strictEqual(traded, cents(market.volume_fp))
      assert.strictEqual(summed, traded)
      const last = candles.data.candlesticks[candles.data.candlesticks.length - 1]!
      assert.strictEqual(last.yes_bid.close_dollars, market.yes_bid_dollars)
      assert.strictEqual(last.yes_ask.close_dollars, market.yes_ask_dollars)
      assert.strictEqual(last.open_interest_fp, market.open_interest_fp)
      const book = (yield* Effect.promise(() => api.getMarketOrderbook(market.ticker, 2))).data.orderbook_fp
      assert.deepStrictEqual(book.yes_dollars[book.yes_dollars.length - 1], [
        market.yes_bid_dollars,
        market.yes_bid_size_fp
      ])
      assert.isTrue(Number(book.yes_dollars[0]![0]) < Number(book.yes_dollars[1]![0]))
      const books = yield* Effect.promise(() => api.getMarketOrderbooks([market.ticker, "KXNONE-1"]))
      assert.strictEqual(books.data.orderbooks.length, 1)
      const batch = yield* Effect.promise(() =>
        api.batchGetMarketCandlesticks(`${market.ticker},KXNONE-1`, seconds - 3600, seconds, 60)
      )
      assert.deepStrictEqual(
        batch.data.markets.map((entry) => entry.market_ticker),
        [market.ticker]
      )
    })
  )

  it.effect("finds old markets in the historical tier only", () =>
    Effect.gen(function* () {
      const config = yield* configuration
      const history = new HistoricalApi(config)
      const cutoff = (yield* Effect.promise(() => history.getHistoricalCutoff())).data.market_settled_ts
      assert.strictEqual(cutoff, "2026-08-22T00:00:00Z")
      const page = yield* Effect.promise(() =>
        history.getHistoricalMarkets(10, undefined, undefined, undefined, "KXBTCD")
      )
      const old = page.data.markets[0]!
      assert.strictEqual(old.status, "finalized")
      const gone = yield* Effect.promise(() =>
        new MarketApi(config).getMarket(old.ticker).then(
          () => 200,
          (error) => error.response.status
        )
      )
      assert.strictEqual(gone, 404)
      const close = Date.parse(old.close_time) / 1000
      const candles = yield* Effect.promise(() =>
        history.getMarketCandlesticksHistorical(old.ticker, close - 3600, close + 60, 60)
      )
      assert.strictEqual(typeof candles.data.candlesticks[0]!.yes_bid.open, "string")
      const { data } = yield* Effect.promise(() => new EventsApi(config).getEvent(old.event_ticker, true))
      assert.isFalse("markets" in data.event)
    })
  )

  it.effect("reads the account and the exchange", () =>
    Effect.gen(function* () {
      const config = yield* configuration
      const limits = (yield* Effect.promise(() => new AccountApi(config).getAccountApiLimits())).data
      assert.deepStrictEqual({ ...limits.read }, { bucket_capacity: 600, refill_rate: 200 })
      assert.isTrue((yield* Effect.promise(() => new ExchangeApi(config).getExchangeStatus())).data.trading_active)
    })
  )
})
