import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Retention } from "../../src/ingest/Retention.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"
import { archiveIn, catalog, dateOf, dayMillis, firstDay, partitionOf, tickDay, ticksOf } from "./ArchiveFixture.ts"

/** One connection, on which transactions are begun and ended by hand. */
const session = Effect.gen(function* () {
  const { url } = yield* TestDatabase
  const context = yield* Layer.build(
    Layer.fresh(PgClient.layer({ url, maxConnections: 1, startupParameters: { timezone: "UTC" } }))
  )
  const sql = Context.get(context, PgClient.PgClient)
  return (day: number, statements: ReadonlyArray<string>) =>
    Effect.forEach(
      statements,
      (statement) => sql.unsafe(statement.replaceAll("DAY", dateOf(day)).replaceAll("PART", partitionOf("ticks", day))),
      { discard: true }
    )
})

/** Why the partition stays; null: it is gone. */
const detached = (day: number) =>
  PgClient.PgClient.use((sql) =>
    sql<{ problem: string | null }>`
      select detach_archived(name, dataset_id, false, 10000) as problem
      from archive_datasets where name = ${partitionOf("ticks", day)}`.pipe(Effect.map((rows) => rows[0]!.problem))
  )

const inserted = (at: string) =>
  `insert into ticks (ts, received_ms, market_id, price_dollars) values ('DAYT${at}Z', 0, 1, 0.5)`

const changed = /^rows changed since it was archived: 300 then, (\d+) now$/

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
    after: ["delete from PART where ts = 'DAYT00:00Z'", "commit"],
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
    after: ["update PART set volume = volume + 1 where volume = 7"],
    stored: 300
  },
  {
    what: "keeps it when a row was updated to what it was",
    after: ["update PART set volume = volume where volume = 7"],
    stored: 300
  },
  {
    what: "keeps it when a row was deleted and an equal one inserted",
    after: ["with gone as (delete from PART where volume = 7 returning *) insert into ticks select * from gone"],
    stored: 300
  },
  {
    what: "keeps it when a row was deleted, its place cleared, and another put there",
    after: ["delete from PART where volume = 7", "vacuum PART", inserted("03:00")],
    stored: 300
  },
  { what: "keeps it when a row is gone", after: ["delete from PART where volume = 7"], stored: 299 },
  {
    what: "lets it go when a delete was rolled back",
    after: ["begin", "delete from PART where volume < 100", "rollback"],
    stored: undefined
  },
  {
    what: "lets it go when rows were only locked",
    after: [
      "begin",
      "select from PART where volume = 7 for share",
      "savepoint s",
      "select from PART where volume = 7 for update",
      "commit"
    ],
    stored: undefined
  },
  { what: "lets it go when its rows were frozen", after: ["vacuum (freeze) PART"], stored: undefined }
]

layer(TestDatabase.layer, { timeout: "30 seconds", excludeTestServices: true })(
  "a partition that was archived",
  (it) => {
    it.effect("is archived anew and goes, when it was archived before versions of rows were noted", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const lake = yield* Programs.folder
        const name = partitionOf("ticks", 50)
        yield* catalog
        yield* tickDay(50)
        yield* ticksOf(50, 300)
        const of = sql`select dataset_id from archive_datasets where name = ${name}`
        yield* Effect.gen(function* () {
          const { archiveOne, pass } = yield* Retention
          assert.isUndefined(yield* archiveOne("ticks", name))
          const [first] = yield* of
          yield* sql`update archive_datasets set row_versions = null where name = ${name}`
          assert.match((yield* detached(50)) ?? "", /^rows changed, for all that is known/)
          assert.include((yield* pass).detached, name)
          assert.deepStrictEqual(yield* of, [first!])
        }).pipe(Effect.provide(archiveIn(lake, firstDay + 60 * dayMillis, { ticksDays: 1, tables: ["ticks"] })))
      })
    )

    for (const [day, { after = [], atEnd = [], before = [], stored, what }] of cases.entries())
      it.effect(what, () =>
        Effect.gen(function* () {
          const lake = yield* Programs.folder
          const other = yield* session
          yield* tickDay(day)
          yield* ticksOf(day, 300)
          yield* other(day, before)
          const waits = yield* Effect.provide(
            Retention.use(({ archiveOne }) => archiveOne("ticks", partitionOf("ticks", day))),
            archiveIn(lake, firstDay + 100 * dayMillis)
          )
          assert.isUndefined(waits)
          yield* other(day, after)
          const problem = yield* detached(day)
          if (stored === undefined) assert.isNull(problem)
          else assert.strictEqual(changed.exec(problem ?? "it is gone")?.[1], String(stored), String(problem))
          yield* other(day, atEnd)
        })
      )
  }
)
