import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"

const speed = 360
const day = "2026-11-21"
const minute = 60_000

const temporary = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "repair-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
)

const until = <A, E, R>(look: Effect.Effect<A, E, R>, done: (found: A) => boolean, what: string) =>
  look.pipe(
    Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: done }),
    Effect.timeoutOrElse({
      duration: "40 seconds",
      orElse: () =>
        Effect.flatMap(look, (found) =>
          Effect.die(new Error(`waited in vain for ${what}, there is ${JSON.stringify(found)}`))
        )
    })
  )

describe("a day of which a part was not recorded", () => {
  it.live(
    "shows the hole, is repaired, and shows that it was",
    () =>
      Effect.gen(function* () {
        const home = yield* temporary
        const keys = path.join(home, "keys")
        const exchange = yield* Programs.running("exchange", {}, [
          "--port=0",
          `--speed=${speed}`,
          `--keys-dir=${keys}`,
          `--start=${day}T15:50:00Z`,
          "--no-ledger"
        ])
        const announced = JSON.parse(yield* exchange.firstLine)
        const [wallMillis, exchangeMillis] = String(announced.clock).split(":").map(Number)
        const sql = yield* PgClient.PgClient
        const env = {
          ...(yield* TestDatabase.environment),
          DATA_DIR: home,
          KALSHI_API_KEY_ID: fs.readFileSync(path.join(keys, "kalshi-key-id"), "utf8").trim(),
          KALSHI_PRIVATE_KEY_PEM_PATH: path.join(keys, "kalshi-key.pem"),
          KALSHI_REST_URL: announced.rest,
          KALSHI_WS_URL: announced.ws,
          EXCHANGE_CLOCK: announced.clock,
          DISCOVERY_SECONDS: "2",
          BACKFILL_SECONDS: "0",
          CLOSED_CLEANUP_SECONDS: "0",
          TRADE_RECONCILE_LAG_SECONDS: "0.5",
          CONSISTENCY_MARKETS: "30",
          COVERAGE_SECONDS: "1"
        }
        const midnight = Date.parse(`${day}T00:00:00Z`)
        const wall = Effect.clockWith((clock) => clock.currentTimeMillis)
        /** The exchange's clock, minutes of the day. */
        const now = Effect.map(wall, (millis) => (exchangeMillis! + (millis - wallMillis!) * speed - midnight) / minute)
        const at = (clock: number) =>
          Effect.flatMap(now, (minutes) => Effect.sleep(Math.max(0, ((clock - minutes) * minute) / speed)))
        const ticks = (from: number, to: number) =>
          sql<{ n: number }>`
            select count(*)::int as n from market_ticks
            where received_at > ${`${day}T00:00:00Z`}::timestamptz + ${from} * interval '1 minute'
              and received_at < ${`${day}T00:00:00Z`}::timestamptz + ${to} * interval '1 minute'`.pipe(
            Effect.map((rows) => rows[0]!.n)
          )
        const coverage = Effect.fnUntraced(function* (event: string) {
          const ended = yield* Programs.run("coverage", env, ["--event", event, "--day", day, "--json"])
          return { code: ended.code, ...JSON.parse(ended.stdout || "{}") }
        })

        const { event, first } = yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Programs.running("rest", { ...env, REPAIR_SECONDS: "0", CONSISTENCY_SECONDS: "0" })
            const first = yield* Effect.scoped(
              Effect.gen(function* () {
                yield* Programs.running("ws", env)
                yield* until(ticks(0, 1440), (n) => n > 200, "ticks")
                // The first hour that is recorded from its beginning.
                const whole = 60 * Math.ceil(((yield* now) + 2) / 60)
                yield* at(whole + 12)
                return whole
              })
            )
            yield* at(first + 32)
            const rows = yield* sql<{ event: string }>`
              select event_ticker as event from markets join events using (event_ticker)
              where series_ticker = 'KXBTCD' and close_time = ${`${day}T00:00:00Z`}::timestamptz + ${first + 60} * interval '1 minute'
              limit 1`
            return { event: rows[0]!.event, first }
          })
        )

        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Programs.running("rest", { ...env, REPAIR_SECONDS: "0", CONSISTENCY_SECONDS: "0" })
            yield* Programs.running("ws", env)
            yield* at(first + 62)
            const gap = yield* until(
              sql<{ cause: string; seconds: number; from: string }>`
                select cause, extract(epoch from to_ts - from_ts)::float8 as seconds, rfc3339(from_ts) as from
                from capture_gaps where to_ts is not null and feed = 'all' order by id`,
              (rows) => rows.length > 0,
              "the gap"
            )
            assert.strictEqual(gap[0]?.cause, "process_down")
            assert.isAbove(gap[0]!.seconds, 18 * 60)
            const holes = yield* coverage(event)
            assert.strictEqual(holes.code, 2)
            assert.strictEqual(holes.states.degraded, holes.due)
            assert.isAbove(holes.due, 3)
            for (const hole of holes.holes) {
              assert.strictEqual(Number(hole.hour.slice(11, 13)), first / 60)
              assert.isAtMost(hole.liveSeconds, 3600 - 18 * 60)
              assert.strictEqual(hole.repairedSeconds, 0)
            }

            yield* Programs.running("rest", { ...env, REPAIR_SECONDS: "0.5", CONSISTENCY_SECONDS: "3" })
            const healed = yield* until(
              sql<{ id: number; by: string | null; problem: string | null }>`
                select g.id::int, repaired_by as by, problem from capture_gaps g left join gap_repairs r on r.gap_id = g.id
                where to_ts is not null and feed = 'all' order by id`,
              (rows) => rows.every(({ by }) => by !== null),
              "the repair"
            )
            assert.strictEqual(healed[0]?.by, "candles,trades,discovery")
            const repaired = yield* coverage(event)
            assert.strictEqual(repaired.code, 0)
            assert.strictEqual(repaired.states.repaired, repaired.due)
            assert.strictEqual(repaired.shareCovered, 1)

            assert.strictEqual(yield* ticks(first + 14, first + 30), 0)
            const brought = yield* sql<{ what: string; n: number }>`
              select 'candles' as what, count(*)::int as n from market_candles where provenance = 3
              union all select 'trades', count(*)::int from trades where provenance = 3`
            for (const { n } of brought) assert.isAbove(n, 5)

            const table = yield* until(
              sql<{ state: string; n: number }>`
                select state, count(*)::int as n from coverage
                where event_ticker = ${event} and hour = ${`${day}T00:00:00Z`}::timestamptz + ${first} * interval '1 minute' group by 1`,
              (rows) => rows.length === 1 && rows[0]!.state === "repaired",
              "the table"
            )
            assert.strictEqual(table[0]!.n, repaired.due)

            yield* at(first + 123)
            const compared = yield* until(
              sql<{ what: string; compared: number; mismatched: number }>`
                select what, sum(compared)::int as compared, sum(mismatched)::int as mismatched
                from consistency_checks group by what order by what`,
              (rows) => rows.some(({ compared, what }) => what === "candle_quotes" && compared > 100),
              "comparisons of quotes"
            )
            for (const row of compared) assert.strictEqual(row.mismatched, 0, row.what)
          })
        )
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    120_000
  )
})
