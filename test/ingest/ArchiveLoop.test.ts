import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ArchiveLoop } from "../../src/ingest/ArchiveLoop.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"
import { catalog, partitionOf, tickDay, ticksOf } from "./ArchiveFixture.ts"

const loop = (settings: Readonly<Record<string, string>>) =>
  ArchiveLoop.pipe(
    Layer.provideMerge(Layer.mergeAll(Loops.layer, Health.layer, ExchangeTime.layerReal)),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(settings)))
  )

describe("ArchiveLoop", () => {
  it.live("archives what is finished, lets go of what is old, and says how it went", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const lake = yield* Programs.folder
      yield* catalog
      yield* tickDay(0)
      yield* ticksOf(0, 30)
      yield* Effect.gen(function* () {
        yield* (yield* Loops).runNow("archive")
        assert.isTrue(fs.existsSync(path.join(lake, "datasets", partitionOf("ticks", 0), "manifest.json")))
        assert.deepStrictEqual(yield* sql`select count(*)::int as n from ticks`, [{ n: 0 }])
        const { parts } = yield* (yield* Health).report
        assert.deepInclude(parts["archive"], { ok: true })
      }).pipe(Effect.provide(loop({ ARCHIVE_DIR: lake, RETENTION_TICKS_DAYS: "1", ARCHIVE_MEMORY_MB: "128" })))
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("does nothing without a directory, and refuses to let go without one", () =>
    Effect.gen(function* () {
      const mistake = yield* Effect.flip(Effect.scoped(Layer.build(loop({ RETENTION_TICKS_DAYS: "30" }))))
      assert.match(mistake.message, /^RETENTION_TICKS_DAYS: nothing may leave the database without an archive/)
      yield* Effect.scoped(Layer.build(loop({})))
    }).pipe(Effect.provide(TestDatabase.layer))
  )
})
