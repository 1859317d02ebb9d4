import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Credentials } from "../../src/kalshi/Credentials.ts"
import { Drift } from "../../src/kalshi/Drift.ts"
import { KalshiHttp } from "../../src/kalshi/KalshiHttp.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import { RateLimit } from "../../src/kalshi/RateLimit.ts"
import { RestCall } from "../../src/kalshi/RestCall.ts"
import { Signer } from "../../src/kalshi/Signer.ts"
import { configOf, fakeExchange } from "./Fakes.ts"

const restOver = (exchange: ReturnType<typeof fakeExchange>, environment: Record<string, string> = {}) =>
  KalshiRest.layerNoDeps.pipe(
    Layer.provide(RestCall.layer),
    Layer.provide(RateLimit.layerMemory),
    Layer.provide(KalshiHttp.layerNoDeps),
    Layer.provide(Signer.layer),
    Layer.provideMerge(Drift.layer),
    Layer.provide(
      Layer.mergeAll(
        Credentials.layerNone,
        exchange.layer,
        configOf({ KALSHI_REST_URL: "http://exchange.test/trade-api/v2/", KALSHI_REST_BURST: "100000", ...environment })
      )
    )
  )

/** Runs with all the time in the world. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    yield* TestClock.adjust("10 minutes")
    return yield* Fiber.join(fiber)
  })

const failing = <A, E, R>(effect: Effect.Effect<A, E, R>) => inTime(Effect.flip(effect))

const wireMarket = {
  ticker: "KXBTCD-26AUG2417-T80749.99",
  event_ticker: "KXBTCD-26AUG2417",
  status: "active",
  floor_strike: 80749.99,
  cap_strike: null,
  created_time: "0001-01-01T00:00:00Z",
  open_time: "2026-08-24T20:00:00Z",
  updated_time: "2026-08-24T20:00:01.123456Z",
  can_close_early: false,
  result: "",
  expiration_value: "",
  yes_bid_dollars: "0.0000",
  yes_ask_dollars: "0.4700",
  last_price_dollars: "0.0000",
  volume_fp: "5123.00",
  settlement_value_dollars: 1,
  price_ranges: [{ start: "0.0000", end: "1.0000", step: "0.0100" }],
  a_new_field: 1
}

describe("KalshiRest", () => {
  it.effect("reads a market exactly: nothing invented, nothing rounded, absent stays absent", () => {
    const exchange = fakeExchange(() => [200, { market: wireMarket }])
    return Effect.gen(function* () {
      const rest = yield* KalshiRest
      const market: unknown = yield* rest.market("KXBTCD-26AUG2417-T80749.99")
      assert.deepStrictEqual(market, {
        ticker: "KXBTCD-26AUG2417-T80749.99",
        eventTicker: "KXBTCD-26AUG2417",
        status: "active",
        floorStrike: "80749.99",
        openTime: "2026-08-24T20:00:00Z",
        updatedTime: "2026-08-24T20:00:01.123456Z",
        canCloseEarly: false,
        settlementValue: "1",
        priceRanges: [{ start: "0.0000", end: "1.0000", step: "0.0100" }],
        quote: { price: "0.0000", yesBid: "0.0000", yesAsk: "0.4700", volume: "5123.00" }
      })
      const drift = yield* Drift
      assert.deepStrictEqual(Array.from(yield* drift.counts), [["market.a_new_field", 1]])
      const { headers, path } = exchange.asked[0]!
      assert.strictEqual(path, "/trade-api/v2/markets/KXBTCD-26AUG2417-T80749.99")
      assert.strictEqual(headers["accept-language"], "en")
      assert.match(headers["user-agent"]!, /^kalshi-ingestor\//)
      assert.isUndefined(headers["traceparent"])
      assert.isUndefined(headers["kalshi-access-key"])
    }).pipe(Effect.withSpan("someone else's trace"), Effect.provide(restOver(exchange)))
  })

  it.effect("follows the cursor with the same filters to the empty one", () => {
    const exchange = fakeExchange(({ query }) => {
      const at = Number(query.get("cursor") ?? 0)
      return [200, { cursor: at < 2 ? String(at + 1) : "", events: [{ event_ticker: `E${at}`, strike_period: "" }] }]
    })
    return Effect.gen(function* () {
      const rest = yield* KalshiRest
      const events = yield* Stream.runCollect(rest.events({ status: "open", withNestedMarkets: true }))
      assert.deepStrictEqual(events as unknown, [{ eventTicker: "E0" }, { eventTicker: "E1" }, { eventTicker: "E2" }])
      for (const { query } of exchange.asked) {
        assert.strictEqual(query.get("status"), "open")
        assert.strictEqual(query.get("limit"), "200")
        assert.strictEqual(query.get("with_nested_markets"), "true")
      }
    }).pipe(Effect.provide(restOver(exchange)))
  })

  it.effect("fails the stream with a failed page, and with a cursor seen before", () => {
    const broken = fakeExchange(({ query }) =>
      query.has("cursor")
        ? [400, { error: { code: "bad_request", details: "no\nmore" } }]
        : [200, { cursor: "a", markets: [] }]
    )
    const endless = fakeExchange(() => [200, { cursor: "again", trades: [] }])
    return Effect.gen(function* () {
      const rest = yield* Effect.provide(KalshiRest, restOver(broken))
      const failed = yield* Effect.flip(Stream.runDrain(rest.markets({})))
      assert.strictEqual(failed.message, "GET /markets: refused (400, bad_request, no more)")
      assert.isFalse(failed.retryable)
      const round = yield* Effect.provide(KalshiRest, restOver(endless))
      const again = yield* Effect.flip(Stream.runDrain(round.trades({})))
      assert.match(again.message, /cursor came back a second time/)
      assert.strictEqual(endless.asked.length, 2)
    })
  })

  it.effect("tries again what failed in passing: 429 with its string body, 503, no answer, silence", () => {
    const exchange = fakeExchange((_, nth) => {
      if (nth === 1) return [429, { error: "too many requests" }]
      if (nth === 2) return [503, "<html>"]
      if (nth === 3) return "no answer"
      if (nth === 4) return "hangs"
      return [200, { exchange_active: true, trading_active: false }]
    })
    return Effect.gen(function* () {
      const rest = yield* KalshiRest
      const status = yield* inTime(rest.exchangeStatus)
      assert.deepStrictEqual(status, { exchangeActive: true, tradingActive: false, estimatedResumeTime: undefined })
      assert.strictEqual(exchange.asked.length, 5)
    }).pipe(Effect.provide(restOver(exchange)))
  })

  it.effect("gives up after the bounded tries and says why", () => {
    const limited = fakeExchange(() => [429, { error: "too many requests" }])
    const down = fakeExchange(() => [502, ""])
    return Effect.gen(function* () {
      const rest = yield* Effect.provide(KalshiRest, restOver(limited))
      const error = yield* failing(rest.historicalCutoff)
      assert.strictEqual(error.reason._tag, "RateLimited")
      assert.isTrue(error.retryable)
      assert.strictEqual(limited.asked.length, 9)
      const other = yield* Effect.provide(KalshiRest, restOver(down, { KALSHI_EVENTS_RETRIES: "2" }))
      assert.strictEqual(
        (yield* failing(other.historicalCutoff)).message,
        "GET /historical/cutoff: the exchange is unavailable (502)"
      )
      assert.strictEqual(down.asked.length, 3)
    })
  })

  it.effect("pauses all calls after failures in a row, and tries one when the pause is over", () => {
    let up = false
    const exchange = fakeExchange(() => (up ? [200, { exchange_active: true, trading_active: true }] : [500, ""]))
    return Effect.gen(function* () {
      const rest = yield* KalshiRest
      for (const _ of [1, 2, 3]) yield* Effect.flip(rest.exchangeStatus)
      const open = yield* Effect.flip(rest.exchangeStatus)
      assert.deepStrictEqual(open.reason, { _tag: "CircuitOpen", retryAfterSeconds: 60 })
      assert.strictEqual(exchange.asked.length, 3)
      up = true
      yield* TestClock.adjust("61 seconds")
      assert.isTrue((yield* rest.exchangeStatus).exchangeActive)
    }).pipe(Effect.provide(restOver(exchange, { REST_FAILURE_THRESHOLD: "3", KALSHI_EVENTS_RETRIES: "0" })))
  })

  it.effect("does not count refusals of the request as failures of the exchange", () => {
    const exchange = fakeExchange(() => [404, { error: { code: "not_found", message: "not found" } }])
    return Effect.gen(function* () {
      const rest = yield* KalshiRest
      for (let nth = 0; nth < 10; nth++)
        assert.strictEqual((yield* Effect.flip(rest.market("X"))).reason._tag, "NotFound")
    }).pipe(Effect.provide(restOver(exchange)))
  })

  it.effect("explains 401, and names the field of an answer it cannot read, not its value", () => {
    const refusing = fakeExchange(() => [401, { error: { code: "authentication_error" } }])
    const odd = fakeExchange(() => [200, { cursor: "", markets: [{ ...wireMarket, volume_fp: "lots of secrets" }] }])
    return Effect.gen(function* () {
      const rest = yield* Effect.provide(KalshiRest, restOver(refusing))
      assert.match(
        (yield* Effect.flip(rest.accountLimits)).message,
        /401, authentication_error.*KALSHI_API_KEY_ID.*clock/
      )
      const other = yield* Effect.provide(KalshiRest, restOver(odd))
      const error = yield* Effect.flip(Stream.runDrain(other.markets({})))
      assert.match(error.message, /markets\.0\.volume_fp/)
      assert.notMatch(error.message, /secrets/)
    })
  })

  it.effect("reads candles of every form and both tiers", () => {
    const bid = { open_dollars: "0.0000", high_dollars: "0.4800", low_dollars: "0.0000", close_dollars: "0.4800" }
    const live = { end_period_ts: 1787601660, yes_bid: bid, yes_ask: bid, volume_fp: "25.00", open_interest_fp: "1.50" }
    const prices = {
      open_dollars: "0.51",
      high_dollars: "0.52",
      low_dollars: "0.50",
      close_dollars: "0.51",
      mean_dollars: "0.5060"
    }
    const side = { open: "0.1", high: "0.2", low: "0.1", close: "0.2" }
    const exchange = fakeExchange(({ path }) =>
      path.includes("historical")
        ? [
            200,
            {
              ticker: "A",
              candlesticks: [
                {
                  end_period_ts: 60,
                  yes_bid: side,
                  yes_ask: side,
                  volume: "1.00",
                  open_interest: "2.00",
                  price: { open: null, high: null, low: null, close: null, mean: null, previous: "0.3" }
                }
              ]
            }
          ]
        : [
            200,
            {
              markets: [
                {
                  market_ticker: "A",
                  candlesticks: [
                    { ...live, price: {} },
                    { ...live, price: { previous_dollars: "0.4700" } },
                    { ...live, price: prices }
                  ]
                },
                { market_ticker: "B", candlesticks: [] }
              ]
            }
          ]
    )
    return Effect.gen(function* () {
      const rest = yield* KalshiRest
      const range = { startSeconds: 1, endSeconds: 2, interval: 1 } as const
      const batch = yield* rest.batchCandles(["A", "B", "C"], range)
      assert.deepStrictEqual(Array.from(batch.keys()), ["A", "B"])
      const [none, previous, traded] = batch.get("A")!
      assert.isUndefined(none!.price)
      assert.isUndefined(none!.previousPrice)
      assert.isUndefined(previous!.price)
      assert.strictEqual(previous!.previousPrice as string, "0.4700")
      assert.deepStrictEqual(traded!.price as unknown, {
        open: "0.51",
        high: "0.52",
        low: "0.50",
        close: "0.51",
        mean: "0.5060"
      })
      assert.strictEqual(exchange.asked[0]!.query.get("market_tickers"), "A,B,C")
      const [old] = yield* rest.historicalCandles("A", range)
      assert.deepStrictEqual(old as unknown, {
        ticker: "A",
        intervalMinutes: 1,
        endSeconds: 60,
        yesBid: side,
        yesAsk: side,
        price: undefined,
        previousPrice: "0.3",
        volume: "1.00",
        openInterest: "2.00"
      })
    }).pipe(Effect.provide(restOver(exchange)))
  })

  it.effect("asks for several order books with a repeated parameter and takes an empty side as none", () => {
    const exchange = fakeExchange(() => [
      200,
      { orderbooks: [{ ticker: "A", orderbook_fp: { yes_dollars: [["0.0100", "13999.44"]], no_dollars: null } }] }
    ])
    return Effect.gen(function* () {
      const rest = yield* KalshiRest
      const books: unknown = yield* rest.orderbooks(["A", "B"])
      assert.deepStrictEqual(books, [{ ticker: "A", yes: [["0.0100", "13999.44"]], no: [] }])
      assert.deepStrictEqual(exchange.asked[0]!.query.getAll("tickers"), ["A", "B"])
    }).pipe(Effect.provide(restOver(exchange)))
  })
})
