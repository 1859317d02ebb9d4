import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import { ArchiveError } from "./ArchiveError.ts"
import {
  type ArchiveColumn,
  type ArchivedTable,
  type ArchiveTable,
  archivedTables,
  archiveTables,
  type DecimalWidth,
  type Fingerprint,
  plain,
  type Widths
} from "./ArchiveTables.ts"
import { transaction } from "./Transaction.ts"

export interface AttachedPartition {
  readonly table: ArchivedTable
  readonly partition: string
  /** Epoch milliseconds, `to` excluded. */
  readonly fromMillis: number
  readonly toMillis: number
}

/** Rows to read: those of a table that the rest says. A partition is its span: nobody but the owner may read it by its name. */
export interface RowsWanted {
  readonly table: ArchivedTable
  readonly tickers?: ReadonlyArray<string>
  readonly series?: ReadonlyArray<string>
  readonly fromMillis?: number
  readonly toMillis?: number
}

/** A market as the rows name it, its ticker, and its series (the ticker's first word where no catalog knows the event). */
export interface ArchivedMarket {
  readonly market: number | string
  readonly ticker: string
  readonly series: string
}

/** What is read of the database for an archive or an export: lines of text through a cursor, whatever the number of rows. */
export class ArchiveSource extends Context.Service<
  ArchiveSource,
  {
    /** Oldest first, without those of no bounds. */
    readonly partitions: Effect.Effect<ReadonlyArray<AttachedPartition>, SqlError>
    /** All that `read` reads is of one instant, and no partition of `table` leaves meanwhile. */
    snapshot<A, E, R>(table: ArchivedTable, read: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R>
    readonly markets: (wanted: RowsWanted) => Effect.Effect<ReadonlyArray<ArchivedMarket>, SqlError>
    readonly fingerprint: (wanted: RowsWanted) => Effect.Effect<Fingerprint, SqlError>
    /** Tells these versions of the rows of one partition from all others: a row that is written again has a new one. */
    readonly versions: (wanted: RowsWanted) => Effect.Effect<string, SqlError>
    /** How wide each decimal column must be; fails where no width is exact. */
    readonly widths: (wanted: RowsWanted) => Effect.Effect<Widths, SqlError | ArchiveError>
    /** The market as rows name it, then each column: `;` between, nothing for null, text as x and its UTF-8 in hexadecimal. */
    readonly lines: (wanted: RowsWanted) => Stream.Stream<string, SqlError>
    /** JSON, a line each: the hours of the coverage that begin in the span, and the gaps that touch it. */
    readonly coverage: (fromMillis: number, toMillis: number) => Stream.Stream<string, SqlError>
    readonly gaps: (fromMillis: number, toMillis: number) => Stream.Stream<string, SqlError>
  }
>()("kalshi-ingestor/store/ArchiveSource") {
  static readonly layer = Layer.effect(
    ArchiveSource,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const instant = (millis: number) => sql`to_timestamp(${millis}::float8 / 1000)`

      const partitions = sql<{ table: ArchivedTable; partition: string; fromMillis: number; toMillis: number }>`
        select b.parent as table, c.relname::text as partition,
          (extract(epoch from b.from_ts) * 1000)::float8 as "fromMillis",
          (extract(epoch from b.to_ts) * 1000)::float8 as "toMillis"
        from pg_class c cross join lateral partition_bounds(c.relname::text) b
        where c.relnamespace = current_schema()::regnamespace and c.relispartition and c.relkind = 'r'
          and b.parent = any (${archivedTables})
        order by b.from_ts, b.parent`.pipe(Effect.withSpan("ArchiveSource.partitions"))

      const inTransaction = transaction(sql)
      const snapshot = <A, E, R>(table: ArchivedTable, read: Effect.Effect<A, E, R>) =>
        inTransaction(
          Effect.gen(function* () {
            yield* sql`set transaction isolation level repeatable read, read only`
            // While DuckDB takes rows in, the connection waits.
            yield* sql`set local idle_in_transaction_session_timeout = '10min'`
            // Before the first look: what a snapshot sees of rows is of one instant, what it sees of partitions is not.
            yield* sql`lock table ${sql(table)} in access share mode`
            return yield* read
          })
        )

      const conditions = (table: ArchiveTable, wanted: RowsWanted): Fragment => {
        const ids = (tickers: Fragment) =>
          table.market === "market_id"
            ? sql`t.market_id in (select w.market_id from market_keys w where w.ticker in (${tickers}))`
            : sql`t.market_ticker in (${tickers})`
        const parts: Array<Fragment> = []
        if (wanted.fromMillis !== undefined)
          parts.push(sql`t.${sql.literal(table.time)} >= ${instant(wanted.fromMillis)}`)
        if (wanted.toMillis !== undefined) parts.push(sql`t.${sql.literal(table.time)} < ${instant(wanted.toMillis)}`)
        if (wanted.tickers !== undefined) parts.push(ids(sql`select unnest(${wanted.tickers}::text[])`))
        if (wanted.series !== undefined)
          parts.push(
            ids(sql`
              select m.ticker from events e join markets m using (event_ticker) where e.series_ticker = any (${wanted.series}::text[])
              union
              select u.ticker from market_keys u left join markets m on m.ticker = u.ticker left join events e using (event_ticker)
              where e.series_ticker is null and split_part(u.ticker, '-', 1) = any (${wanted.series}::text[])`)
          )
        return parts.length === 0 ? sql`true` : sql.and(parts)
      }
      const from = (wanted: RowsWanted): Fragment =>
        sql`${sql(wanted.table)} t where ${conditions(archiveTables[wanted.table], wanted)}`
      const withTicker = (wanted: RowsWanted): Fragment => {
        const table = archiveTables[wanted.table]
        const columns = table.columns.map(({ name }) => `t."${name}"`).join(", ")
        return table.market === "market_id"
          ? sql`(
              select ${sql.literal(columns)}, coalesce(k.ticker, '#' || t.market_id) as ticker
              from (select * from ${from(wanted)}) t left join market_keys k on k.market_id = t.market_id) t`
          : sql`(select ${sql.literal(columns)}, t.market_ticker as ticker from ${from(wanted)}) t`
      }

      const markets = Effect.fn("ArchiveSource.markets")(function* (wanted: RowsWanted) {
        const { market } = archiveTables[wanted.table]
        const ticker = market === "market_id" ? "coalesce(k.ticker, '#' || d.market)" : "d.market"
        return yield* sql<ArchivedMarket>`
          select d.market, ${sql.literal(ticker)} as ticker,
            coalesce(e.series_ticker, nullif(split_part(${sql.literal(ticker)}, '-', 1), ''), 'unknown') as series
          from (select distinct t.${sql.literal(market)} as market from ${from(wanted)}) d
          left join market_keys k on ${sql.literal(market === "market_id" ? "k.market_id" : "k.ticker")} = d.market
          left join markets m on m.ticker = ${sql.literal(ticker)}
          left join events e on e.event_ticker = m.event_ticker`
      })

      const fingerprint = Effect.fn("ArchiveSource.fingerprint")(function* (wanted: RowsWanted) {
        const columns = fingerprinted(archiveTables[wanted.table])
        const sums = columns.flatMap(({ kind, name }, index) => [
          `count(t."${name}")::text as c${index}`,
          `coalesce(${sumOf[kind](`t."${name}"`)}, 0)::text as s${index}`
        ])
        const row = `concat_ws('|', ${columns.map(({ kind, name }) => `coalesce(${textOf[kind](`t."${name}"`)}, '~')`).join(", ")})`
        const [found] = yield* sql<Record<string, string>>`
          select count(*)::text as rows,
            coalesce(sum(('x' || left(md5(${sql.literal(row)}), 15))::bit(60)::bigint), 0)::text as row_sum,
            ${sql.literal(sums.join(", "))}
          from ${withTicker(wanted)}`
        return {
          rows: found!["rows"]!,
          rowSum: found!["row_sum"]!,
          columns: Object.fromEntries(
            columns.map(({ name }, index) => [name, { count: found![`c${index}`]!, sum: plain(found![`s${index}`]!) }])
          )
        } satisfies Fingerprint
      })

      const versions = Effect.fn("ArchiveSource.versions")(function* (wanted: RowsWanted) {
        const [row] = yield* sql<{ versions: string }>`
          select coalesce(sum(row_version(t.ctid, t.xmin)), 0)::text as versions from ${from(wanted)}`
        return row!.versions
      })

      const widths = Effect.fn("ArchiveSource.widths")(function* (wanted: RowsWanted) {
        const table = archiveTables[wanted.table]
        const decimals = table.columns.filter(({ kind }) => kind === "decimal" || kind === "decimals")
        const measured = Effect.fnUntraced(function* (columns: ReadonlyArray<ArchiveColumn>, exact: boolean) {
          const parts = columns.flatMap(({ kind, name }, index) => {
            const list = kind === "decimals"
            const value = list ? "v" : `t."${name}"`
            const of = (expression: string) =>
              list ? `max((select max(${expression}) from unnest(t."${name}") v))` : `max(${expression})`
            return [
              `coalesce(${of(exact || list ? `scale(trim_scale(${value}))` : `scale(${value})`)}, 0)::int as s${index}`,
              `coalesce(${of(`abs(${value})`)}, 0)::text as m${index}`
            ]
          })
          if (parts.length === 0) return []
          const [row] = yield* sql<Record<string, string | number>>`
            select ${sql.literal(parts.join(", "))} from ${from(wanted)}`
          return columns.map((column, index) => ({
            ...column,
            scale: Number(row![`s${index}`]),
            most: String(row![`m${index}`])
          }))
        })
        const found: Record<string, DecimalWidth> = {}
        const doubtful: Array<ArchiveColumn> = []
        for (const column of yield* measured(decimals, false))
          if (fits(column, column.places, 18 - column.places)) found[column.name] = "narrow"
          else doubtful.push(column)
        for (const column of yield* measured(doubtful, true)) {
          if (!fits(column, 12, 26))
            return yield* new ArchiveError({
              problem: `${wanted.table}: column ${column.name} holds numbers beyond 26 digits before and 12 after the point, which no file holds exactly; it stays in the database`
            })
          found[column.name] = fits(column, column.places, 18 - column.places) ? "narrow" : "wide"
        }
        return found
      })

      const lines = (wanted: RowsWanted) => {
        const table = archiveTables[wanted.table]
        const market = table.market === "market_id" ? "t.market_id::text" : hexadecimal("t.market_ticker")
        const fields = [market, ...table.columns.map(({ kind, name }) => lineOf[kind](`t."${name}"`))]
        const line = `concat_ws(';', ${fields.map((field) => `coalesce(${field}, '')`).join(", ")})`
        return sql<{ line: string }>`select ${sql.literal(line)} as line from ${from(wanted)}`.stream.pipe(
          Stream.map((row) => row.line)
        )
      }

      const coverage = (fromMillis: number, toMillis: number) =>
        sql<{ line: string }>`
          select row_to_json(r)::text as line from (
            select k.ticker, rfc3339(c.hour) as hour, c.state, c.open_ms, c.live_ms, c.healed_ms, c.candles,
              rfc3339(c.computed_at) as computed_at
            from market_coverage c join market_keys k using (market_id)
            where c.hour >= ${instant(fromMillis)} and c.hour < ${instant(toMillis)} order by k.ticker, c.hour) r`.stream.pipe(
          Stream.map((row) => row.line)
        )
      const gaps = (fromMillis: number, toMillis: number) =>
        sql<{ line: string }>`
          select row_to_json(r)::text as line from (
            select g.id, g.feed, g.shard, g.slots, g.market_ticker, rfc3339(g.from_ts) as from_ts, rfc3339(g.to_ts) as to_ts, g.cause,
              g.detail, g.frames_missing, g.repaired_by, rfc3339(g.repaired_at) as repaired_at, g.journal
            from capture_gaps g
            where g.from_ts < ${instant(toMillis)} and (g.to_ts is null or g.to_ts >= ${instant(fromMillis)}) order by g.id) r`.stream.pipe(
          Stream.map((row) => row.line)
        )

      return ArchiveSource.of({ partitions, snapshot, markets, fingerprint, versions, widths, lines, coverage, gaps })
    })
  )
}

