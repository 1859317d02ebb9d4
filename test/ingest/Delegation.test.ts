import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { AccountCheck } from "../../src/ingest/AccountCheck.ts"
import { Backfill } from "../../src/ingest/Backfill.ts"
import { CandleHistory } from "../../src/ingest/CandleHistory.ts"
import { ClosedCleanup } from "../../src/ingest/ClosedCleanup.ts"
import * as Delegation from "../../src/ingest/Delegation.ts"
import { EventIntake } from "../../src/ingest/EventIntake.ts"
import * as FencedStores from "../../src/ingest/FencedStores.ts"
import { GapPull } from "../../src/ingest/GapPull.ts"
import { GapRepair } from "../../src/ingest/GapRepair.ts"
import * as JobBodies from "../../src/ingest/JobBodies.ts"
import { MarketCatchUp } from "../../src/ingest/MarketCatchUp.ts"
import { MarketOutcomes } from "../../src/ingest/MarketOutcomes.ts"
import { TradeHistory } from "../../src/ingest/TradeHistory.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import type { Market } from "../../src/market/Market.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { JobHandlers } from "../../src/queue/JobHandlers.ts"
import { WakeUp } from "../../src/queue/WakeUp.ts"
import { WorkQueue } from "../../src/queue/WorkQueue.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { GapRepairs } from "../../src/store/GapRepairs.ts"
import { IngestState } from "../../src/store/IngestState.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import { QueueJobs } from "../../src/store/QueueJobs.ts"
import { Trades } from "../../src/store/Trades.ts"
import { TradeWindows } from "../../src/store/TradeWindows.ts"
import { finished, rows, settings, worker } from "../queue/WorkerFixture.ts"
import { TestDatabase } from "../support/Database.ts"
import {
  asOpen,
  freshWire,
  hour,
  isCandles,
  layerOf,
  onePass,
  saved,
  startMs,
  storedCandles,
  toldCandles,
  until
} from "./History.ts"

const env = { WORK_QUEUE_ENABLE: "1", BACKFILL_FIRST_DAYS: "0.1875", BACKFILL_SECONDS: "600" }

const Tables = Layer.mergeAll(
  TradeWindows.layer,
  Trades.layer.pipe(Layer.provideMerge(MarketKeys.layer)),
  Partitions.layer,
  GapRepairs.layer
)

const delegated = Delegation.layer.pipe(
  Layer.provide(TradeHistory.layer.pipe(Layer.provide(Tables))),
  Layer.provide(settings(env))
)

/** The handlers of the worker program, over stores that are fenced. */
const handlers = Effect.gen(function* () {
  return yield* JobHandlers
}).pipe(
  Effect.provide(
    JobBodies.layer.pipe(
      Layer.provide([GapPull.layer, MarketCatchUp.layer, MarketOutcomes.layer]),
      Layer.provide([CandleHistory.layer, TradeHistory.layer]),
      Layer.provide(EventIntake.layer),
      Layer.provideMerge(FencedStores.layer),
      Layer.provide(Tables),
      Layer.provide(settings({}))
    )
  )
)

const wire = () => Object.assign(freshWire(), { series: "KXSOLD", pageSize: 2 })

