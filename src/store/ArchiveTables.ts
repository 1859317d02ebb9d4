/** How a column is kept: its type in Parquet, its text on the way there, and how it is summed on either side. */
export type ColumnKind = "instant" | "decimal" | "decimals" | "integer" | "bigint" | "boolean" | "text" | "uuid"

export interface ArchiveColumn {
  readonly name: string
  readonly kind: ColumnKind
  /** Of decimals: digits after the point that the exchange gives, 4 of dollars and 2 of contracts; 0 for any other kind. */
  readonly places: number
}

/** A table as it is archived: rows of the database with the market's ticker in place of its number. */
export interface ArchiveTable {
  readonly name: ArchivedTable
  /** The column that partitions are cut by, and the day of a row is told by. */
  readonly time: string
  /** Column that says the market: its number, or its ticker. */
  readonly market: "market_id" | "market_ticker"
  /** Without the ticker, which is a column of every table and comes first. */
  readonly columns: ReadonlyArray<ArchiveColumn>
  /** Rows of a file, after the ticker. */
  readonly order: ReadonlyArray<string>
}

export const archivedTables = ["ticks", "trades", "book_events", "book_snapshots", "market_candles"] as const
export type ArchivedTable = (typeof archivedTables)[number]

/** Raised with any change of names, types or meaning of columns in the files. */
export const schemaVersion = 1

const of = (kind: ColumnKind, ...names: ReadonlyArray<string>) => names.map((name) => ({ name, kind, places: 0 }))
const dollars = (...names: ReadonlyArray<string>) => of("decimal", ...names).map((column) => ({ ...column, places: 4 }))
const contracts = (...names: ReadonlyArray<string>) =>
  of("decimal", ...names).map((column) => ({ ...column, places: 2 }))

export const archiveTables: Readonly<Record<ArchivedTable, ArchiveTable>> = {
  ticks: {
    name: "ticks",
    time: "ts",
    market: "market_id",
    columns: [
      ...of("instant", "ts"),
      ...of("integer", "received_ms"),
      ...dollars("price_dollars", "yes_bid_dollars", "yes_ask_dollars"),
      ...contracts(
        "yes_bid_size",
        "yes_ask_size",
        "last_trade_size",
        "volume",
        "open_interest",
        "dollar_volume",
        "dollar_open_interest"
      ),
      ...of("integer", "provenance")
    ],
    order: ["ts", "received_ms", "volume", "open_interest", "price_dollars", "yes_bid_dollars", "yes_ask_dollars"]
  },
  trades: {
    name: "trades",
    time: "ts",
    market: "market_id",
    columns: [
      ...of("instant", "ts"),
      ...of("integer", "micros"),
      ...of("instant", "received_at"),
      ...of("uuid", "trade_id"),
      ...contracts("count"),
      ...dollars("yes_price_dollars", "no_price_dollars"),
      ...of("boolean", "taker_yes", "is_block_trade"),
      ...of("integer", "provenance")
    ],
    order: ["ts", "micros", "trade_id"]
  },
  book_events: {
    name: "book_events",
    time: "ts",
    market: "market_id",
    columns: [
      ...of("instant", "ts", "received_at"),
      ...of("bigint", "connection", "seq"),
      ...of("boolean", "yes"),
      ...dollars("price"),
      ...contracts("delta"),
      ...of("integer", "provenance")
    ],
    order: ["connection", "seq", "ts", "yes", "price"]
  },
  book_snapshots: {
    name: "book_snapshots",
    time: "ts",
    market: "market_id",
    columns: [
      ...of("instant", "ts"),
      ...of("bigint", "connection", "seq"),
      ...of("boolean", "requested"),
      { name: "yes_prices", kind: "decimals", places: 4 },
      { name: "yes_sizes", kind: "decimals", places: 2 },
      { name: "no_prices", kind: "decimals", places: 4 },
      { name: "no_sizes", kind: "decimals", places: 2 },
      ...of("integer", "provenance")
    ],
    order: ["connection", "seq", "ts"]
  },
  market_candles: {
    name: "market_candles",
    time: "end_period_ts",
    market: "market_ticker",
    columns: [
      ...of("integer", "period_interval_minutes"),
      ...of("instant", "start_period_ts", "end_period_ts"),
      ...dollars(
        "open",
        "high",
        "low",
        "close",
        "mean",
        "previous",
        "yes_bid_open",
        "yes_bid_high",
        "yes_bid_low",
        "yes_bid_close",
        "yes_ask_open",
        "yes_ask_high",
        "yes_ask_low",
        "yes_ask_close"
      ),
      ...contracts("volume", "open_interest"),
      ...of("integer", "provenance"),
      ...of("instant", "fetched_at")
    ],
    order: ["period_interval_minutes", "end_period_ts"]
  }
}

/** Decimals have 18 digits, `places` of them after the point, where every value of the column fits exactly; else 38 and 12. */
export type DecimalWidth = "narrow" | "wide"
export type Widths = Readonly<Record<string, DecimalWidth>>

/** What two copies of the same rows have in common, whatever their order. */
export interface Fingerprint {
  readonly rows: string
  /** Sum, over the rows, of the first 60 bits of the md5 of a row's values. */
  readonly rowSum: string
  /**
   * By column: how many values are not null, and their sum in decimal digits: of microseconds since 1970, of numbers, of trues, of bytes of
   * text, of elements of lists, of the first 32 bits of a UUID.
   */
  readonly columns: Readonly<Record<string, { readonly count: string; readonly sum: string }>>
}

/** The first thing in which two fingerprints differ; nothing when they are equal. */
export const difference = (database: Fingerprint, files: Fingerprint): string | undefined => {
  if (database.rows !== files.rows) return `${database.rows} rows in the database, ${files.rows} in the files`
  for (const [name, { count, sum }] of Object.entries(database.columns)) {
    const other = files.columns[name]
    if (other?.count !== count || other.sum !== sum)
      return `column ${name}: ${count} values of sum ${sum} in the database, ${other?.count} of sum ${other?.sum} in the files`
  }
  return database.rowSum === files.rowSum ? undefined : "values are with other rows, or changed, in the files"
}

/** A sum as both sides write it: without zeros at its end. */
export const plain = (number: string): string =>
  number.includes(".") ? number.replace(/0+$/, "").replace(/\.$/, "") : number
