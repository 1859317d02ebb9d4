import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { ArchiveStep } from "../../src/ingest/Archive.ts"
import { Retention } from "../../src/ingest/Retention.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"
import {
  archiveIn,
  ask,
  askViews,
  catalog,
  dayMillis,
  filesIn,
  firstDay,
  partitionOf,
  tickDay,
  ticksOf
} from "./ArchiveFixture.ts"

const script = path.resolve(import.meta.dirname, "../support/ArchiveThatDies.mjs")

/** Its signal, or its exit code. */
const dies = Effect.fnUntraced(function* (lake: string, nowMillis: number, step: string) {
  const { url } = yield* TestDatabase
  return yield* Effect.callback<string>((resume) => {
    const child = spawn(process.execPath, [script, Redacted.value(url), lake, String(nowMillis), step], {
      stdio: ["ignore", "ignore", "inherit"]
    })
    child.on("close", (code, signal) => resume(Effect.succeed(signal ?? String(code))))
    return Effect.sync(() => child.kill("SIGKILL"))
  })
})

const deadly: ReadonlyArray<ArchiveStep["step"]> = ["reading", "written", "published", "described", "recorded"]

describe("an archive that is killed", () => {
  for (const step of deadly)
    it.live(
      `after "${step}": nothing is lost, no half file is visible, and the next one completes it`,
      () =>
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const lake = yield* Programs.folder
          const now = firstDay + 10 * dayMillis
          const rows = 900
          yield* catalog
          yield* tickDay(0)
          yield* ticksOf(0, rows)
          const sums = sql<{ n: number; price: string; volume: string }>`
            select count(*)::int as n, trim_scale(sum(price_dollars))::text as price, sum(volume)::text as volume from ticks`
          const [before] = yield* sums

          assert.strictEqual(yield* dies(lake, now, step), "SIGKILL")
          assert.deepStrictEqual(yield* sums, [before!])
          assert.isAbove(fs.readdirSync(path.join(lake, ".partial")).length, 0)
          for (const file of filesIn(lake)) yield* ask(`select count(*) from read_parquet('${path.join(lake, file)}')`)
          if (step !== "described" && step !== "recorded")
            assert.isFalse(fs.existsSync(path.join(lake, "datasets", partitionOf("ticks", 0), "manifest.json")))

          // The catalog learns of the unknown market's series meanwhile: its file moves, and must not be there twice.
          yield* sql`insert into events (event_ticker, series_ticker) values ('LATE', 'KXLATE')`
          yield* sql`insert into markets (ticker, event_ticker) select ticker, 'LATE' from market_keys where market_id = 3`
          if (step === "recorded") yield* sql`update ticks set volume = volume + 1 where volume = 5`
          const [expected] = yield* sums

          const done = yield* Effect.provide(
            Retention.use(({ pass }) => pass),
            archiveIn(lake, now, { ticksDays: 1, tables: ["ticks"] })
          )
          assert.deepStrictEqual(done.waiting, [])
          assert.deepStrictEqual(done.detached, [partitionOf("ticks", 0)])
          assert.deepStrictEqual(fs.readdirSync(path.join(lake, ".partial")), [])
          const found = yield* askViews(
            lake,
            `select count(*)::int as n, sum(price_dollars)::decimal(18,2)::varchar as price, sum(volume)::bigint::varchar as volume
             from market_ticks`
          )
          assert.deepStrictEqual(found, [{ ...expected, price: Number(expected!.price).toFixed(2) }])
          assert.deepStrictEqual(yield* sql`select count(*)::int as n from ticks`, [{ n: 0 }])
        }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
      60_000
    )
})
