import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"

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
  /** Column names and the text that each is made of; `@` is the ticker. */
  readonly columns: ReadonlyArray<readonly [name: string, expression: string]>
  readonly from: string
  readonly time: string
  readonly order: string
}

const isMarket = "t.market_id = (select k.market_id from market_keys k where k.ticker = "
const shapes: Readonly<Record<DownloadTable, Shape>> = {
  ticks: {
    columns: [
      ["ts", "rfc3339(t.ts)"],
      ["received_at", "rfc3339(received_at(t.ts, t.received_ms))"],
      ["price_dollars", "t.price_dollars::text"],
      ["yes_bid_dollars", "t.yes_bid_dollars::text"],
      ["yes_ask_dollars", "t.yes_ask_dollars::text"],
      ["yes_bid_size", "t.yes_bid_size::text"],
      ["yes_ask_size", "t.yes_ask_size::text"],
      ["last_trade_size", "t.last_trade_size::text"],
      ["volume", "t.volume::text"],
      ["open_interest", "t.open_interest::text"],
      ["provenance", "provenance_name(t.provenance)"]
    ],
    from: "ticks t",
    time: "t.ts",
    order: "t.ts"
  },
  candles: {
    columns: [
      ["period_interval_minutes", "t.period_interval_minutes::text"],
      ["end_period_ts", "rfc3339(t.end_period_ts)"],
      ["open", "t.open::text"],
      ["high", "t.high::text"],
      ["low", "t.low::text"],
      ["close", "t.close::text"],
      ["yes_bid_close", "t.yes_bid_close::text"],
      ["yes_ask_close", "t.yes_ask_close::text"],
      ["volume", "t.volume::text"],
      ["open_interest", "t.open_interest::text"],
      ["provenance", "provenance_name(t.provenance)"]
    ],
    from: "market_candles t",
    time: "t.end_period_ts",
    order: "t.period_interval_minutes, t.end_period_ts"
  },
  trades: {
    columns: [
      ["ts", "rfc3339(t.ts + coalesce(t.micros, 0) * interval '1 microsecond')"],
      ["trade_id", "t.trade_id::text"],
      ["count", "t.count::text"],
      ["yes_price_dollars", "t.yes_price_dollars::text"],
      ["taker_side", "case t.taker_yes when true then 'yes' when false then 'no' end"],
      ["is_block_trade", "t.is_block_trade::text"],
      ["provenance", "provenance_name(t.provenance)"]
    ],
    from: "trades t",
    time: "t.ts",
    order: "t.ts, t.trade_id"
  }
}

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
              select ${sql.literal(textColumns(shape.columns))} from ${sql.literal(shape.from)}
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
