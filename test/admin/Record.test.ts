import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import { CaptureStore } from "../../src/ingest/CaptureStore.ts"
import { Journal } from "../../src/ingest/Journal.ts"
import { JournalControl } from "../../src/ingest/JournalControl.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { entry, start, ticker } from "../ingest/Frames.ts"
import { journalOf, record, settings, stored } from "../ingest/Recorder.ts"
import { TestDatabase } from "../support/Database.ts"
import { folder, overSocket, program } from "./AdminFixture.ts"

const controls = (home: string) =>
  JournalControl.layer.pipe(
    Layer.provide(CaptureStore.layerWithTables),
    Layer.provide(TestDatabase.actingClient),
    Layer.provide([ExchangeTime.layerReal, settings({ JOURNAL_DIR: home })])
  )

/** A program that has a journal, as ws has. */
const ready = Effect.gen(function* () {
  const home = yield* folder
  const { socket } = yield* program({
    home,
    service: "ws",
    controls: controls(home),
    env: { JOURNAL_DIR: home }
  })
  return { home, client: yield* overSocket(socket) }
})

const putAside = (raw: string, at: number, offset: number) =>
  SqlClient.SqlClient.use(
    (sql) => sql<{ id: string }>`
      insert into quarantine (received_at, feed, journal, segment, "offset", cause, raw)
      values (${fromMillis(at)}::timestamptz, 'socket', 'j', 1, ${offset}, 'not understood then', convert_to(${raw}, 'UTF8'))
      returning id::text as id`
  ).pipe(Effect.map((rows) => rows[0]!.id))

const count = (table: string) =>
  SqlClient.SqlClient.use((sql) => sql<{ n: number }>`select count(*)::int as n from ${sql(table)}`).pipe(
    Effect.map((rows) => rows[0]!.n)
  )

const trade = JSON.stringify({
  type: "trade",
  sid: 4,
  seq: 9,
  msg: {
    trade_id: "00000000-0000-4000-8000-000000000009",
    market_ticker: "A",
    yes_price_dollars: "0.4700",
    no_price_dollars: "0.5300",
    count_fp: "2.00",
    taker_side: "yes",
    ts_ms: start + 20
  }
})

const delta = JSON.stringify({
  type: "orderbook_delta",
  sid: 3,
  seq: 2,
  msg: { market_ticker: "A", side: "yes", price_dollars: "0.4500", delta_fp: "-3.00", ts_ms: start + 29 }
})

