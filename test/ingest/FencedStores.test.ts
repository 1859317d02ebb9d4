import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import * as FencedStores from "../../src/ingest/FencedStores.ts"
import type { Decimal } from "../../src/market/Decimal.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { attempt } from "../../src/queue/Attempt.ts"
import { JobHandlers } from "../../src/queue/JobHandlers.ts"
import { Candles } from "../../src/store/Candles.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { MarketCompletion } from "../../src/store/MarketCompletion.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import { QueueJobs } from "../../src/store/QueueJobs.ts"
import { Trades } from "../../src/store/Trades.ts"
import { TradeWindows } from "../../src/store/TradeWindows.ts"
import { listed, prepared, start } from "../store/TradeFixture.ts"
import { TestDatabase } from "../support/Database.ts"

type Stores = Candles | Catalog | MarketCompletion | Trades | TradeWindows

const minute = 60_000
const price = "0.4500" as Decimal
const flat = { open: price, high: price, low: price, close: price }
const at = fromMillis(start)

/** One write of each kind, and what tells that it was stored. */
const writes: Readonly<Record<string, readonly [write: Effect.Effect<unknown, SqlError, Stores>, trace: string]>> = {
  "Catalog.saveSeries": [
    Catalog.use((catalog) => catalog.saveSeries([{ ticker: "S" }])),
    "select 1 from series where ticker = 'S'"
  ],
  "Catalog.saveEvents": [
    Catalog.use((catalog) =>
      catalog.saveEvents([{ event: { eventTicker: "E", seriesTicker: "S" }, strikePeriod: "hour" }])
    ),
    "select 1 from events where event_ticker = 'E'"
  ],
  "Catalog.saveMarkets": [
    Catalog.use((catalog) => catalog.saveMarkets([{ ticker: "NEW", eventTicker: "E" }], at)),
    "select 1 from markets where ticker = 'NEW'"
  ],
  "Candles.store": [
    Candles.use((candles) =>
      candles.store({
        candles: [
          {
            ticker: "M-0",
            intervalMinutes: 1,
            endSeconds: start / 1000,
            yesBid: flat,
            yesAsk: flat,
            price: { ...flat, mean: price },
            previousPrice: price,
            volume: price,
            openInterest: price
          }
        ],
        checked: [{ ticker: "M-0", periodMinutes: 1, fromMillis: start - minute, toMillis: start }],
        provenance: "backfill",
        readAtMillis: start
      })
    ),
    "select 1 from market_candles"
  ],
  "Trades.insert": [Trades.use((trades) => trades.insert([listed(1, start)])), "select 1 from trades"],
  "TradeWindows.record": [
    TradeWindows.use((windows) =>
      windows.record({
        kind: "reconcile",
        fromMillis: start - minute,
        toMillis: start,
        checkedAt: at,
        seenRest: 1,
        cause: undefined
      })
    ),
    "select 1 from trade_windows"
  ],
  "MarketCompletion.missing": [
    MarketCompletion.use((completion) => completion.missing(["OLD"], "vanished", start)),
    "select 1 from markets where ticker = 'OLD' and missing_since is not null"
  ],
  "MarketCompletion.complete": [
    MarketCompletion.use((completion) => completion.complete(["SETTLED"])),
    "select 1 from markets where ticker = 'SETTLED' and completion is not null"
  ],
  "MarketCompletion.seen": [
    MarketCompletion.use((completion) => completion.seen(["GONE"])),
    "select 1 from markets where ticker = 'GONE' and completion is null"
  ]
}

const Database = Layer.effectDiscard(
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* prepared
    yield* Catalog.use((catalog) =>
      catalog.saveMarkets(
        ["OLD", "SETTLED", "GONE"].map((ticker) => ({ ticker, eventTicker: "E" })),
        at
      )
    )
    yield* sql`update markets set status = 'finalized', result = 'yes' where ticker = 'SETTLED'`
    yield* sql`update markets set completion = 'vanished', completed_at = now() where ticker = 'GONE'`
  })
).pipe(
  Layer.provideMerge(
    Layer.mergeAll(
      Catalog.layer,
      MarketCompletion.layer,
      TradeWindows.layer,
      Candles.layer.pipe(Layer.provideMerge(Partitions.layer)),
      Trades.layer.pipe(Layer.provideMerge(MarketKeys.layer))
    )
  ),
  Layer.provideMerge(QueueJobs.layer),
  TestDatabase.under("queue")
)

/** Claims a job as `one`, and runs it with a handler that writes. */
const run = Effect.fnUntraced(function* (
  write: Effect.Effect<unknown, SqlError, Stores>,
  meanwhile: Effect.Effect<unknown, SqlError>
) {
  const jobs = yield* QueueJobs
  const stores = yield* Layer.build(FencedStores.layer)
  yield* jobs.enqueue([
    {
      type: "backfill_market",
      payload: '{"tickers":["M-0"]}',
      priority: 5,
      key: undefined,
      delaySeconds: 0,
      maxAttempts: 5
    }
  ])
  yield* jobs.join({ instance: "one", host: "here", pid: 1, types: ["backfill_market"] }, 60)
  const claim = yield* jobs.claim("one", [{ type: "backfill_market", priority: 5, after: 0 }], 1)
  const runAttempt = yield* attempt.pipe(
    Effect.provide(
      Layer.merge(
        TestDatabase.actingClient,
        Layer.succeed(JobHandlers, {
          backfill_market: () => Effect.andThen(meanwhile, Effect.provideContext(write, stores))
        })
      )
    )
  )
  return yield* runAttempt(claim!.jobs[0]!, { instance: "one", timeoutSeconds: 30, patienceSeconds: 5 })
}, Effect.scoped)

describe("FencedStores", () => {
  for (const [name, [write, trace]] of Object.entries(writes))
    it.live(`${name} of a job that moved on is refused, and of one that is held stored`, () =>
      Effect.gen(function* () {
        const jobs = yield* QueueJobs
        const sql = yield* PgClient.PgClient
        const taken = Effect.andThen(sql`update queue_workers set lost = true`, Effect.orDie(jobs.rescue))
        assert.strictEqual((yield* run(write, taken))._tag, "Lost")
        assert.deepStrictEqual(yield* sql.unsafe(trace), [])
        yield* sql`delete from queue_jobs`
        assert.strictEqual((yield* run(write, Effect.void))._tag, "Done")
        assert.strictEqual((yield* sql.unsafe(trace)).length, 1)
      }).pipe(Effect.provide(Database))
    )
})
