import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Journal } from "../../src/ingest/Journal.ts"
import { Acting, TestDatabase } from "../support/Database.ts"
import { created, entry, lifecycle, start, ticker } from "./Frames.ts"
import { proxy } from "./PostgresProxy.ts"
import { directory, journalOf, record, stored, storedFrames } from "./Recorder.ts"

const count = 240

/** A day in the life of the feed: ticks of some markets, new markets, a reconnection, bad frames. */
const history = Array.from({ length: count }, (_, n) => {
  const at = start + n * 10
  if (n % 60 === 0) return entry("started", at)
  if (n % 60 === 1) return entry("live", at)
  if (n % 40 === 7) return entry("frame", at, created(`NEW-${n}`, `KXBTCD-${n}`, start, 1))
  if (n % 40 === 9) return entry("frame", at, lifecycle(`NEW-${n - 2}`, "activated", { is_deactivated: false }))
  if (n % 50 === 13) return entry("frame", at, `broken ${n}`)
  if (n % 70 === 20) return entry("frame", at, ticker(`nul\u0000${n}`, at))
  return entry("frame", at, ticker(`M${n % 5}`, at, { price_dollars: `0.${String(n).padStart(4, "0")}` }))
})
const frames = history.filter(({ kind }) => kind === "frame").length

/** Everything that a frame leaves behind, as text. */
const everything = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  return {
    ticks:
      yield* sql`select ticker, ts::text, received_at::text, price_dollars::text, provenance from market_ticks order by 3, 1`,
    latest: yield* sql`select ticker, ts::text, price_dollars::text from market_ticks_latest order by 1`,
    lifecycle: yield* sql`select market_ticker, event_type, received_at::text from lifecycle_events order by 3, 1`,
    markets: yield* sql`select ticker, event_ticker, status, open_time::text, close_time::text from markets order by 1`,
    events: yield* sql`select event_ticker, strike_period from events order by 1`,
    gaps: yield* sql`select cause, from_ts::text, to_ts::text from capture_gaps order by from_ts`,
    quarantine:
      yield* sql`select received_at::text, segment::int, "offset"::int, cause, encode(raw, 'escape') as raw from quarantine order by 1`,
    frames: yield* storedFrames
  }
})

const fill = (at: string) =>
  Journal.use((journal) => Effect.forEach(history, (one) => journal.append([one]), { discard: true })).pipe(
    Effect.provide(journalOf(at, 4_000))
  )

const undisturbed = Effect.gen(function* () {
  const at = yield* directory
  yield* fill(at)
  const writer = yield* record(at)
  yield* stored(writer.journal)
  yield* writer.stop
  return yield* everything
}).pipe(Effect.provide(TestDatabase.as("ws")))

const road = Effect.gen(function* () {
  const through = yield* proxy(Redacted.value(yield* TestDatabase.urlAs("ws")))
  return { ...through, acting: Layer.effect(Acting, PgClient.PgClient).pipe(Layer.provide(through.layer)) }
})

describe("what is stored", () => {
  it.live("is the same however often the writer dies, wherever it stands", () =>
    Effect.gen(function* () {
      const expected = yield* undisturbed
      assert.strictEqual(expected.frames, frames)
      assert.isAbove(expected.ticks.length, 180)
      yield* Effect.gen(function* () {
        const at = yield* directory
        yield* fill(at)
        const through = yield* road
        let seed = 7
        for (let round = 0; round < 14; round++) {
          seed = (seed * 48_271) % 2_147_483_647
          const death = yield* Effect.forkChild(through.cutBefore(12 + (seed % 90)), { startImmediately: true })
          const client = yield* Layer.build(through.acting)
          const writer = yield* record(at, { WS_DB_BATCH_SIZE: String(1 + (seed % 13)) }).pipe(
            Effect.provideContext(client)
          )
          yield* Effect.raceFirst(Fiber.join(death), stored(writer.journal))
          yield* writer.kill
          yield* Fiber.interrupt(death)
        }
        through.plan.chunksLeft = Number.POSITIVE_INFINITY
        const last = yield* record(at)
        yield* stored(last.journal)
        yield* last.stop
        assert.deepStrictEqual(yield* everything, expected)
      }).pipe(Effect.provide(TestDatabase.as("ws")))
    })
  )

  it.live("is the same when the database goes away, refuses for a while, and loses the answer to a commit", () =>
    Effect.gen(function* () {
      const expected = yield* undisturbed
      yield* Effect.gen(function* () {
        const at = yield* directory
        yield* fill(at)
        const through = yield* road
        const sql = yield* PgClient.PgClient
        const end = yield* Effect.gen(function* () {
          through.plan.loseCommit = true
          const cut = yield* Effect.forkChild(through.cutBefore(60), { startImmediately: true })
          const writer = yield* record(at, { WS_DB_BATCH_SIZE: "6" })
          const ended = yield* Effect.forkChild(Effect.flip(writer.ended))
          yield* Fiber.join(cut)
          through.plan.refuse = true
          yield* sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename <> current_user`
          yield* Effect.sleep("300 millis")
          through.plan.refuse = false
          yield* Effect.raceFirst(
            stored(writer.journal),
            Effect.flatMap(Fiber.join(ended), (error) => Effect.die(error))
          )
          yield* writer.stop
          return yield* everything
        }).pipe(Effect.provide(through.acting))
        assert.strictEqual(through.plan.commitsLost, 1)
        assert.deepStrictEqual(end, expected)
      }).pipe(Effect.provide(TestDatabase.as("ws")))
    })
  )
})