describe("with a queue", { timeout: 60_000 }, () => {
  it.live("rest plans and pulls nothing, workers pull, and the record is the same", () => {
    const between = wire()
    return Effect.gen(function* () {
      const rest = yield* KalshiRest
      const sql = yield* PgClient.PgClient
      const pass = onePass("backfill", Backfill.pipe(Layer.provide(delegated), Layer.provide(settings(env))))
      yield* pass
      assert.deepStrictEqual(between.asked.filter(isCandles), [])
      const handed = yield* rows
      assert.isAtLeast(handed.length, 2)
      assert.isTrue(handed.every(({ status }) => status === "pending"))
      yield* pass
      assert.strictEqual((yield* rows).length, handed.length, "what is handed in already is not handed in again")

      const stillMissing = MarketCatchUp.use((catchUp) =>
        catchUp.pages({ stages: ["closed", "settled"], includeMissing: false }).pipe(
          Stream.mapEffect((markets) => catchUp.catchUp(markets)),
          Stream.runFold(
            () => 0,
            (sum, found) => sum + found.stillMissing
          )
        )
      ).pipe(Effect.provide(delegated))
      assert.isAtLeast(yield* stillMissing, 4 * 24, "what is handed in is not here yet")
      assert.strictEqual((yield* rows).length, handed.length)

      const done = yield* handlers
      yield* Effect.gen(function* () {
        yield* worker(done, { WORK_QUEUE_LEASE_SECONDS: "5" })
        yield* finished
      }).pipe(Effect.scoped, Effect.provide(WakeUp.layerListen.pipe(Layer.provideMerge(QueueJobs.layer))))
      assert.isTrue((yield* rows).every(({ status }) => status === "done"))
      assert.strictEqual(yield* stillMissing, 0)
      const markets: ReadonlyArray<Market> = (yield* Stream.runCollect(
        rest.markets({ seriesTicker: "KXSOLD", minCloseSeconds: Math.floor((startMs - 4.5 * hour) / 1000) })
      )).filter(({ status }) => status !== "initialized")
      assert.deepStrictEqual(yield* storedCandles(), yield* toldCandles(markets))
      const complete = yield* sql`select 1 from markets where completion = 'settled'`
      assert.strictEqual(complete.length, 4 * 24)
      yield* onePass("closed-cleanup", ClosedCleanup.pipe(Layer.provide(delegated), Layer.provide(settings(env))))
      assert.strictEqual((yield* rows).length, handed.length, "nothing is left to be cleaned")
    }).pipe(
      Effect.provide(
        layerOf(between).pipe(TestDatabase.under("queue"), Layer.provideMerge(Simulator.layer({ speed: 0, startMs })))
      )
    )
  })

  it.live("a worker finds out about markets that it is told of", () => {
    const between = wire()
    return Effect.gen(function* () {
      const rest = yield* KalshiRest
      const sql = yield* PgClient.PgClient
      const [market] = yield* Stream.runCollect(rest.markets({ seriesTicker: "KXSOLD", status: "open" }))
      const done = yield* handlers
      yield* Effect.gen(function* () {
        const queue = yield* WorkQueue
        yield* worker(done, { WORK_QUEUE_LEASE_SECONDS: "5" })
        yield* queue.enqueue([{ type: "discover_market", payload: { tickers: [market!.ticker] } }])
        yield* finished
        yield* queue.enqueue([{ type: "repair_gap", payload: { tickers: [market!.ticker] } }])
        yield* finished
      }).pipe(
        Effect.scoped,
        Effect.provide(
          WorkQueue.layer.pipe(
            Layer.provideMerge(WakeUp.layerListen.pipe(Layer.provideMerge(QueueJobs.layer))),
            Layer.provide(settings({}))
          )
        )
      )
      assert.deepStrictEqual(
        (yield* rows).map(({ last_error, status }) => [status, last_error]),
        [
          ["done", null],
          ["done", null]
        ]
      )
      const known = yield* sql`
        select 1 from markets join events using (event_ticker)
        where ticker = ${market!.ticker} and strike_period = 'hour'`
      assert.strictEqual(known.length, 1)
      const candles = yield* sql<{ n: number }>`
        select count(*)::int as n from market_candles where market_ticker = ${market!.ticker} and period_interval_minutes = 1`
      assert.isAbove(candles[0]!.n, 0)
      const windows = yield* sql`select 1 from trade_windows where market_ticker = ${market!.ticker}`
      assert.isAbove(windows.length, 0)
    }).pipe(
      Effect.provide(
        layerOf(between).pipe(TestDatabase.under("queue"), Layer.provideMerge(Simulator.layer({ speed: 0, startMs })))
      )
    )
  })

  it.live("the hole of a gap is handed in once, and counts as healed when a worker has read it, not before", () => {
    const between = freshWire()
    return Effect.gen(function* () {
      const rest = yield* KalshiRest
      const sql = yield* PgClient.PgClient
      const open = yield* Stream.runCollect(rest.markets({ status: "open", seriesTicker: "KXBTCD" }))
      yield* saved(asOpen(open.slice(0, 12)))
      yield* sql`
        insert into capture_gaps (feed, shard, from_ts, to_ts, cause)
        values ('all', 'event/12', ${fromMillis(startMs - hour / 2)}::timestamptz, ${fromMillis(startMs - hour / 6)}::timestamptz,
          'disconnect')`
      yield* IngestState.use((state) => state.set("discovery_updated_until", String(startMs / 1000)))
      const before = between.asked.length
      yield* Layer.build(
        GapRepair.pipe(
          Layer.provide([AccountCheck.layer, delegated]),
          Layer.provide(Loops.layer),
          Layer.provide([Tables, Layer.fresh(settings({ ...env, REPAIR_SECONDS: "0.05" }))])
        )
      )
      const ledger = sql<{ by: string | null; problem: string | null; at: string | null }>`
        select repaired_by as by, r.problem, r.updated_at::text as at
        from capture_gaps g left join gap_repairs r on r.gap_id = g.id`
      const [tried] = yield* until(ledger, ([row]) => row!.problem !== null)
      yield* until(ledger, ([row]) => row!.at !== tried!.at)
      const handed = yield* rows
      assert.deepStrictEqual(
        handed.map(({ status }) => status),
        ["pending"]
      )
      assert.deepStrictEqual(
        between.asked.slice(before).filter((path) => isCandles(path) || path.endsWith("/trades")),
        []
      )
      assert.strictEqual((yield* ledger)[0]!.by, null)
      const done = yield* handlers
      yield* Effect.gen(function* () {
        yield* worker(done, { WORK_QUEUE_LEASE_SECONDS: "5" })
        yield* until(ledger, ([row]) => row!.by !== null)
      }).pipe(Effect.scoped, Effect.provide(WakeUp.layerListen.pipe(Layer.provideMerge(QueueJobs.layer))))
      assert.strictEqual((yield* ledger)[0]!.by, "candles,trades,discovery")
      assert.deepStrictEqual(yield* sql`select distinct provenance from market_candles`, [{ provenance: 3 }])
      assert.deepStrictEqual(yield* sql`select distinct provenance from market_trades`, [{ provenance: "repaired" }])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        layerOf(between).pipe(TestDatabase.under("queue"), Layer.provideMerge(Simulator.layer({ speed: 0, startMs })))
      )
    )
  })
})
