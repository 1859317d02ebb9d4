import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Archive } from "../../src/ingest/Archive.ts"
import { Retention, type RetentionOptions } from "../../src/ingest/Retention.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { ArchiveLedger } from "../../src/store/ArchiveLedger.ts"
import { ArchiveSource } from "../../src/store/ArchiveSource.ts"
import { archivedTables } from "../../src/store/ArchiveTables.ts"
import * as DuckDb from "../../src/store/DuckDb.ts"

/** 2026-08-01T00:00:00Z */
export const firstDay = Date.parse("2026-08-01T00:00:00Z")
export const dayMillis = 86_400_000
export const dateOf = (day: number) => DateTime.formatIso(DateTime.makeUnsafe(firstDay + day * dayMillis)).slice(0, 10)
export const partitionOf = (table: string, day: number) => `${table}_${dateOf(day).replaceAll("-", "")}`

const options: RetentionOptions = {
  tables: archivedTables,
  closedHours: 0,
  ticksDays: 0,
  booksDays: 0,
  rollUp: true,
  // Long enough for the server's own upkeep, which gives way to whoever waits for it.
  lockMillis: 10_000
}

/** An archive in `directory`, at an instant of the exchange's clock. */
export const archiveIn = (directory: string, nowMillis: number, over: Partial<RetentionOptions> = {}) =>
  Retention.layerWith({ ...options, ...over }).pipe(
    Layer.provideMerge(Archive.layerWith({ directory, memoryMegabytes: 128 })),
    Layer.provideMerge(Layer.merge(ArchiveLedger.layer, ArchiveSource.layer)),
    Layer.provide(ExchangeTime.layerLinear({ wallMillis: 0, exchangeMillis: nowMillis, speed: 0, simulated: true }))
  )

/** Two series of markets, and a market that no catalog knows. */
export const catalog = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* sql`insert into events (event_ticker, series_ticker) values ('KXBTC-1', 'KXBTC'), ('KXETH-1', 'KX/ETH ü')`
  yield* sql`
    insert into markets (ticker, event_ticker, open_time, close_time)
    values ('KXBTC-1-A', 'KXBTC-1', '2026-08-01T00:00Z', '2026-09-10T00:00Z'), ('KXETH-1-A', 'KXETH-1', '2026-08-01T00:00Z', '2026-09-10T00:00Z')`
  yield* sql`
    insert into market_keys (market_id, ticker) overriding system value
    values (1, 'KXBTC-1-A'), (2, 'KXETH-1-A'), (3, 'NEW-ünïcode''"; |~\n-B')`
})

/** Ticks of three markets, evenly over a day. */
export const ticksOf = (day: number, count: number) =>
  PgClient.PgClient.use(
    (sql) => sql`
      insert into ticks (ts, received_ms, market_id, price_dollars, yes_bid_dollars, yes_ask_dollars, volume, open_interest)
      select ${`${dateOf(day)}T00:00:00Z`}::timestamptz + n * interval '1 day' / ${count}::int, n % 90, n % 3 + 1, (n % 99 + 1) / 100.0,
        (n % 98 + 1) / 100.0, null, n, n / 2
      from generate_series(0, ${count}::int - 1) n`
  )

export const tickDay = (day: number) =>
  PgClient.PgClient.use((sql) => sql`select ensure_tick_partition(${dateOf(day)}::date)`)

/** Every Parquet file below a directory, from it. */
export const filesIn = (directory: string): ReadonlyArray<string> =>
  fs
    .readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".parquet") && !name.startsWith(".partial"))
    .map((name) => name.split(path.sep).join("/"))
    .sort()

/** Asks DuckDB, as a researcher would. */
export const ask = (statement: string) =>
  Effect.scoped(Effect.flatMap(DuckDb.open({ memoryMegabytes: 128 }), ({ rows }) => rows(statement)))

/** Asks the views of `archive.sql`. */
export const askViews = (directory: string, statement: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const duck = yield* DuckDb.open({ memoryMegabytes: 128 })
      yield* duck.run(`set file_search_path = ${DuckDb.quoted(directory)}`)
      yield* duck.run(fs.readFileSync(path.join(directory, "archive.sql"), "utf8"))
      return yield* duck.rows(statement)
    })
  )
