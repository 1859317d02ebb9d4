import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Archive } from "../../src/ingest/Archive.ts"
import { Retention } from "../../src/ingest/Retention.ts"
import { ArchiveLedger } from "../../src/store/ArchiveLedger.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"
import { archiveIn, askViews, catalog, dayMillis, firstDay, partitionOf, tickDay, ticksOf } from "./ArchiveFixture.ts"

const count = (from: string) =>
  PgClient.PgClient.use((sql) =>
    Effect.map(sql<{ n: number }>`select count(*)::int as n from ${sql.literal(from)}`, (rows) => rows[0]!.n)
  )
const passAt = (lake: string, day: number, over: Parameters<typeof archiveIn>[2] = { ticksDays: 3 }) =>
  Effect.provide(
    Retention.use(({ pass }) => pass),
    archiveIn(lake, firstDay + day * dayMillis, over)
  )
const archivedRows = (lake: string) =>
  Effect.map(askViews(lake, "select count(*)::int as n from archived_ticks"), (rows) => rows[0]!["n"] as number)

describe("Retention", () => {
  it.live(
    "keeps the database under a bound for 30 days, with every row either in it or in a verified file",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const lake = yield* Programs.folder
        const perDay = 1200
        yield* catalog
        let most = 0
        for (let day = 0; day < 30; day++) {
          yield* tickDay(day)
          yield* ticksOf(day, perDay)
          most = Math.max(most, yield* count("ticks"))
          if (day % 3 < 2) continue
          yield* passAt(lake, day + 1)
          const inDatabase = yield* count("ticks")
          const gone = yield* sql<{ n: number }>`
            select coalesce(sum(rows), 0)::int as n from archive_datasets where parent = 'ticks' and detached_at is not null`
          assert.strictEqual(inDatabase + gone[0]!.n, (day + 1) * perDay)
        }
        assert.strictEqual(most, 6 * perDay)
        assert.strictEqual(yield* count("ticks"), 3 * perDay)
        assert.strictEqual(yield* archivedRows(lake), 30 * perDay)
        assert.strictEqual(yield* count("tick_minutes"), 27 * perDay)
        assert.deepStrictEqual(
          yield* askViews(
            lake,
            "select count(distinct date)::int as days, sum(volume)::bigint::varchar as sum from archived_ticks"
          ),
          [{ days: 30, sum: String((30 * perDay * (perDay - 1)) / 2) }]
        )
        yield* Effect.gen(function* () {
          const archive = yield* Archive
          const datasets = yield* (yield* ArchiveLedger).list
          assert.strictEqual(datasets.filter(({ table }) => table === "ticks").length, 30)
          for (const dataset of datasets) assert.isUndefined(yield* archive.faultIn(dataset), dataset.name)
          assert.isUndefined(yield* archive.compare(datasets[0]!))
        }).pipe(Effect.provide(archiveIn(lake, firstDay)))
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    120_000
  )

  it.live(
    "archives anew what changed, and gives rows that come after their partition left a dataset of their own",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const lake = yield* Programs.folder
        yield* catalog
        yield* tickDay(0)
        yield* ticksOf(0, 300)
        assert.deepStrictEqual(
          (yield* passAt(lake, 1)).archived.filter((name) => name.startsWith("ticks")),
          [partitionOf("ticks", 0)]
        )
        // As many rows as before, one of them another: counting would not tell.
        yield* sql`update ticks set price_dollars = 0.77 where ctid = (select ctid from ticks limit 1)`
        const again = yield* passAt(lake, 5)
        assert.deepStrictEqual(again.detached, [partitionOf("ticks", 0)])
        assert.strictEqual(yield* count("ticks"), 0)
        assert.deepStrictEqual(
          yield* askViews(lake, "select count(*)::int as n from archived_ticks where price_dollars = 0.77"),
          [{ n: 4 }]
        )

        yield* tickDay(0)
        yield* ticksOf(0, 10)
        const late = yield* passAt(lake, 5)
        assert.deepStrictEqual(late.detached, [`${partitionOf("ticks", 0)}-2`])
        assert.strictEqual(yield* archivedRows(lake), 310)
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live(
    "lets nothing go that is not archived, whose files are damaged, or that changed; and nobody waits for it",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const lake = yield* Programs.folder
        yield* catalog
        yield* tickDay(0)
        yield* ticksOf(0, 300)
        const name = partitionOf("ticks", 0)
        const detach = (id: string) =>
          Effect.map(
            sql<{ problem: string | null }>`select detach_archived(${name}, ${id}, true, 100) as problem`,
            (rows) => rows[0]!.problem
          )
        assert.strictEqual(yield* detach("x"), "it is not archived")
        yield* passAt(lake, 1)
        assert.strictEqual(yield* detach("x"), "it was archived anew meanwhile")
        const [row] = yield* sql<{ id: string; path: string }>`
        select dataset_id as id, files -> 0 ->> 'path' as path from archive_datasets where name = ${name}`

        yield* sql`delete from ticks where ctid = (select ctid from ticks limit 1)`
        assert.match((yield* detach(row!.id)) ?? "", /^rows changed since it was archived: 300 then, 299 now/)
        assert.strictEqual(yield* count("tick_minutes"), 0)
        assert.strictEqual(yield* count("ticks"), 299)

        // A damaged file is made anew from the database before anything leaves it.
        const file = path.join(lake, row!.path)
        const bytes = fs.readFileSync(file)
        bytes[40]! ^= 1
        fs.writeFileSync(file, bytes)
        const done = yield* passAt(lake, 9)
        assert.deepStrictEqual(done.detached, [name])
        assert.strictEqual(yield* archivedRows(lake), 299)
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("waits its turn for a partition that is in use", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const lake = yield* Programs.folder
      yield* catalog
      yield* tickDay(0)
      yield* ticksOf(0, 300)
      yield* passAt(lake, 1)
      const reading = yield* Deferred.make<void>()
      const enough = yield* Deferred.make<void>()
      const reader = yield* Effect.forkChild(
        sql.withTransaction(
          sql`select count(*) from ticks`.pipe(
            Effect.andThen(Deferred.succeed(reading, undefined)),
            Effect.andThen(Deferred.await(enough))
          )
        )
      )
      yield* Deferred.await(reading)
      const blocked = yield* passAt(lake, 9, { ticksDays: 3, lockMillis: 200 })
      yield* Deferred.succeed(enough, undefined)
      yield* Fiber.join(reader)
      assert.deepStrictEqual(blocked.waiting, [{ partition: partitionOf("ticks", 0), problem: "it is in use" }])
      assert.deepStrictEqual((yield* passAt(lake, 9)).detached, [partitionOf("ticks", 0)])
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("keeps what coverage must know of ticks that left", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const lake = yield* Programs.folder
      yield* catalog
      for (const day of [0, 1]) {
        yield* tickDay(day)
        yield* ticksOf(day, 300)
      }
      const heard = sql<{ ticker: string; at: string }>`
        select distinct ticker, rfc3339(heard_at) as at
        from coverage_hours('{KXBTC-1-A,KXETH-1-A}', '{2026-08-01T00:00Z,2026-08-01T00:00Z}', '{2026-08-03T00:00Z,2026-08-03T00:00Z}',
          '2026-08-20T00:00Z', '1 minute') order by ticker`
      const before = yield* heard
      assert.strictEqual(before[0]?.at, "2026-08-01T00:00:00.000000Z")
      assert.strictEqual((yield* passAt(lake, 9)).detached.length, 2)
      assert.deepStrictEqual(yield* heard, before)
      const minutes = yield* sql<{ minute: string; ticks: number; open: string; mid: string | null; volume: string }>`
        select rfc3339(minute) as minute, ticks, open::text, implied_yes_mid::text as mid, volume::text
        from market_tick_minutes where ticker = 'KXETH-1-A' order by minute limit 2`
      assert.strictEqual(minutes[0]?.minute, "2026-08-01T00:04:00.000000Z")
      assert.deepStrictEqual(
        minutes.map(({ ticks, volume }) => [ticks, volume]),
        [
          [1, "1"],
          [1, "4"]
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )

  it.live("archives one partition for a job, once", () =>
    Effect.gen(function* () {
      const lake = yield* Programs.folder
      yield* catalog
      yield* tickDay(0)
      yield* ticksOf(0, 30)
      yield* Effect.gen(function* () {
        const { archiveOne } = yield* Retention
        const ledger = yield* ArchiveLedger
        const name = partitionOf("ticks", 0)
        assert.isUndefined(yield* archiveOne("ticks", name))
        const [first] = yield* ledger.list
        assert.isUndefined(yield* archiveOne("ticks", name))
        assert.deepStrictEqual(yield* ledger.list, [first!])
        assert.strictEqual(yield* archiveOne("trades", name), `trades has no partition ${name}`)
        assert.match((yield* archiveOne("ticks", "ticks_default")) ?? "", /has no partition/)
      }).pipe(Effect.provide(archiveIn(lake, firstDay + dayMillis)))
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )
})
