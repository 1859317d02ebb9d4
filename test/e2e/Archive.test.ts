import * as fs from "node:fs"
import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Schedule from "effect/Schedule"
import { archiveTables } from "../../src/store/ArchiveTables.ts"
import { catalog, dateOf, partitionOf, tickDay, ticksOf } from "../ingest/ArchiveFixture.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Exchange from "../support/Exchange.ts"
import * as Programs from "../support/Programs.ts"

const name = partitionOf("ticks", 0)

describe("the archive's programs, each with the login of its role", () => {
  it.live(
    "rest archives and lets go; archive.js is the admin's; export.js and replay.js read, and may not write",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const http = yield* HttpClient.HttpClient
        const home = yield* Programs.folder
        const lake = path.join(home, "lake")
        const exchange = yield* Exchange.start(path.join(home, "keys"), ["--speed=1"])
        yield* catalog
        yield* tickDay(0)
        yield* ticksOf(0, 300)
        const env = {
          ...(yield* TestDatabase.environment),
          DATA_DIR: home,
          ...exchange.settings,
          ARCHIVE_DIR: lake,
          ARCHIVE_MEMORY_MB: "128",
          BACKFILL_SECONDS: "0",
          CLOSED_CLEANUP_SECONDS: "0",
          TRADE_RECONCILE_SECONDS: "0",
          REPAIR_SECONDS: "0"
        }
        const run = Effect.fnUntraced(function* (program: string, args: ReadonlyArray<string>, more = {}) {
          const { code, stderr, stdout } = yield* Programs.run(program, { ...env, ...more }, [...args, "--json"])
          return { code, stderr, told: JSON.parse(stdout.trim().split("\n").at(-1) || "null") }
        })

        const rest = yield* Programs.running("rest", {
          ...env,
          ARCHIVE_SECONDS: "1",
          RETENTION_TICKS_DAYS: "1",
          RETENTION_LOCK_MS: "2000"
        })
        yield* sql<{ n: number }>`select detached as n from archive_last_pass`.pipe(
          Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: ([row]) => row?.n === 1 }),
          Effect.timeoutOrElse({
            duration: "30 seconds",
            orElse: () => Effect.die(new Error(`nothing was archived\n${rest.stderr()}\n${rest.stdout()}`))
          })
        )
        const status = yield* run("admin", ["archive", "status", "--service", "rest"])
        assert.strictEqual(status.code, 0, status.stderr)
        assert.deepInclude(status.told, { directory: lake })
        assert.strictEqual(status.told.loop.loop, "archive")
        assert.isNull(status.told.lastPass.problem)
        assert.strictEqual(
          status.told.datasets.find(({ dataset }: { dataset: string }) => dataset === name).state,
          "archive"
        )
        const asked = yield* run("admin", ["loops", "run", "archive"])
        assert.strictEqual(asked.code, 0, asked.stderr)
        assert.strictEqual(yield* rest.end("SIGTERM"), 0, rest.stderr())
        assert.deepStrictEqual(yield* sql`select count(*)::int as n from ticks`, [{ n: 0 }])
        assert.deepStrictEqual(yield* sql`select sum(ticks)::int as n from tick_minutes`, [{ n: 300 }])

        yield* tickDay(1)
        yield* ticksOf(1, 60)
        const second = yield* run("archive", ["run"], { RETENTION_TICKS_DAYS: "1", RETENTION_LOCK_MS: "2000" })
        assert.strictEqual(second.code, 0, second.stderr)
        assert.deepStrictEqual(second.told.detached, [partitionOf("ticks", 1)])
        const verified = yield* run("archive", ["verify", "--deep"])
        assert.deepStrictEqual(verified.told.faults, [], verified.stderr)
        assert.isAtLeast(verified.told.verified, 2)
        yield* sql`insert into ticks (ts, received_ms, market_id, price_dollars) values (now(), 0, 1, 0.5)`
        assert.deepInclude((yield* run("archive", ["live"])).told, { rows: 1 })

        const file = path.join(home, "out.ndjson")
        const exported = yield* run("export", ["--from", dateOf(0), "--to", dateOf(2), "--out", file])
        assert.strictEqual(exported.code, 0, exported.stderr)
        assert.deepInclude(exported.told, { rows: 360, archived: 360 })
        assert.strictEqual(fs.readFileSync(file, "utf8").trim().split("\n").length, 360)
        for (const table of Object.keys(archiveTables)) {
          const one = yield* run("export", ["--table", table, "--from", dateOf(0), "--to", dateOf(2), "--out", file])
          assert.strictEqual(one.code, 0, one.stderr)
        }

        const replay = yield* Programs.running("replay", env, [
          "--source=database",
          `--from=${dateOf(0)}T00:00:00Z`,
          `--keys-dir=${path.join(home, "replay-keys")}`,
          "--speed=max",
          "--start=now"
        ])
        const announced = JSON.parse(yield* replay.firstLine)
        const { status: answered } = yield* http.get(`${announced.control}/stats`)
        assert.strictEqual(answered, 200)
        const markets = yield* Effect.flatMap(http.get(`${announced.rest}/exchange/schedule`), ({ text }) => text)
        assert.isObject(JSON.parse(markets))
        assert.strictEqual(yield* replay.end("SIGTERM"), 0, replay.stderr())

        const denied = yield* run("archive", ["run"], { DATABASE_URL_ADMIN: env["DATABASE_URL_READER" as never] })
        assert.strictEqual(denied.code, 1)
        assert.match(denied.stderr, /permission denied for table archive_la/)
      }).pipe(Effect.scoped, Effect.provide([NodeHttpClient.layerNodeHttp, TestDatabase.layer])),
    90_000
  )
})