describe("quarantine", () => {
  it.live("a frame that is understood today is stored once and leaves, a bad one stays with today's cause", () =>
    Effect.gen(function* () {
      const { client } = yield* ready
      const good = yield* putAside(ticker("A", start + 9, { price_dollars: "0.4800" }), start + 10, 1)
      const sold = yield* putAside(trade, start + 21, 2)
      const bad = yield* putAside("broken", start + 30, 3)
      const book = yield* putAside(delta, start + 31, 4)
      const ids = [bad, good, sold, book, "999999"]
      assert.deepStrictEqual(yield* client.retryQuarantined({ ids }), { stored: 2, refused: 2, unknown: 1 })
      const sql = yield* SqlClient.SqlClient
      const ticks =
        yield* sql`select ticker, rfc3339(received_at) as at, price_dollars::text as price from market_ticks`
      assert.deepStrictEqual(ticks, [{ ticker: "A", at: "2026-08-24T15:50:00.010000Z", price: "0.4800" }])
      assert.strictEqual(yield* count("trades"), 1)
      assert.strictEqual(yield* count("book_events"), 0, "its connection is not known")
      const left = yield* client.quarantine({ limit: 10 })
      assert.deepStrictEqual(
        left.map(({ id }) => id),
        [book, bad]
      )
      assert.include(left[0]?.cause, "reprocess")
      assert.notInclude(left[1]?.cause, "not understood then")
      assert.strictEqual(left[1]?.raw, "broken")

      // The same frame put aside twice is one tick all the same.
      const twice = yield* putAside(ticker("A", start + 9, { price_dollars: "0.4800" }), start + 10, 1)
      assert.deepStrictEqual(yield* client.retryQuarantined({ ids: [twice, twice] }), {
        stored: 1,
        refused: 0,
        unknown: 1
      })
      assert.strictEqual(yield* count("ticks"), 1)
      assert.deepStrictEqual(yield* client.dropQuarantined({ ids: [bad, book, good] }), { count: 2 })
      assert.deepStrictEqual(yield* client.quarantine({ limit: 10 }), [])
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("one that the database refuses is put back with its cause, and the others are stored", () =>
    Effect.gen(function* () {
      const { client } = yield* ready
      const sql = yield* SqlClient.SqlClient
      yield* sql`alter table trades add constraint no_trade_of_b check (count < 1000)`
      const refused = yield* putAside(trade.replace('"2.00"', '"5000.00"'), start + 21, 1)
      const good = yield* putAside(ticker("A", start + 9), start + 10, 2)
      assert.deepStrictEqual(yield* client.retryQuarantined({ ids: [refused, good] }), {
        stored: 1,
        refused: 1,
        unknown: 0
      })
      const [left] = yield* client.quarantine({ limit: 10 })
      assert.strictEqual(left?.id, refused)
      assert.include(left?.cause, "23514")
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("is listed by when it was put aside, and does not choke on what is no text", () =>
    Effect.gen(function* () {
      const { client } = yield* ready
      const sql = yield* SqlClient.SqlClient
      yield* sql`
        insert into quarantine (feed, cause, raw) values ('socket', 'no text', decode('00ff0d1b5b324a', 'hex'))`
      const [row] = yield* client.quarantine({ limit: 1 })
      assert.strictEqual(row?.bytes, 7)
      assert.isTrue(row?.raw.startsWith("\\000\\377\r"), row?.raw)
      assert.deepStrictEqual(yield* client.quarantine({ limit: 1, to: "2020-01-01T00:00:00Z" }), [])
      assert.strictEqual((yield* client.quarantine({ limit: 1, from: "2020-01-01T00:00:00Z" })).length, 1)
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )
})

describe("gaps", () => {
  const slots = "{0,1,2,3,4,5,6,7,8,9,10,11}"
  const gap = (from: number, to: number | null, repaired = false) =>
    SqlClient.SqlClient.use(
      (sql) => sql<{ id: string }>`
        insert into capture_gaps (feed, shard, slots, from_ts, to_ts, cause, journal, repaired_by, repaired_at)
        values ('all', 'event/12', ${slots}::smallint[], ${fromMillis(from)}::timestamptz,
          ${to === null ? null : fromMillis(to)}::timestamptz, 'disconnect', 'j', ${repaired ? "candles" : null},
          ${repaired ? fromMillis(from) : null}::timestamptz)
        returning id::text as id`
    ).pipe(Effect.map((rows) => rows[0]!.id))

  it.live("are listed by state and span, and one that waits is tried again as if never tried", () =>
    Effect.gen(function* () {
      const { socket } = yield* program({ home: yield* folder })
      const client = yield* overSocket(socket)
      const sql = yield* SqlClient.SqlClient
      const waiting = yield* gap(start, start + 60_000)
      const repaired = yield* gap(start + 100_000, start + 160_000, true)
      const open = yield* gap(start + 200_000, null)
      yield* sql`
        insert into gap_repairs (gap_id, failures, problem, next_at)
        values (${waiting}::bigint, 9, 'the exchange was away', clock_timestamp() + interval '1 hour')`
      const list = (state: "open" | "waiting" | "repaired" | "all", span: { from?: string; to?: string } = {}) =>
        Effect.map(client.gaps({ state, limit: 10, ...span }), (rows) => rows.map(({ id }) => id))
      assert.deepStrictEqual(yield* list("all"), [open, repaired, waiting])
      assert.deepStrictEqual(yield* list("open"), [open])
      assert.deepStrictEqual(yield* list("waiting"), [waiting])
      assert.deepStrictEqual(yield* list("repaired"), [repaired])
      const middle = { from: fromMillis(start + 70_000), to: fromMillis(start + 120_000) }
      assert.deepStrictEqual(yield* list("all", middle), [repaired])
      assert.deepStrictEqual(yield* list("all", { from: fromMillis(start + 900_000) }), [open], "it still goes on")
      const [before] = yield* client.gaps({ state: "waiting", limit: 1 })
      assert.strictEqual(before?.problem, "the exchange was away")
      assert.deepStrictEqual(yield* client.repairGaps({ ids: [waiting, repaired, open, "999999"] }), { count: 1 })
      const [after] = yield* client.gaps({ state: "waiting", limit: 1 })
      assert.strictEqual(after?.problem, null)
      assert.strictEqual(after?.nextTryAt, null)
      assert.strictEqual(yield* count("gap_repairs"), 0)
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )
})

describe("reprocess", () => {
  it.live(
    "reads a span of the journal again, and tells how far it has come",
    () =>
      Effect.gen(function* () {
        const { client, home } = yield* ready
        const at = path.join(home, "shard-0")
        const frames = 12_000
        yield* Journal.use((journal) =>
          journal.append([
            entry("started", start),
            entry("opened", start, JSON.stringify({ connection: 7 })),
            entry("live", start + 1),
            ...Array.from({ length: frames }, (_, n) =>
              entry("frame", start + 10 + n, ticker("A", start + 9 + n, { volume_fp: `${n}.00` }))
            )
          ])
        ).pipe(Effect.provide(journalOf(at, 1_000_000)))
        const writer = yield* record(at)
        yield* stored(writer.journal)
        yield* writer.stop
        const sql = yield* SqlClient.SqlClient
        yield* sql`update ticks set price_dollars = 99`
        const steps = yield* Stream.runCollect(
          client.reprocess({ from: fromMillis(start), to: fromMillis(start + frames * 2) })
        )
        assert.deepStrictEqual(steps[0], { done: 0, total: null, note: "" })
        const between = steps.slice(1, -1)
        assert.isAtLeast(between.length, 2, "it tells while it reads")
        for (const [n, step] of steps.entries()) {
          assert.isAtLeast(step.done, steps[n - 1]?.done ?? 0)
          assert.isTrue(step.total === null || step.total >= step.done)
        }
        assert.deepStrictEqual(steps.at(-1), {
          done: frames,
          total: frames,
          note: `1 journals, ${frames} ticks, 0 quarantined`
        })
        const wrong = yield* sql`select 1 from ticks where price_dollars = 99`
        assert.strictEqual(wrong.length, 0)
        assert.strictEqual(yield* count("ticks"), frames)
        const refused = yield* Effect.flip(
          Stream.runDrain(client.reprocess({ from: fromMillis(start), to: fromMillis(start) }))
        )
        assert.include(String(refused), "to is not after from")
      }).pipe(Effect.provide(TestDatabase.as("ws"))),
    60_000
  )
})