const fingerprinted = (table: ArchiveTable): ReadonlyArray<ArchiveColumn> => [
  ...table.columns,
  { name: "ticker", kind: "text", places: 0 }
]

/** NaN and the infinities fit nowhere. */
const fits = ({ most, scale }: { readonly scale: number; readonly most: string }, places: number, digits: number) =>
  scale <= places && /^\d/.test(most) && most.split(".")[0]!.length <= digits

const micros = (value: string) => `(extract(epoch from ${value}) * 1000000)::bigint`
const hexadecimal = (value: string) => `'x' || encode(convert_to(${value}, 'UTF8'), 'hex')`
const itself = (value: string) => `${value}::text`
const trimmed = (value: string) => `trim_scale(${value})::text`
const trimmedList = (value: string) =>
  `array_to_string(array(select trim_scale(v)::text from unnest(${value}) with ordinality as u (v, n) order by n), ',')`

type Expression = Readonly<Record<ArchiveColumn["kind"], (value: string) => string>>

const lineOf: Expression = {
  instant: (value) => `${micros(value)}::text`,
  decimal: trimmed,
  decimals: (value) => `'[' || ${trimmedList(value)} || ']'`,
  integer: itself,
  bigint: itself,
  boolean: itself,
  text: hexadecimal,
  uuid: itself
}

const textOf: Expression = {
  instant: (value) => `${micros(value)}::text`,
  decimal: trimmed,
  decimals: trimmedList,
  integer: itself,
  bigint: itself,
  boolean: itself,
  text: (value) => `octet_length(${value}) || ':' || ${value}`,
  uuid: itself
}

const sumOf: Expression = {
  instant: (value) => `sum(${micros(value)})`,
  decimal: (value) => `sum(${value})`,
  decimals: (value) => `sum(cardinality(${value}))`,
  integer: (value) => `sum(${value})`,
  bigint: (value) => `sum(${value})`,
  boolean: (value) => `count(*) filter (where ${value})`,
  text: (value) => `sum(octet_length(${value}))`,
  uuid: (value) => `sum(('x' || left(${value}::text, 8))::bit(32)::bigint)`
}
