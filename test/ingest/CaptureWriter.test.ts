import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { JournalTaken } from "../../src/ingest/CaptureWriter.ts"
import { Journal } from "../../src/ingest/Journal.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { TestDatabase } from "../support/Database.ts"
import { created, entry, lifecycle, start, ticker } from "./Frames.ts"
import { directory, journalOf, record, stored, storedFrames, until } from "./Recorder.ts"

const rows = PgClient.PgClient.use(
  (sql) => sql<{ ticker: string; at: number; price: string; provenance: string }>`
    select ticker, (extract(epoch from ts) * 1000)::float8 as at, price_dollars::text as price, provenance
    from market_ticks order by received_at, ticker, ts`
)
const gaps = PgClient.PgClient.use(
  (sql) => sql<{ cause: string; from: number; to: number | null; detail: string }>`
    select cause, (extract(epoch from from_ts) * 1000)::float8 as from, (extract(epoch from to_ts) * 1000)::float8 as to, detail
    from capture_gaps order by from_ts, id`
)
const spans = Effect.map(gaps, (found) =>
  found.map(({ cause, from, to }) => [cause, from - start, to === null ? null : to - start])
)
const quarantine = PgClient.PgClient.use(
  (sql) => sql<{ cause: string; raw: Uint8Array }>`select cause, raw from quarantine order by id`
).pipe(Effect.map((found) => found.map(({ cause, raw }) => ({ cause, raw: Buffer.from(raw).toString() }))))

const append = (at: string, entries: Parameters<Journal["Service"]["append"]>[0]) =>
  Journal.use((journal) => journal.append(entries)).pipe(Effect.provide(journalOf(at)))

