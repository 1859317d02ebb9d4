import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Retention } from "../../src/ingest/Retention.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"
import { archiveIn, catalog, dayMillis, firstDay, partitionOf, tickDay, ticksOf } from "./ArchiveFixture.ts"

const name = partitionOf("ticks", 0)

/** One connection, on which transactions are begun and ended by hand. */
const session = Effect.gen(function* () {
  const { url } = yield* TestDatabase
  const context = yield* Layer.build(
    Layer.fresh(PgClient.layer({ url, maxConnections: 1, startupParameters: { timezone: "UTC" } }))
  )
  const sql = Context.get(context, PgClient.PgClient)
  return (...statements: ReadonlyArray<string>) =>
    Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })
})

const archived = Effect.fnUntraced(function* (lake: string) {
  const done = yield* Effect.provide(
    Retention.use(({ pass }) => pass),
    archiveIn(lake, firstDay + dayMillis)
  )
  assert.include(done.archived, name)
})

/** Why the partition stays; null: it is gone. */
const detached: Effect.Effect<string | null, unknown, PgClient.PgClient> = PgClient.PgClient.use((sql) =>
  sql<{ problem: string | null }>`
    select detach_archived(name, dataset_id, false, 2000) as problem from archive_datasets where name = ${name}`.pipe(
    Effect.map((rows) => rows[0]!.problem)
  )
)

const inserted = (at: string) =>
  `insert into ticks (ts, received_ms, market_id, price_dollars) values ('2026-08-01T${at}Z', 0, 1, 0.5)`

/** A day of 300 ticks that is over, a folder for its archive, and the connection of somebody else. */
const ready = Effect.gen(function* () {
  yield* catalog
  yield* tickDay(0)
  yield* ticksOf(0, 300)
  return { lake: path.join(yield* Programs.folder, "lake"), one: yield* session }
})

const changed = /^rows changed since it was archived: 300 then, (\d+) now$/

const refuses = Effect.fnUntraced(function* (stored: number) {
  assert.strictEqual(changed.exec((yield* detached) ?? "it is gone")?.[1], String(stored))
})

const cases: ReadonlyArray<{
  readonly what: string
  readonly before?: ReadonlyArray<string>
  readonly after?: ReadonlyArray<string>
  readonly atEnd?: ReadonlyArray<string>
  readonly stored: number | undefined
}> = [
  {
    what: "lets it go while a transaction is open that began before the archive read, and wrote elsewhere",
    before: ["begin", "insert into series (ticker) values ('KXOPEN')", "savepoint s", "update series set title = 'x'"],
    atEnd: ["rollback"],
    stored: undefined
  },
  {
    what: "lets it go while a transaction holds a snapshot that is older than the archive",
    before: ["begin isolation level repeatable read", "select count(*) from series"],
    atEnd: ["commit"],
    stored: undefined
  },
  {
    what: "keeps it when a transaction inserted and committed in between",
    after: ["begin", inserted("03:00"), "commit"],
    stored: 301
  },
  {
    what: "lets it go when one inserted and rolled back",
    after: ["begin", inserted("03:00"), "rollback"],
    stored: undefined
  },
  {
    what: "keeps it when a transaction that began before, and had written by then, committed after",
    before: ["begin", inserted("03:00")],
    after: [inserted("03:01"), "commit"],
    stored: 302
  },
  {
    what: "keeps it when a subtransaction that had written by then is part of what commits after, as many rows as before",
    before: ["begin", "savepoint s", inserted("03:00"), "release savepoint s"],
    after: ["delete from ticks where ts = '2026-08-01T00:00Z'", "commit"],
    stored: 300
  },
  {
    what: "lets it go when a subtransaction was taken back, and what committed wrote elsewhere",
    before: ["begin", "savepoint s", inserted("03:00")],
    after: ["rollback to savepoint s", "insert into series (ticker) values ('KXLATER')", "commit"],
    stored: undefined
  },
  {
    what: "keeps it when a row was updated",
    after: ["update ticks set volume = volume + 1 where volume = 7"],
    stored: 300
  },
  {
    what: "keeps it when a row was updated to what it was",
    after: ["update ticks set volume = volume where volume = 7"],
    stored: 300
  },
  {
    what: "keeps it when a row was deleted and an equal one inserted",
    after: ["with gone as (delete from ticks where volume = 7 returning *) insert into ticks select * from gone"],
    stored: 300
  },
  {
    what: "keeps it when a row was deleted, its place cleared, and another put there",
    after: ["delete from ticks where volume = 7", `vacuum ${name}`, inserted("03:00")],
    stored: 300
  },
  { what: "keeps it when a row is gone", after: ["delete from ticks where volume = 7"], stored: 299 },
  {
    what: "lets it go when a delete was rolled back",
    after: ["begin", "delete from ticks where volume < 100", "rollback"],
    stored: undefined
  },
  {
    what: "lets it go when rows were only locked",
    after: [
      "begin",
      "select from ticks where volume = 7 for share",
      "savepoint s",
      "select from ticks where volume = 7 for update",
      "commit"
    ],
    stored: undefined
  },
  { what: "lets it go when its rows were frozen", after: [`vacuum (freeze) ${name}`], stored: undefined }
]

describe("a partition that was archived", () => {
  for (const { after = [], atEnd = [], before = [], stored, what } of cases)
    it.live(what, () =>
      Effect.gen(function* () {
        const { lake, one } = yield* ready
        yield* one(...before)
        yield* archived(lake)
        yield* one(...after)
        if (stored === undefined) assert.isNull(yield* detached)
        else yield* refuses(stored)
        yield* one(...atEnd)
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
    )

  it.live("is archived anew and goes, when it was archived before versions of rows were noted", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { lake } = yield* ready
      yield* archived(lake)
      const [first] = yield* sql`select dataset_id from archive_datasets where name = ${name}`
      yield* sql`update archive_datasets set row_versions = null`
      assert.match((yield* detached) ?? "", /^rows changed, for all that is known/)
      const done = yield* Effect.provide(
        Retention.use(({ pass }) => pass),
        archiveIn(lake, firstDay + 9 * dayMillis, { ticksDays: 1, lockMillis: 2000 })
      )
      assert.deepStrictEqual(done.detached, [name])
      assert.deepStrictEqual(yield* sql`select dataset_id from archive_datasets where name = ${name}`, [first!])
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer))
  )
})
