import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CaptureStore } from "../../src/ingest/CaptureStore.ts"
import { Journal } from "../../src/ingest/Journal.ts"
import { JournalSegments } from "../../src/ingest/JournalSegments.ts"
import { reprocess } from "../../src/ingest/Reprocess.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { TestDatabase } from "../support/Database.ts"
import { created, entry, start, ticker } from "./Frames.ts"
import { directory, journalOf, record, settings, stored } from "./Recorder.ts"

const book = (seq: number, type: string, msg: Readonly<Record<string, unknown>>) =>
  JSON.stringify({ type, sid: 3, seq, msg: { market_ticker: "A", ...msg } })

const trade = (seq: number, millis: number) =>
  JSON.stringify({
    type: "trade",
    sid: 4,
    seq,
    msg: {
      trade_id: `00000000-0000-4000-8000-${String(seq).padStart(12, "0")}`,
      market_ticker: "A",
      yes_price_dollars: "0.4700",
      no_price_dollars: "0.5300",
      count_fp: "2.00",
      taker_side: "yes",
      ts_ms: millis
    }
  })

const history = [
  entry("started", start),
  entry("opened", start, JSON.stringify({ connection: 7 })),
  entry("live", start + 1),
  entry("snapshot", start + 5, ticker("A", start)),
  entry("frame", start + 6, book(1, "orderbook_snapshot", { yes_dollars_fp: [["0.4500", "10.00"]] })),
  entry("frame", start + 10, ticker("A", start + 9, { price_dollars: "0.4800" })),
  // Two frames that differ in nothing that tells ticks apart: both are rows.
  entry("frame", start + 20, ticker("B", start + 20)),
  entry("frame", start + 20, ticker("B", start + 20)),
  entry(
    "frame",
    start + 30,
    book(2, "orderbook_delta", { side: "yes", price_dollars: "0.4500", delta_fp: "-3.00", ts_ms: start + 29 })
  ),
  entry("frame", start + 31, trade(1, start + 30)),
  entry("frame", start + 40, "broken"),
  entry("frame", start + 50, created("NEW", "KXBTCD-NEW", start, 1)),
  entry("frame", start + 60, ticker("B", start + 55, { volume_fp: "5124.00" }))
]

const everything = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  return {
    ticks:
      yield* sql`select ticker, ts, received_at, price_dollars, volume, provenance from market_ticks order by 3, 1, 2`,
    latest: yield* sql`select ticker, ts, price_dollars from market_ticks_latest order by 1`,
    trades: yield* sql`select ticker, ts, trade_id, count, provenance from market_trades order by 3`,
    deltas: yield* sql`select ticker, ts, side, price_dollars, delta, seq from orderbook_events order by seq`,
    snapshots: yield* sql`select ticker, ts, yes_prices, seq from orderbook_snapshots order by seq`,
    lifecycle: yield* sql`select market_ticker, event_type, received_at from lifecycle_events order by 3, 1`,
    gaps: yield* sql`select cause, from_ts, to_ts from capture_gaps order by from_ts`,
    quarantine: yield* sql`select received_at, segment, "offset", cause, raw from quarantine order by 1`
  }
})

const again = (home: string, fromMillis = start - 1000, toMillis = start + 1000) =>
  reprocess({ fromMillis, toMillis }).pipe(
    Effect.provide(
      Layer.mergeAll(
        CaptureStore.layerWithTables.pipe(Layer.provide(TestDatabase.actingClient)),
        ExchangeTime.layerReal,
        settings({ JOURNAL_DIR: home })
      )
    )
  )

/** The history, stored by a writer that has ended. */
const recorded = Effect.gen(function* () {
  const home = yield* directory
  const at = path.join(home, "shard-0")
  yield* Journal.use((journal) => Effect.forEach(history, (one) => journal.append([one]), { discard: true })).pipe(
    Effect.provide(journalOf(at, 700))
  )
  const writer = yield* record(at)
  yield* stored(writer.journal)
  yield* writer.stop
  return { home, at }
})

describe("reprocess", () => {
  it.live("changes nothing where the frames mean what they meant, however often", () =>
    Effect.gen(function* () {
      const { home } = yield* recorded
      const before = yield* everything
      assert.strictEqual(before.ticks.length, 5)
      assert.strictEqual(before.quarantine.length, 1)
      const first = yield* again(home)
      assert.deepStrictEqual(first, { journals: 1, frames: 10, ticks: 5, quarantined: 1 })
      assert.deepStrictEqual(yield* everything, before)
      assert.deepStrictEqual(yield* again(home), first)
      assert.deepStrictEqual(yield* everything, before)
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("puts right what an earlier version misread, left out or put aside", () =>
    Effect.gen(function* () {
      const { home } = yield* recorded
      const sql = yield* PgClient.PgClient
      const right = yield* everything
      yield* sql`update ticks set price_dollars = 99, volume = null`
      yield* sql`delete from ticks where market_id = (select market_id from market_keys where ticker = 'A')`
      yield* sql`delete from trades`
      yield* sql`update book_events set delta = 1`
      yield* sql`delete from lifecycle_events`
      yield* sql`
        insert into quarantine (received_at, feed, journal, segment, "offset", cause, raw)
        select ${fromMillis(start + 60)}::timestamptz, 'socket', journal, segment, "offset" - 1, 'not understood then', 'x'
        from journal_positions`
      yield* again(home)
      assert.deepStrictEqual(yield* everything, right)
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("leaves alone what was received outside of the span", () =>
    Effect.gen(function* () {
      const { home } = yield* recorded
      const sql = yield* PgClient.PgClient
      yield* sql`update ticks set price_dollars = 99`
      yield* again(home, start + 10, start + 20)
      const prices = yield* sql`select price_dollars::float8 as p from market_ticks order by received_at, ticker`
      assert.deepStrictEqual(
        prices.map(({ p }) => p),
        [99, 0.48, 99, 99, 99]
      )
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("reads compressed segments, and passes a directory that is no journal", () =>
    Effect.gen(function* () {
      const { at, home } = yield* recorded
      const before = yield* everything
      const files = new JournalSegments(at)
      for (const segment of yield* Effect.promise(() => files.list()))
        yield* Effect.promise(() => files.compress(segment))
      fs.mkdirSync(path.join(home, "lost+found"))
      fs.mkdirSync(path.join(home, "shard-7"))
      assert.strictEqual((yield* again(home)).frames, 10)
      assert.deepStrictEqual(yield* everything, before)
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )
})
