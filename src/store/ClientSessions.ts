import * as PgClient from "@effect/sql-pg/PgClient"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Schedule from "effect/Schedule"

/** Waits until no program of ours is connected, as long as `patience`; tells how many still are. */
export const gone = (url: Redacted.Redacted<string>, patience: Duration.Input): Effect.Effect<number> => {
  const seen = { count: 0 }
  return Effect.gen(function* () {
    const sql = yield* PgClient.makeClient({ url })
    yield* sql<{ count: number }>`
      select count(*)::int as count from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name like 'kalshi-ingestor %'`.pipe(
      Effect.tap((rows) =>
        Effect.sync(() => {
          seen.count = rows[0]?.count ?? 0
        })
      ),
      Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: () => seen.count === 0 })
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(Reactivity.layer),
    Effect.timeoutOption(patience),
    Effect.ignore,
    Effect.andThen(Effect.sync(() => seen.count))
  )
}

/** Waits until the server at `url` answers, and makes the database `database` on it when there is none. */
export const ensureDatabase = (url: Redacted.Redacted<string>, database: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.makeClient({ url })
    const existing = yield* sql`select 1 from pg_database where datname = ${database}`
    if (existing.length === 0) yield* sql`create database ${sql(database)}`
  }).pipe(Effect.scoped, Effect.provide(Reactivity.layer))

/** Writes dirty pages out; what a shutdown then has left is little. */
export const checkpoint = (url: Redacted.Redacted<string>) =>
  PgClient.makeClient({ url }).pipe(
    Effect.flatMap((sql) => sql`checkpoint`),
    Effect.scoped,
    Effect.provide(Reactivity.layer)
  )
