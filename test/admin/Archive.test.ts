import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Retention } from "../../src/ingest/Retention.ts"
import { archiveIn, catalog, dayMillis, firstDay, partitionOf, tickDay, ticksOf } from "../ingest/ArchiveFixture.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"
import { folder, overDatabase, overSocket, program } from "./AdminFixture.ts"

const passAt = (lake: string, day: number, over: Parameters<typeof archiveIn>[2]) =>
  Effect.provide(
    Retention.use(({ pass }) => pass),
    archiveIn(lake, firstDay + day * dayMillis, { lockMillis: 5_000, tables: ["ticks"], ...over })
  )

describe("archive status", () => {
  it.live("tells where every dataset is, how the last pass went, and what the program is set to do", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const lake = yield* Programs.folder
      const { loops, socket } = yield* program({
        home,
        env: { ARCHIVE_DIR: lake, ARCHIVE_SECONDS: "900", RETENTION_TICKS_DAYS: "2.5", RETENTION_ROLLUP: "0" }
      })
      const client = yield* overSocket(socket)
      const before = yield* client.archive()
      assert.isNull(before.lastPass)
      assert.isNull(before.loop)
      assert.isTrue(before.datasets.every(({ datasetId, state }) => state === "database" && datasetId === null))

      yield* catalog
      for (const day of [0, 1, 2]) {
        yield* tickDay(day)
        yield* ticksOf(day, 30)
      }
      yield* passAt(lake, 2, { ticksDays: 1 })
      yield* loops.cycle("archive", { pass: Effect.void, every: "1 hour" })
      const found = yield* client.archive()
      assert.deepInclude(found, { directory: lake })
      assert.isAbove(found.freeBytes ?? 0, 1_000_000)
      assert.deepInclude(found.settings, { everySeconds: 900, ticksDays: 2.5, booksDays: 0, rollUp: false })
      assert.strictEqual(found.loop?.loop, "archive")
      assert.deepInclude(found.lastPass, { archived: 2, rows: 60, detached: 1, waiting: [], problem: null })
      assert.isAtLeast(Date.parse(found.lastPass!.endedAt), Date.parse(found.lastPass!.beganAt))
      const ticks = found.datasets.filter(({ dataset }) => dataset.startsWith("ticks_202608"))
      assert.deepStrictEqual(
        ticks.map(({ bytes, dataset, datasetId, from, rows, state, to }) => ({
          dataset,
          days: `${from} ${to}`,
          rows,
          state,
          hasFiles: (bytes ?? 0) > 0 && /^[0-9a-f]{64}$/.test(datasetId ?? "")
        })),
        [
          { days: "2026-08-01 2026-08-02", state: "archive", rows: 30, hasFiles: true },
          { days: "2026-08-02 2026-08-03", state: "both", rows: 30, hasFiles: true },
          { days: "2026-08-03 2026-08-04", state: "database", rows: null, hasFiles: false }
        ].map((one, day) => ({ dataset: partitionOf("ticks", day), ...one }))
      )
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("of the command itself, as the admin role, says what waits and why, and ends with 2", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const lake = yield* Programs.folder
      yield* catalog
      yield* tickDay(0)
      yield* sql`insert into ticks (ts, received_ms, market_id, volume) values ('2026-08-01T01:00Z', 0, 1, 0.0000000000001)`
      yield* passAt(lake, 1, {})
      const env = { ...(yield* TestDatabase.environment), DATA_DIR: yield* folder }
      const status = (program: string, args: ReadonlyArray<string>, more = {}) =>
        Programs.run(program, { ...env, ...more }, args)
      const { code, stdout } = yield* status("admin", ["archive", "status"])
      assert.strictEqual(code, 2)
      assert.match(stdout, /ARCHIVE_DIR is not set/)
      assert.match(stdout, /0 archived \(0 rows, 0 B\), 0 left the database, 1 wait\n/)
      assert.match(stdout, /^ {2}ticks_20260801 waits: .*column volume holds numbers beyond/m)
      const asJson = JSON.parse((yield* status("admin", ["archive", "status", "--json"])).stdout)
      assert.deepInclude(asJson.lastPass.waiting[0], { partition: partitionOf("ticks", 0) })
      assert.deepStrictEqual((yield* (yield* overDatabase).archive()).datasets, asJson.datasets)
      const own = yield* status("archive", ["status", "--json"], { ARCHIVE_DIR: lake })
      assert.strictEqual(own.code, 0, own.stderr)
      assert.deepStrictEqual(JSON.parse(own.stdout).datasets, asJson.datasets)
      assert.deepStrictEqual(JSON.parse(own.stdout).lastPass, asJson.lastPass)
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("says what ended a pass early", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const lake = yield* Programs.folder
      yield* passAt(lake, 1, {})
      yield* sql`update archive_lake set lake_id = gen_random_uuid()`
      yield* Effect.flip(passAt(lake, 1, {}))
      const { lastPass } = yield* (yield* overDatabase).archive()
      assert.match(lastPass?.problem ?? "", /holds the archive of another database/)
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )
})
