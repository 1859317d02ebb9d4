import * as Crypto from "node:crypto"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Credentials } from "../../src/kalshi/Credentials.ts"
import { Drift } from "../../src/kalshi/Drift.ts"
import { KalshiHttp } from "../../src/kalshi/KalshiHttp.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import { KalshiSocket } from "../../src/kalshi/KalshiSocket.ts"
import { RateLimit } from "../../src/kalshi/RateLimit.ts"
import { Signer } from "../../src/kalshi/Signer.ts"
import { decodeFrame, type Frame } from "../../src/kalshi/SocketWire.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { configOf } from "./Fakes.ts"

const clientOf = ({ keyId, privateKeyPem, restUrl, wsUrl }: Simulator["Service"]) =>
  Layer.mergeAll(KalshiRest.layer, KalshiSocket.layer).pipe(
    Layer.provideMerge(RateLimit.layerMemory.pipe(Layer.provide(KalshiHttp.layer))),
    Layer.provide(Signer.layer),
    Layer.provide(
      Layer.sync(Credentials, () =>
        Credentials.holding(
          Option.some({ keyId, privateKey: Crypto.createPrivateKey(privateKeyPem), algorithm: "rsa" })
        )
      )
    ),
    Layer.provideMerge(Drift.layer),
    Layer.provide(configOf({ KALSHI_REST_URL: restUrl, KALSHI_WS_URL: wsUrl }))
  )

const Exchange = Layer.unwrap(Simulator.use((simulator) => Effect.succeed(clientOf(simulator)))).pipe(
  Layer.provideMerge(
    Simulator.layer({
      speed: 60,
      tokens: { refillRate: 20_000, capacity: 40_000 },
      strictness: { shortPages: 0.3, novelty: 0.3, sendingTs: true }
    })
  )
)

