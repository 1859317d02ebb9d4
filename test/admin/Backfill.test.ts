import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { GapPull } from "../../src/ingest/GapPull.ts"
import { HistoryControl } from "../../src/ingest/HistoryControl.ts"
import { TradeHistory } from "../../src/ingest/TradeHistory.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { GapRepairs } from "../../src/store/GapRepairs.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { Trades } from "../../src/store/Trades.ts"
import { TradeWindows } from "../../src/store/TradeWindows.ts"
import {
  asOpen,
  freshWire,
  hour,
  isCandles,
  layerOf,
  malformed,
  minute,
  saved,
  startMs,
  storedCandles,
  type Wire
} from "../ingest/History.ts"
import { TestDatabase } from "../support/Database.ts"
import { auditRows, folder, overSocket, program } from "./AdminFixture.ts"

const Store = Layer.mergeAll(
  GapRepairs.layer,
  TradeWindows.layer,
  Trades.layer.pipe(Layer.provideMerge(MarketKeys.layer))
)

/** A program that pulls history, as rest does, over the simulated exchange. */
const withHistory = (wire: Wire) =>
  HistoryControl.layer.pipe(
    Layer.provide(GapPull.layer.pipe(Layer.provide(TradeHistory.layer))),
    Layer.provide(Store),
    Layer.provideMerge(layerOf(wire))
  )

const ready = Effect.gen(function* () {
  const history = yield* HistoryControl
  const { socket } = yield* program({ home: yield* folder, controls: Layer.succeed(HistoryControl, history) })
  const rest = yield* KalshiRest
  const markets = (yield* Stream.runCollect(
    rest.markets({ seriesTicker: "KXSOLD", minCloseSeconds: Math.floor((startMs - hour) / 1000) })
  )).filter(({ status }) => status !== "initialized")
  yield* saved(asOpen(markets))
  const sql = yield* PgClient.PgClient
  yield* sql`
    insert into events (event_ticker, series_ticker, title)
    select distinct event_ticker, 'KXSOLD', 't' from markets on conflict do nothing`
  return { client: yield* overSocket(socket), markets }
})

const world = Layer.mergeAll(TestDatabase.layer, Simulator.layer({ speed: 0, startMs }))
const span = { from: fromMillis(startMs - 40 * minute), to: fromMillis(startMs - 10 * minute) }

describe("backfill", { timeout: 60_000 }, () => {
  it.live("brings the candles and trades of a range, tells how far it is, and does it once", () => {
    const wire = freshWire()
    return Effect.gen(function* () {
      const { client, markets } = yield* ready
      const steps = yield* Stream.runCollect(client.backfill({ series: "KXSOLD", ...span }))
      const total = steps[0]!.total!
      assert.isAbove(total, 20)
      assert.isAtMost(total, markets.length)
      assert.strictEqual(steps[0]?.done, 0)
      assert.isAbove(steps.length, 2)
      for (const [n, step] of steps.entries()) {
        assert.strictEqual(step.total, total)
        assert.isAtLeast(step.done, steps[n - 1]?.done ?? 0)
        assert.strictEqual(step.done === total, n === steps.length - 1, "only the last of them is all")
        assert.strictEqual(step.note, "")
      }
      const stored = yield* storedCandles()
      assert.isAbove(stored.length, total)
      const sql = yield* PgClient.PgClient
      const trades = yield* sql<{ n: number }>`select count(*)::int as n from trades`
      assert.isAbove(trades[0]!.n, 0)

      wire.asked.length = 0
      const again = yield* Stream.runCollect(client.backfill({ series: "KXSOLD", ...span }))
      assert.strictEqual(again.at(-1)?.done, total)
      assert.deepStrictEqual(yield* storedCandles(), stored)
      assert.deepStrictEqual(wire.asked.filter(isCandles), [], "what is here is not asked for again")
      assert.deepStrictEqual(
        (yield* auditRows).map(({ call, outcome }) => [call, outcome]),
        [
          ["backfill", "done"],
          ["backfill", "done"]
        ]
      )
    }).pipe(Effect.provide(Layer.provideMerge(withHistory(wire), world)))
  })

  it.live("says what could not be read, and of what it knows no market", () => {
    const wire = freshWire()
    return Effect.gen(function* () {
      const { client } = yield* ready
      wire.intercept = (route, answer) => (isCandles(route.path) ? malformed(route) : answer)
      const steps = yield* Stream.runCollect(client.backfill({ series: "KXSOLD", ...span }))
      assert.isTrue(
        steps.some(({ note }) => note.includes("cut off") || note.includes("candle")),
        JSON.stringify(steps)
      )
      const none = yield* Stream.runCollect(client.backfill({ series: "KXNOTHING" }))
      assert.deepStrictEqual(none, [{ done: 0, total: 0, note: "" }])
      for (const selection of [{}, { from: span.from }]) {
        const refused = yield* Effect.flip(Stream.runDrain(client.backfill(selection)))
        assert.include(String(refused), "no markets are named")
      }
      const backwards = yield* Effect.flip(
        Stream.runDrain(client.backfill({ series: "KXSOLD", from: span.to, to: span.from }))
      )
      assert.include(String(backwards), "to is not after from")
    }).pipe(Effect.provide(Layer.provideMerge(withHistory(wire), world)))
  })

  it.live("a caller that goes stops it", () => {
    const wire = freshWire()
    return Effect.gen(function* () {
      const { client } = yield* ready
      wire.intercept = (route, answer) => (isCandles(route.path) ? Effect.never : answer)
      yield* client.backfill({ series: "KXSOLD", ...span }).pipe(Stream.take(1), Stream.runDrain)
      const rows = yield* Effect.repeat(auditRows, { until: ([row]) => row?.outcome !== null })
      assert.deepStrictEqual(
        rows.map(({ call, outcome }) => [call, outcome]),
        [["backfill", "interrupted"]]
      )
    }).pipe(Effect.provide(Layer.provideMerge(withHistory(wire), world)))
  })
})
