import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { CandleHistory } from "../../src/ingest/CandleHistory.ts"
import type { CandleRequest } from "../../src/ingest/CandlePlan.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import { lifeOf } from "../../src/market/CandlePeriod.ts"
import type { Market } from "../../src/market/Market.ts"
import { toMillis } from "../../src/market/Timestamp.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { Candles } from "../../src/store/Candles.ts"
import { TestDatabase } from "../support/Database.ts"
import {
  asOpen,
  freshWire,
  hour,
  isCandles,
  layerOf,
  malformed,
  minute,
  notFound,
  saved,
  startMs,
  storedCandles,
  toldCandles,
  type Wire
} from "./History.ts"

const requestsOf = (markets: ReadonlyArray<Market>): ReadonlyArray<CandleRequest> =>
  markets.map(({ closeTime, openTime, ticker }) => ({
    ticker,
    seriesTicker: ticker.split("-")[0],
    periodMinutes: 1,
    ...lifeOf(1, toMillis(openTime!), toMillis(closeTime!))
  }))

/** Solana markets of the two hours that closed last, and of the one that trades. */
const scene = Effect.gen(function* () {
  const rest = yield* KalshiRest
  const some = yield* Stream.runCollect(
    rest.markets({ seriesTicker: "KXSOLD", minCloseSeconds: (startMs - 2 * hour) / 1000 })
  )
  const closed = some.filter(({ closeTime }) => toMillis(closeTime!) <= startMs)
  const open = some.filter(({ status }) => status === "active")
  yield* saved(some)
  return { closed, open, requests: requestsOf(closed) }
})

const test = <A, E>(
  body: (
    wire: Wire
  ) => Effect.Effect<
    A,
    E,
    Layer.Success<ReturnType<typeof layerOf>> | Layer.Success<ReturnType<typeof TestDatabase.as>> | Simulator
  >,
  settings: Readonly<Record<string, string>> = {}
) => {
  const wire = freshWire()
  return body(wire).pipe(
    Effect.provide(
      layerOf(wire, settings).pipe(
        TestDatabase.under("rest"),
        Layer.provideMerge(Simulator.layer({ speed: 0, startMs }))
      )
    )
  )
}

const candleCalls = (wire: Wire) => wire.asked.filter(isCandles)