layer(Exchange, { timeout: "30 seconds", excludeTestServices: true })("against the simulated exchange", (it) => {
  it.effect("every REST route is read, and nothing in it is unknown but what the simulated exchange makes up", () =>
    Effect.gen(function* () {
      const rest = yield* KalshiRest
      const rateLimit = yield* RateLimit
      const account = yield* rest.accountLimits
      assert.deepStrictEqual(account.read, { refillRate: 20_000, capacity: 40_000 })
      assert.deepStrictEqual(yield* rateLimit.limits, { refillRate: 19_000, capacity: 38_000 })
      assert.isTrue((yield* rest.exchangeStatus).tradingActive)
      assert.strictEqual((yield* rest.exchangeSchedule).standardHours[0]!.sessions.thursday.length, 2)
      const cutoff = yield* rest.historicalCutoff
      assert.match(cutoff.marketsSettled, /^\d{4}-/)
      const events = yield* Stream.runCollect(rest.events({ status: "open", withNestedMarkets: true }))
      assert.strictEqual(new Set(events.map(({ eventTicker }) => eventTicker)).size, events.length)
      const event = events.find(({ markets }) => (markets?.length ?? 0) > 1)!
      const seriesTicker = event.seriesTicker!
      assert.strictEqual((yield* rest.event(event.eventTicker)).markets!.length, event.markets!.length)
      const markets = yield* Stream.runCollect(rest.markets({ status: "open", seriesTicker }))
      const open = markets.find(({ status }) => status === "active")!
      assert.strictEqual((yield* rest.market(open.ticker)).eventTicker, open.eventTicker)
      assert.strictEqual((yield* rest.series(seriesTicker)).ticker, seriesTicker)
      assert.isAbove((yield* rest.seriesList({})).length, 3)
      assert.strictEqual((yield* rest.orderbook(open.ticker, 5)).ticker, open.ticker)
      assert.strictEqual((yield* rest.orderbooks([open.ticker, "NO-SUCH"])).length, 1)
      const endSeconds = Date.parse(open.openTime!) / 1000 + 3600
      const range = { startSeconds: endSeconds - 5400, endSeconds, interval: 1 } as const
      const candles = yield* rest.candles(seriesTicker, open.ticker, range)
      const batch = yield* rest.batchCandles([open.ticker], range)
      assert.isAtLeast(batch.get(open.ticker)!.length, candles.length)
      yield* rest.eventCandles(seriesTicker, event.eventTicker, range)
      yield* Stream.runDrain(Stream.take(rest.trades({ ticker: open.ticker }), 50))
      const archived = yield* Stream.runHead(rest.historicalMarkets({}))
      if (Option.isSome(archived)) {
        assert.strictEqual((yield* rest.historicalMarket(archived.value.ticker)).ticker, archived.value.ticker)
        yield* rest.historicalCandles(archived.value.ticker, range)
      }
      yield* Stream.runDrain(Stream.take(rest.historicalTrades({}), 10))
      assert.strictEqual((yield* Effect.flip(rest.market("NO-SUCH"))).reason._tag, "NotFound")
      const unheardOf = ["event.experimental_badges", "market.xperimental_margin"]
      const drift = yield* Drift
      assert.deepStrictEqual(
        [...(yield* drift.counts).keys()].filter((name) => !unheardOf.includes(name)),
        []
      )
    })
  )

  it.effect("the feed acknowledges, streams decodable frames, and tells when it goes away", () =>
    Effect.gen(function* () {
      const rest = yield* KalshiRest
      const { connect } = yield* KalshiSocket
      const { control } = yield* Simulator
      const markets = yield* Stream.runCollect(Stream.take(rest.markets({ status: "open" }), 20))
      const tickers = markets.map(({ ticker }) => ticker)
      const session = yield* connect
      const frames: Array<Frame> = []
      const reader = yield* session.pull.pipe(
        Effect.map((batch) => frames.push(...batch.map(({ raw, receivedMillis }) => decodeFrame(raw, receivedMillis)))),
        Effect.forever,
        Effect.flip,
        Effect.forkChild({ startImmediately: true })
      )
      const [ticker] = yield* session.subscribe({
        channels: ["ticker", "market_lifecycle_v2"],
        marketTickers: tickers.slice(0, 10),
        sendInitialSnapshot: true
      })
      yield* session.updateSubscription({
        sid: ticker!.sid,
        action: "add_markets",
        marketTickers: tickers.slice(10),
        sendInitialSnapshot: true
      })
      const merged = yield* session.subscribe({ channels: ["ticker"], marketTickers: tickers })
      assert.deepStrictEqual(merged, [ticker!])
      yield* session.subscribe({ channels: ["orderbook_delta", "trade"], marketTickers: tickers })
      assert.strictEqual((yield* session.listSubscriptions).length, 4)
      const refused = yield* Effect.flip(session.subscribe({ channels: ["no_such_channel"] }))
      assert.deepStrictEqual(refused.reason, { _tag: "CommandRejected", command: "subscribe", code: 8 })
      yield* Effect.sleep("5 millis").pipe(
        Effect.repeat({ until: () => new Set(frames.map(({ _tag }) => _tag)).size >= 7 }),
        Effect.timeoutOption("8 seconds")
      )
      yield* session.unsubscribe([ticker!.sid])
      yield* control.dropConnections(1006)
      assert.strictEqual((yield* Fiber.join(reader)).reason._tag, "Closed")
      const seen = new Set(frames.map(({ _tag }) => _tag))
      for (const tag of ["Subscribed", "Ok", "Ticker", "OrderbookSnapshot", "ErrorReply", "Unsubscribed"] as const)
        assert.isTrue(seen.has(tag), tag)
      assert.deepStrictEqual(
        frames.filter(({ _tag }) => _tag === "Malformed"),
        []
      )
    }).pipe(Effect.scoped)
  )

  it.effect("a key the exchange does not know is Unauthorized, over REST and the feed", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator
      yield* Effect.gen(function* () {
        const rest = yield* KalshiRest
        assert.strictEqual((yield* Effect.flip(rest.accountLimits)).reason._tag, "Unauthorized")
        const { connect } = yield* KalshiSocket
        assert.strictEqual((yield* Effect.flip(connect)).reason._tag, "Unauthorized")
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(clientOf({ ...simulator, keyId: "someone else" }))))
    })
  )
})

describe("the budget", () => {
  it.live("keeps 40 calls at once within what the exchange allows: not one 429", () =>
    Effect.gen(function* () {
      const simulator = yield* Simulator
      yield* Effect.gen(function* () {
        const rest = yield* KalshiRest
        yield* Effect.forEach(Array.from({ length: 40 }), () => rest.exchangeStatus, { concurrency: 16 })
      }).pipe(Effect.provide(clientOf(simulator)))
      const { http429, requests } = yield* simulator.control.stats
      assert.isAtLeast(requests, 40)
      assert.strictEqual(http429, 0)
    }).pipe(Effect.provide(Simulator.layer({ speed: 0, tokens: { refillRate: 400, capacity: 200 } })))
  )
})
