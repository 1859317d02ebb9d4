import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { TestDatabase } from "../support/Database.ts"
import * as Debian15 from "../support/Debian15.ts"
import * as Exchange from "../support/Exchange.ts"
import * as Programs from "../support/Programs.ts"

/** exchange, migrator, rest and ws as a user starts them, one process each, against the given empty database. */
const recordsInto = Effect.fnUntraced(function* (databaseUrl: string) {
  const home = yield* Programs.folder
  const exchange = yield* Exchange.start(path.join(home, "keys"), ["--speed=60"])
  const owners = {
    DATABASE_URL: databaseUrl,
    DATA_DIR: home,
    ...exchange.settings,
    BACKFILL_FIRST_DAYS: "0.05"
  }
  assert.strictEqual((yield* Programs.run("migrator", owners)).code, 0)
  const env = { ...owners, ...(yield* Programs.logins(Redacted.make(databaseUrl))) }
  const rest = yield* Programs.running("rest", env)
  const ws = yield* Programs.running("ws", env)
  const sql = yield* PgClient.PgClient
  const ticks = sql<{ n: number }>`select count(*)::int as n from market_ticks`.pipe(Effect.map((rows) => rows[0]!.n))
  yield* ticks.pipe(
    Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: (n) => n > 500 }),
    Effect.timeoutOrElse({
      duration: "40 seconds",
      orElse: () => Effect.die(new Error(`too few ticks\nrest: ${rest.stderr()}\nws: ${ws.stderr()}`))
    })
  )
  assert.strictEqual(yield* ws.end("SIGTERM"), 0, ws.stderr())
  assert.strictEqual(yield* rest.end("SIGTERM"), 0, rest.stderr())
  const [gap] = yield* sql<{ cause: string; to_ts: Date | null }>`select cause, to_ts from capture_gaps`
  assert.deepStrictEqual(gap, { cause: "shutdown", to_ts: null })

  const again = yield* Programs.running("ws", env)
  yield* sql<{ n: number }>`select count(*)::int as n from capture_gaps where to_ts is not null`.pipe(
    Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: (rows) => rows[0]!.n === 1 }),
    Effect.timeoutOrElse({
      duration: "20 seconds",
      orElse: () => Effect.die(new Error(`the gap stays open\nws: ${again.stderr()}`))
    })
  )
  assert.strictEqual(yield* again.end("SIGINT"), 0, again.stderr())
  const unreadable = yield* sql`select cause from quarantine`
  assert.deepStrictEqual(unreadable, [])
})

describe("node dist/exchange.js, migrator.js, rest.js and ws.js", () => {
  it.live(
    "record into the database of DATABASE_URL, drain on SIGTERM and close the gap they left",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase
        yield* recordsInto(Redacted.value(url))
      }).pipe(Effect.provide(Layer.mergeAll(TestDatabase.layerEmpty, NodeHttpClient.layerNodeHttp))),
    120_000
  )

  it.live.skipIf(!Debian15.isInstalled)(
    "the same into PostgreSQL 15 (needs Debian's package postgresql-15)",
    () =>
      Effect.gen(function* () {
        const url = yield* Debian15.server
        yield* Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const version = yield* sql<{
            n: number
          }>`select current_setting('server_version_num')::int / 10000 as n`.pipe(
            Effect.retry(Schedule.spaced("100 millis"))
          )
          assert.deepStrictEqual(version, [{ n: 15 }])
          yield* recordsInto(Redacted.value(url))
        }).pipe(
          Effect.provide(Layer.mergeAll(PgClient.layer({ url, maxConnections: 2 }), NodeHttpClient.layerNodeHttp)),
          Effect.retry(Schedule.spaced("200 millis"))
        )
      }),
    120_000
  )
})
