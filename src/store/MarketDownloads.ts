import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"
import { decimalText, instantText, provenanceName, type ShownColumns } from "./ArchiveStage.ts"
import type { ArchivedTable } from "./ArchiveTables.ts"

export const downloadTables = ["ticks", "candles", "trades"] as const
export type DownloadTable = (typeof downloadTables)[number]

export const downloadFormats = ["ndjson", "csv"] as const
export type DownloadFormat = (typeof downloadFormats)[number]

export interface DownloadQuery {
  readonly ticker: string
  readonly table: DownloadTable
  readonly format: DownloadFormat
  /** Epoch milliseconds, from inclusive, to exclusive. */
  readonly fromMillis: number
  readonly toMillis: number
}

interface Shape {
  /** Column names, and the text that each is made of: in the database, and of a row as the archive stages it. */
  readonly columns: ReadonlyArray<readonly [name: string, expression: string, staged: string]>
  readonly table: ArchivedTable
  readonly time: string
  readonly order: string
}
const number = (name: string) => [name, `t.${name}::text`, decimalText(`s."${name}"`)] as const
const numbers = (...names: ReadonlyArray<string>) => names.map(number)
const provenance = ["provenance", "provenance_name(t.provenance)", provenanceName('s."provenance"')] as const

const isMarket = "t.market_id = (select k.market_id from market_keys k where k.ticker = "
const shapes: Readonly<Record<DownloadTable, Shape>> = {
  ticks: {
    columns: [
      ["ts", "rfc3339(t.ts)", instantText('s."ts"')],
      [
        "received_at",
        "rfc3339(received_at(t.ts, t.received_ms))",
        instantText('s."ts" + s."received_ms"::bigint * 1000')
      ],
      ...numbers(
        "price_dollars",
        "yes_bid_dollars",
        "yes_ask_dollars",
        "yes_bid_size",
        "yes_ask_size",
        "last_trade_size",
        "volume",
        "open_interest"
      ),
      provenance
    ],
    table: "ticks",
    time: "t.ts",
    order: "t.ts"
  },
  candles: {
    columns: [
      ["period_interval_minutes", "t.period_interval_minutes::text", 's."period_interval_minutes"::varchar'],
      ["end_period_ts", "rfc3339(t.end_period_ts)", instantText('s."end_period_ts"')],
      ...numbers("open", "high", "low", "close", "yes_bid_close", "yes_ask_close", "volume", "open_interest"),
      provenance
    ],
    table: "market_candles",
    time: "t.end_period_ts",
    order: "t.period_interval_minutes, t.end_period_ts"
  },
  trades: {
    columns: [
      [
        "ts",
        "rfc3339(t.ts + coalesce(t.micros, 0) * interval '1 microsecond')",
        instantText('s."ts" + coalesce(s."micros", 0)')
      ],
      ["trade_id", "t.trade_id::text", 's."trade_id"::varchar'],
      ...numbers("count", "yes_price_dollars"),
      [
        "taker_side",
        "case t.taker_yes when true then 'yes' when false then 'no' end",
        `case s."taker_yes" when true then 'yes' when false then 'no' end`
      ],
      ["is_block_trade", "t.is_block_trade::text", 's."is_block_trade"::varchar'],
      provenance
    ],
    table: "trades",
    time: "t.ts",
    order: "t.ts, t.trade_id"
  }
}

/** The table of a download, and its columns as an export makes them: the same text, wherever a row is. */
export const exported = (table: DownloadTable): { readonly table: ArchivedTable; readonly columns: ShownColumns } => ({
  table: shapes[table].table,
  columns: shapes[table].columns.map(([name, , staged]) => [name, staged] as const)
})

const textColumns = (columns: Shape["columns"]) => columns.map(([name, text]) => `${text} as ${name}`).join(", ")
// No value of these columns holds a comma, a quote or a line break.
const csvLine = (columns: Shape["columns"]) => columns.map(([name]) => `coalesce(r.${name}, '')`).join(" || ',' || ")

/** Rows of one market as lines of text, read through a cursor: whatever their number, a few of them are in memory. */
export class MarketDownloads extends Context.Service<
  MarketDownloads,
  { readonly lines: (query: DownloadQuery) => Stream.Stream<string, SqlError> }
>()("kalshi-ingestor/store/MarketDownloads") {
  static readonly layer = Layer.effect(
    MarketDownloads,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return MarketDownloads.of({
        lines: (query) => {
          const shape = shapes[query.table]
          const line = query.format === "csv" ? csvLine(shape.columns) : "row_to_json(r)::text"
          const market =
            query.table === "candles"
              ? sql`t.market_ticker = ${query.ticker}`
              : sql`${sql.literal(isMarket)}${query.ticker})`
          const rows = sql<{ readonly line: string }>`
            select ${sql.literal(line)} as line from (
              select ${sql.literal(textColumns(shape.columns))} from ${sql.literal(`${shape.table} t`)}
              where ${market}
                and ${sql.literal(shape.time)} >= ${fromMillis(query.fromMillis)}::timestamptz
                and ${sql.literal(shape.time)} < ${fromMillis(query.toMillis)}::timestamptz
              order by ${sql.literal(shape.order)}) r`.stream.pipe(Stream.map(({ line }) => `${line}\n`))
          return query.format === "csv"
            ? Stream.concat(Stream.succeed(`${shape.columns.map(([name]) => name).join(",")}\n`), rows)
            : rows
        }
      })
    })
  )
}
