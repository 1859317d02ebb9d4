import * as fs from "node:fs"
import * as path from "node:path"
import { type ArchivedTable, archivedTables } from "./ArchiveTables.ts"

/** Columns of what lies beside the data, as DuckDB's types. */
export const besideColumns = {
  coverage: {
    ticker: "VARCHAR",
    hour: "TIMESTAMPTZ",
    state: "VARCHAR",
    open_ms: "INTEGER",
    live_ms: "INTEGER",
    healed_ms: "INTEGER",
    candles: "INTEGER",
    computed_at: "TIMESTAMPTZ"
  },
  gaps: {
    id: "BIGINT",
    feed: "VARCHAR",
    shard: "VARCHAR",
    slots: "SMALLINT[]",
    market_ticker: "VARCHAR",
    from_ts: "TIMESTAMPTZ",
    to_ts: "TIMESTAMPTZ",
    cause: "VARCHAR",
    detail: "VARCHAR",
    frames_missing: "BIGINT",
    repaired_by: "VARCHAR",
    repaired_at: "TIMESTAMPTZ",
    journal: "VARCHAR"
  }
} as const

const provenance = "['live', 'snapshot', 'backfill', 'repaired', 'replay'][r.provenance + 1] as provenance"

/** The database's own views, over the files. */
const shapes: Readonly<Record<ArchivedTable, { readonly view: string; readonly columns: string }>> = {
  ticks: {
    view: "market_ticks",
    columns: `r.ts, r.ticker, r.price_dollars, r.yes_bid_dollars, r.yes_ask_dollars, r.yes_bid_size, r.yes_ask_size,
  r.last_trade_size, r.volume, r.open_interest, r.dollar_volume, r.dollar_open_interest,
  case when r.yes_bid_dollars > 0 and r.yes_ask_dollars < 1 then (r.yes_bid_dollars + r.yes_ask_dollars) * 0.5 end as implied_yes_mid,
  r.ts + to_milliseconds(r.received_ms) as received_at, ${provenance}`
  },
  trades: {
    view: "market_trades",
    columns: `r.ts, r.ticker, r.trade_id, r.count, r.yes_price_dollars, coalesce(r.no_price_dollars, 1 - r.yes_price_dollars) as no_price_dollars,
  case r.taker_yes when true then 'yes' when false then 'no' end as taker_side, r.is_block_trade, r.received_at, ${provenance}, r.micros`
  },
  book_events: {
    view: "orderbook_events",
    columns: `r.ts, r.ticker, case when r.yes then 'yes' else 'no' end as side, r.price as price_dollars, r.delta, r.connection, r.seq,
  r.received_at, ${provenance}`
  },
  book_snapshots: {
    view: "orderbook_snapshots",
    columns: `r.ts, r.ticker, r.yes_prices, r.yes_sizes, r.no_prices, r.no_sizes, r.requested, r.connection, r.seq, ${provenance}`
  },
  market_candles: {
    view: "market_candles",
    columns: `r.ticker as market_ticker, r.* exclude (ticker, series, date, dataset, provenance), ${provenance}`
  }
}

const files = (glob: string) =>
  `read_parquet('${glob}', union_by_name = true, hive_partitioning = true, filename = true, hive_types = {'series': VARCHAR, 'date': DATE})`

const rows = (table: ArchivedTable, root: string) =>
  `select * exclude (filename), parse_filename(filename, true) as dataset from ${files(`${root}${table}/**/*.parquet`)}`

/** `archive.sql`: views for DuckDB over what a lake holds, and over the export of what only the database has (`live/`). */
export const text = (directory: string): string => {
  const has = (name: string) => fs.existsSync(path.join(directory, name))
  const tables = archivedTables.filter((table) => has(table) || has(`live/${table}`))
  const views = tables.map((table) => {
    const { columns, view } = shapes[table]
    const sides = [
      ...(has(table) ? [rows(table, "")] : []),
      // What was archived after the export is in both: the files of the archive count.
      ...(has(`live/${table}`)
        ? [
            has("datasets")
              ? `select * from (${rows(table, "live/")}) where dataset not in (select dataset from datasets)`
              : rows(table, "live/")
          ]
        : [])
    ]
    return `create or replace view archived_${table} as\n${sides.join("\nunion all by name\n")};\n
create or replace view ${view} as
select ${columns}, r.series, r.date, r.dataset
from archived_${table} r;\n`
  })
  const datasets = has("datasets")
    ? `create or replace view datasets as
select * exclude (filename) from read_json('datasets/*/manifest.json', filename = true, union_by_name = true, columns = {
  dataset_id: 'VARCHAR', dataset: 'VARCHAR', "table": 'VARCHAR', partition: 'VARCHAR', "from": 'TIMESTAMPTZ', "to": 'TIMESTAMPTZ',
  rows: 'BIGINT', bytes: 'BIGINT', schema_version: 'INTEGER', code_version: 'VARCHAR', archived_at: 'TIMESTAMPTZ'});

-- One dataset's word for each hour and each gap: that of the newest.
create or replace view market_coverage as
select distinct on (ticker, hour) * exclude (filename)
from read_parquet('datasets/*/coverage.parquet', union_by_name = true, filename = true) order by ticker, hour, computed_at desc;

create or replace view capture_gaps as
select distinct on (id) * exclude (filename)
from read_parquet('datasets/*/gaps.parquet', union_by_name = true, filename = true) order by id, to_ts is null, repaired_at is null;

`
    : ""
  return `-- Views over this archive. In this directory: duckdb -init archive.sql
-- From elsewhere: set file_search_path = '<this directory>'; and then .read <this directory>/archive.sql
set timezone = 'UTC';

${datasets}${views.join("\n")}`
}