describe("CaptureWriter", () => {
  it.live("stores what the journal holds and what is appended later, and says how old the newest is", () =>
    Effect.gen(function* () {
      const at = yield* directory
      yield* append(at, [entry("snapshot", start, ticker("A", start - 5))])
      const writer = yield* record(at)
      yield* writer.journal.append([
        entry("snapshot", start + 1, ticker("B", start, { price_dollars: "0.0000", volume_fp: "0.00" })),
        entry("frame", start + 2, ticker("A", start + 1, { price_dollars: "0.4701" })),
        entry("frame", start + 3, JSON.stringify({ type: "subscribed", id: 1, msg: { channel: "ticker", sid: 1 } })),
        entry("frame", start + 4, JSON.stringify({ type: "novelty", sid: 1, msg: {} }))
      ])
      yield* stored(writer.journal)
      assert.deepStrictEqual(yield* rows, [
        { ticker: "A", at: start - 5, price: "0.4700", provenance: "snapshot" },
        { ticker: "B", at: start, price: "0.0000", provenance: "snapshot" },
        { ticker: "A", at: start + 1, price: "0.4701", provenance: "live" }
      ])
      assert.strictEqual(yield* storedFrames, 5)
      assert.deepStrictEqual(yield* quarantine, [])
      yield* writer.stop
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("opens a gap for each way the feed can be away, and none at the very first start", () =>
    Effect.gen(function* () {
      const at = yield* directory
      yield* append(at, [
        entry("started", start),
        entry("live", start + 100),
        entry("frame", start + 200, ticker("A", start + 190)),
        entry("closed", start + 900, "no ping"),
        entry("closed", start + 1_500, "refused"),
        entry("live", start + 2_000),
        entry("alive", start + 12_000),
        entry("stopping", start + 13_000),
        entry("started", start + 20_000),
        entry("live", start + 21_000),
        entry("frame", start + 22_000, ticker("A", start + 21_990)),
        entry("started", start + 30_000),
        entry("live", start + 31_000)
      ])
      const writer = yield* record(at, { WS_DB_BATCH_SIZE: "3" })
      yield* stored(writer.journal)
      const closedOnes = [
        ["disconnect", 100, 2_000],
        ["shutdown", 11_890, 21_000],
        ["process_down", 21_890, 31_000]
      ]
      assert.deepStrictEqual(yield* spans, closedOnes)
      yield* writer.stop

      yield* append(at, [entry("started", start + 40_000)])
      const later = yield* record(at)
      yield* stored(later.journal)
      assert.deepStrictEqual(yield* spans, [...closedOnes, ["process_down", 30_890, null]])
      yield* later.stop

      const elsewhere = yield* directory
      yield* append(elsewhere, [entry("started", start + 50_000), entry("live", start + 51_000)])
      const moved = yield* record(elsewhere)
      yield* stored(moved.journal)
      assert.deepStrictEqual(yield* spans, [...closedOnes, ["process_down", 30_890, 51_000]])
      yield* moved.stop
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live(
    "a gap begins where the feed was heard to, not where it was heard: by the stamps of frames that were long on their way",
    () =>
      Effect.gen(function* () {
        const at = yield* directory
        const numbered = (seq: number, millis: number) =>
          JSON.stringify({
            type: "trade",
            sid: 3,
            seq,
            msg: {
              trade_id: `00000000-0000-4000-8000-00000000000${seq}`,
              market_ticker: "A",
              yes_price_dollars: "0.4700",
              no_price_dollars: "0.5300",
              count_fp: "1.00",
              taker_side: "yes",
              ts_ms: millis
            }
          })
        yield* append(at, [
          entry("started", start),
          entry("opened", start + 50),
          entry("live", start + 100),
          entry("snapshot", start + 150, ticker("B", start - 3_000_000)),
          entry("frame", start + 30_000, numbered(1, start + 1_000)),
          entry("frame", start + 30_010, numbered(3, start + 1_020)),
          entry("frame", start + 40_000, ticker("A", start + 5_000)),
          entry("closed", start + 41_000),
          entry("live", start + 42_000)
        ])
        const writer = yield* record(at)
        yield* stored(writer.journal)
        assert.deepStrictEqual(yield* spans, [
          ["sequence", 900, 30_010],
          ["disconnect", 4_900, 42_000]
        ])
        assert.deepStrictEqual(yield* quarantine, [])
        yield* writer.stop
      }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("what a stopped process hears late is stored up to the take-over, once; the hole is what neither heard", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`insert into markets (ticker) values ('A')`
      const [one, other] = [yield* directory, yield* directory]
      yield* append(one, [
        entry("started", start),
        entry("live", start + 100),
        entry("frame", start + 1_000, ticker("A", start + 990))
      ])
      const stopped = yield* record(one)
      yield* stored(stopped.journal)
      yield* stopped.stop
      yield* append(other, [
        entry("started", start + 9_000),
        entry("frame", start + 9_960, ticker("A", start + 9_950)),
        entry("live", start + 10_000),
        entry("frame", start + 11_010, ticker("A", start + 11_000))
      ])
      const taker = yield* record(other)
      yield* stored(taker.journal)
      assert.deepStrictEqual(yield* spans, [["process_down", 890, 10_000]])
      yield* taker.stop
      yield* append(one, [
        entry("frame", start + 20_000, ticker("A", start + 5_000)),
        entry("frame", start + 20_001, ticker("A", start + 9_950)),
        entry("frame", start + 20_002, ticker("A", start + 11_000))
      ])
      const woken = yield* record(one)
      yield* stored(woken.journal)
      assert.deepStrictEqual(
        (yield* rows).map(({ at }) => at - start).sort((a, b) => a - b),
        [990, 5_000, 9_950, 11_000]
      )
      const [hole] = yield* spans
      assert.deepStrictEqual(hole, ["process_down", 9_850, 10_000])
      yield* woken.stop
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("what a killed process left is stored by the next one, and the hole begins where it ended", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* directory, yield* directory]
      yield* append(one, [entry("started", start), entry("live", start + 100)])
      const killed = yield* record(one)
      yield* stored(killed.journal)
      yield* killed.stop
      yield* append(other, [entry("started", start + 9_000), entry("live", start + 10_000)])
      const taker = yield* record(other)
      yield* stored(taker.journal)
      assert.deepStrictEqual(yield* spans, [["process_down", 0, 10_000]])
      yield* taker.stop
      yield* append(one, [
        entry("frame", start + 2_010, ticker("A", start + 2_000)),
        entry("started", start + 30_000),
        entry("live", start + 30_100),
        entry("frame", start + 30_200, ticker("A", start + 30_190))
      ])
      const next = yield* record(one)
      yield* stored(next.journal)
      assert.deepStrictEqual((yield* spans)[0], ["process_down", 1_900, 10_000])
      yield* next.stop
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("slots that are handed over are missing since before they were given up", () =>
    Effect.gen(function* () {
      const at = yield* directory
      yield* append(at, [
        entry("live", start),
        entry("frame", start + 500, ticker("A", start + 450)),
        entry("handed", start + 1_200, JSON.stringify({ slots: [0, 1], sinceMillis: start + 1_000 }))
      ])
      const writer = yield* record(at)
      yield* stored(writer.journal)
      assert.deepStrictEqual(yield* spans, [["handover", 850, null]])
      yield* writer.stop
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("frames that say nothing to us have their numbers all the same", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const numbered = (seq: number, type: string) =>
        JSON.stringify({ type, sid: 2, seq, msg: { event_type: "unheard" } })
      yield* append(at, [
        entry("live", start),
        entry("frame", start + 1, numbered(1, "market_lifecycle_v2")),
        entry("frame", start + 2, numbered(2, "platform_notice")),
        entry("frame", start + 3, numbered(3, "market_lifecycle_v2")),
        entry("frame", start + 4, numbered(5, "platform_notice"))
      ])
      const writer = yield* record(at)
      yield* stored(writer.journal)
      assert.deepStrictEqual(yield* spans, [["sequence", -97, 4]])
      yield* writer.stop
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("a lost journal directory is a gap from the last stored sign of life", () =>
    Effect.gen(function* () {
      const first = yield* directory
      yield* append(first, [entry("started", start), entry("live", start + 1), entry("alive", start + 500)])
      const before = yield* record(first)
      yield* stored(before.journal)
      yield* before.stop
      const second = yield* directory
      yield* append(second, [entry("started", start + 9_000), entry("live", start + 9_500)])
      const after = yield* record(second)
      yield* stored(after.journal)
      assert.deepStrictEqual(yield* spans, [["process_down", 400, 9_500]])
      yield* after.stop
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("quarantines what it cannot read and what the database refuses, and stores all their neighbours", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const good = (n: number) => entry("frame", start + n, ticker(`G${n % 7}`, start + n))
      const refused = new Map([
        [3, "{ not json"],
        [10, ticker("A", start, { ts_ms: undefined, ts: undefined })],
        [20, ticker("nul\u0000", start)],
        [21, ticker("\ud800", start)],
        [40, created("M-1", "KXBTCD-1", start, 1, { rules_primary: "a \u0000 b" })],
        [41, created("N\u0000", "KXBTCD-1", start, 1)],
        [42, created("M-2", "KXBTCD-\u0000", start, 1)],
        [55, created("M-3", "KXBTCD-1", start, 1).replace('"sid":2', '"sid":3000000000')]
      ])
      const wanted = new Set(Array.from({ length: 60 }, (_, n) => n).filter((n) => !refused.has(n)))
      yield* append(
        at,
        Array.from({ length: 60 }, (_, n) => {
          const raw = refused.get(n)
          return raw === undefined ? good(n) : entry("frame", start + n, raw)
        })
      )
      yield* append(at, [entry("frame", start + 60, created("M-4", "KXBTCD-1", start, 1))])
      const writer = yield* record(at)
      yield* stored(writer.journal)
      assert.deepStrictEqual(
        (yield* rows).map((row) => row.at - start),
        [...wanted]
      )
      assert.deepStrictEqual(
        (yield* quarantine).map(({ raw }) => raw).sort(),
        [...refused.values()].map((raw) => Buffer.from(raw).toString()).sort()
      )
      const sql = yield* PgClient.PgClient
      assert.deepStrictEqual(yield* sql`select ticker from markets order by ticker`, [{ ticker: "M-4" }])
      assert.strictEqual(yield* storedFrames, 61)
      yield* writer.stop
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("a NUL in what the feed said when it ended does not stop the writer", () =>
    Effect.gen(function* () {
      const at = yield* directory
      yield* append(at, [
        entry("live", start),
        entry("closed", start + 10, "bye \u0000"),
        entry("frame", start + 20, ticker("A", start + 20))
      ])
      const writer = yield* record(at)
      yield* stored(writer.journal)
      assert.deepStrictEqual(yield* spans, [["disconnect", 0, null]])
      assert.strictEqual((yield* rows).length, 1)
      yield* writer.stop
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("of two writers of one journal one ends, and every frame is stored once", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const instants = Array.from({ length: 50 }, (_, n) => start + n)
      yield* append(
        at,
        instants.map((millis) => entry("frame", millis, ticker("A", millis)))
      )
      const first = yield* record(at, { WS_DB_BATCH_SIZE: "1" })
      const second = yield* record(at, { WS_DB_BATCH_SIZE: "1" })
      const loser = yield* Effect.raceFirst(Effect.flip(first.ended), Effect.flip(second.ended))
      assert.instanceOf(loser, JournalTaken)
      yield* until(storedFrames, (n) => n === 50)
      assert.deepStrictEqual(
        (yield* rows).map(({ at }) => at),
        instants
      )
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("keeps the newest state of a market whatever the order of its ticks", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const tick = (received: number, millis: number, fields: Readonly<Record<string, unknown>>) =>
        entry("frame", start + received, ticker("A", start + millis, fields))
      yield* append(at, [
        tick(1, 50, { price_dollars: "0.5000", volume_fp: "7.00" }),
        tick(2, 40, { price_dollars: "0.1000" }),
        tick(3, 60, { price_dollars: "0.6000", volume_fp: "8.00" }),
        tick(4, 60, { price_dollars: "0.6100", volume_fp: "7.00", open_interest_fp: "0.00" }),
        tick(5, 10, { price_dollars: "0.2000" })
      ])
      for (const batch of ["1", "2", "100"]) {
        const sql = yield* PgClient.PgClient
        yield* sql`truncate ticks, ticks_latest, journal_positions`
        const writer = yield* record(at, { WS_DB_BATCH_SIZE: batch })
        yield* stored(writer.journal)
        assert.deepStrictEqual(
          yield* sql`
            select (extract(epoch from ts) * 1000)::float8 - ${start}::float8 as at, price_dollars::text as price, volume::text,
              open_interest::text as oi from market_ticks_latest where ticker = 'A'`,
          [{ at: 60, price: "0.6100", volume: "7.00", oi: "0.00" }],
          `batches of ${batch}`
        )
        yield* writer.stop
      }
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )

  it.live("keeps what is said of a market that the catalog does not know until it does", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const sql = yield* PgClient.PgClient
      yield* append(at, [
        entry("live", start),
        entry("frame", start + 1, lifecycle("LATE", "activated", { is_deactivated: false })),
        entry("frame", start + 2, lifecycle("LATE", "deactivated", { is_deactivated: true })),
        entry("frame", start + 3, lifecycle("NEVER", "activated", { is_deactivated: false })),
        entry("frame", start + 4, lifecycle("RACED", "activated", { is_deactivated: false }))
      ])
      const writer = yield* record(at)
      yield* stored(writer.journal)
      yield* writer.stop
      const said = sql`select market_ticker, event_type from lifecycle_events order by received_at`
      assert.deepStrictEqual(yield* said, [])
      yield* sql`insert into markets (ticker, status) values ('LATE', 'active'), ('OTHER', 'active')`
      const ofLate = [
        { market_ticker: "LATE", event_type: "activated" },
        { market_ticker: "LATE", event_type: "deactivated" }
      ]
      assert.deepStrictEqual(yield* said, ofLate)
      yield* sql`alter table markets disable trigger markets_claim_lifecycle`
      yield* sql`insert into markets (ticker, status) values ('RACED', 'active')`
      yield* sql`alter table markets enable trigger markets_claim_lifecycle`
      yield* sql`select sweep_waiting_lifecycle(${fromMillis(start + 1_000)}::timestamptz)`
      assert.deepStrictEqual(yield* said, [...ofLate, { market_ticker: "RACED", event_type: "activated" }])
      assert.deepStrictEqual(yield* sql`select market_ticker from lifecycle_waiting`, [{ market_ticker: "NEVER" }])
      yield* sql`select sweep_waiting_lifecycle(${fromMillis(start + 25 * 3_600_000)}::timestamptz)`
      assert.deepStrictEqual(yield* sql`select market_ticker from lifecycle_waiting`, [])
    }).pipe(Effect.provide(TestDatabase.as("ws")))
  )
})