describe("a pull of candles", { timeout: 60_000 }, () => {
  it.live("brings every candle with few calls, and once: then nothing is missing", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { closed, requests } = yield* scene
        const history = yield* CandleHistory
        assert.isAtLeast(closed.length, 48)
        wire.asked.length = 0
        const pulled = yield* history.pull(requests, "backfill")
        assert.isAtMost(candleCalls(wire).length, 2)
        assert.deepInclude(pulled, { calls: wire.asked.length, failed: 0, revised: 0, unknown: [] })
        const told = yield* toldCandles(closed)
        assert.deepStrictEqual(yield* storedCandles(), told)
        assert.strictEqual(pulled.added, told.length)
        assert.deepStrictEqual(yield* history.missing(requests), [])
        wire.asked.length = 0
        assert.deepInclude(yield* history.pull(requests, "backfill"), { calls: 0, added: 0 })
        assert.deepStrictEqual(wire.asked, [])
        const again = yield* history.pull(requests, "repaired", { force: true })
        assert.deepInclude(again, { added: 0, revised: 0, failed: 0 })
        assert.isAbove(again.calls, 1)
      })
    )
  )

  it.live("of markets that trade reaches to now, and checks only what has settled", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { open } = yield* scene
        const { control } = yield* Simulator
        const history = yield* CandleHistory
        const { checked } = yield* Candles
        yield* history.pull(requestsOf(open), "backfill")
        assert.deepStrictEqual(yield* storedCandles(), yield* toldCandles(open))
        const { ticker } = open[0]!
        assert.deepStrictEqual(
          (yield* checked(ticker, 1)).map(({ fromMillis, toMillis }) => [fromMillis, toMillis]),
          [[startMs - 50 * minute, startMs - 5 * minute]]
        )
        yield* control.advance(7 * minute)
        wire.asked.length = 0
        yield* history.pull(requestsOf(open), "backfill")
        assert.strictEqual(candleCalls(wire).length, 1)
        assert.deepStrictEqual(yield* storedCandles(), yield* toldCandles(open))
        assert.deepStrictEqual(
          (yield* checked(ticker, 1)).map(({ fromMillis, toMillis }) => [fromMillis, toMillis]),
          [[startMs - 50 * minute, startMs + 2 * minute]]
        )
      })
    )
  )

  it.live("finds archived markets in the historical tier, also when it does not know yet that they are", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { closed, requests } = yield* scene
        const { control } = yield* Simulator
        const history = yield* CandleHistory
        const told = yield* toldCandles(closed)
        const half = startMs - hour
        const archived = closed.filter(({ settlementTime }) => toMillis(settlementTime!) < half)
        assert.isAbove(archived.length, 20)
        yield* control.moveCutoff(half)
        yield* saved(asOpen(closed))
        wire.asked.length = 0
        const pulled = yield* history.pull(requests, "backfill")
        assert.deepInclude(pulled, { failed: 0, unknown: [] })
        assert.strictEqual(wire.asked.filter((path) => path.startsWith("/historical/markets/")).length, archived.length)
        assert.deepStrictEqual(yield* storedCandles(), told)
        assert.deepStrictEqual(yield* history.missing(requests), [])
      })
    )
  )

  it.live("goes on when the cutoff jumps in the middle of it", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { closed, requests } = yield* scene
        const { control } = yield* Simulator
        const history = yield* CandleHistory
        const told = yield* toldCandles(closed)
        wire.intercept = (route, answer) =>
          route.path === "/historical/cutoff" ? Effect.tap(answer, control.moveCutoff(startMs)) : answer
        const pulled = yield* history.pull(requests, "backfill")
        assert.deepInclude(pulled, { failed: 0, unknown: [] })
        assert.deepStrictEqual(yield* storedCandles(), told)
      })
    )
  )

  it.live("looks in the live tier for what the historical one does not have yet", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { closed, requests } = yield* scene
        const history = yield* CandleHistory
        const told = yield* toldCandles(closed)
        wire.intercept = (route, answer) =>
          route.path === "/historical/cutoff"
            ? Effect.map(answer, (body) => ({ ...Object(body), market_settled_ts: "2026-08-24T15:49:00Z" }))
            : answer
        const pulled = yield* history.pull(requests, "backfill")
        assert.deepInclude(pulled, { failed: 0, unknown: [] })
        assert.deepStrictEqual(yield* storedCandles(), told)
      })
    )
  )

  it.live("names markets that no tier knows, and leaves them missing", () =>
    test(() =>
      Effect.gen(function* () {
        const { closed, requests } = yield* scene
        const history = yield* CandleHistory
        const strange = [
          { ...requests[0]!, ticker: "KXSOLD-GONE" },
          { ...requests[1]!, ticker: "KXSOLD-AWAY", seriesTicker: undefined }
        ]
        const pulled = yield* history.pull([...requests, ...strange], "backfill")
        assert.deepStrictEqual([...pulled.unknown].sort(), ["KXSOLD-AWAY", "KXSOLD-GONE"])
        assert.strictEqual(pulled.failed, 0)
        assert.deepStrictEqual(yield* storedCandles(), yield* toldCandles(closed))
        assert.strictEqual((yield* history.missing(strange)).length, 2)
      })
    )
  )

  it.live("keeps the other answers when one is malformed, astray or fails, and makes up for it the next time", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { closed, requests } = yield* scene
        const history = yield* CandleHistory
        const { control } = yield* Simulator
        yield* control.moveCutoff(startMs)
        let nth = 0
        wire.intercept = (route, answer) => {
          if (!isCandles(route.path)) return answer
          nth++
          if (nth === 3) return malformed(route)
          if (nth === 5)
            return Effect.map(answer, (body) =>
              JSON.parse(JSON.stringify(body).replace(/"end_period_ts":\d+/, '"end_period_ts":9e15'))
            )
          return answer
        }
        yield* control.faults({ rest: [{ path: "/historical/markets/*", kind: "status", status: 503, next: 2 }] })
        const first = yield* history.pull(requests, "backfill")
        assert.deepInclude(first, { failed: 4, unknown: [], calls: closed.length + 1 })
        assert.strictEqual((yield* history.missing(requests)).length, 4)
        wire.intercept = (_, answer) => answer
        const second = yield* history.pull(requests, "backfill")
        assert.deepInclude(second, { failed: 0, calls: 5 })
        assert.deepStrictEqual(yield* storedCandles(), yield* toldCandles(closed))
      })
    )
  )

  it.live("without the cutoff asks for nothing", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { requests } = yield* scene
        const history = yield* CandleHistory
        wire.intercept = (route, answer) => (route.path === "/historical/cutoff" ? notFound(route) : answer)
        assert.deepInclude(yield* history.pull(requests, "backfill"), { calls: 1, failed: 1, added: 0 })
        assert.deepStrictEqual(candleCalls(wire), [])
      })
    )
  )

  it.live("revises what the exchange tells differently later", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { closed, requests } = yield* scene
        const history = yield* CandleHistory
        wire.intercept = (route, answer) =>
          isCandles(route.path)
            ? Effect.map(answer, (body) =>
                JSON.parse(JSON.stringify(body).replaceAll(/"volume_fp":"[^"]+"/g, '"volume_fp":"7.77"'))
              )
            : answer
        yield* history.pull(requests, "backfill")
        wire.intercept = (_, answer) => answer
        const again = yield* history.pull(requests, "backfill", { force: true })
        assert.strictEqual(again.added, 0)
        assert.isAbove(again.revised, 100)
        assert.deepStrictEqual(yield* storedCandles(), yield* toldCandles(closed))
      })
    )
  )

  it.live("leaves the wanted time between its calls", () =>
    test(
      (wire) =>
        Effect.gen(function* () {
          const { requests } = yield* scene
          const { control } = yield* Simulator
          const history = yield* CandleHistory
          yield* control.moveCutoff(startMs)
          const at: Array<number> = []
          wire.intercept = (route, answer) =>
            isCandles(route.path)
              ? Effect.andThen(
                  Effect.map(Clock.currentTimeMillis, (now) => at.push(now)),
                  answer
                )
              : answer
          yield* history.pull(requests.slice(0, 5), "backfill")
          assert.strictEqual(at.length, 5)
          assert.isAtLeast(at[4]! - at[0]!, 390)
        }),
      { KALSHI_CANDLE_MIN_INTERVAL_SECONDS: "0.1" }
    )
  )
})
