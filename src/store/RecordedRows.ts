import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"

/**
 * One stored message of the feed. `cells`, as exact text, by kind:
 * ticker: price, yes bid, yes ask, volume, open interest, dollar volume, dollar open interest, bid size, ask size, last size;
 * trade: id, yes price, no price, count, taker's side, whether a block trade; delta: side, price, signed size;
 * snapshot: yes prices, yes sizes, no prices, no sizes, each joined by commas; lifecycle: kind, message.
 */
export interface RecordedRow {
  readonly kind: "ticker" | "trade" | "delta" | "snapshot" | "lifecycle"
  /** When it was received (where nobody noted that, its stamp): exchange clock, epoch milliseconds. */
  readonly at: number
  /** The exchange's stamp, epoch milliseconds. */
  readonly ts: number
  readonly ticker: string | null
  readonly cells: ReadonlyArray<string | null>
}

export interface RowSpan {
  readonly fromMillis: number
  readonly toMillis: number
}

/** The stored feed, row by row, in the order in which it was received. */
export class RecordedRows extends Context.Service<
  RecordedRows,
  {
    /** Rows that the exchange stamped within a span, all of them once; through a cursor. */
    readonly stamped: (
      span: RowSpan,
      tickers: ReadonlyArray<string> | undefined
    ) => Stream.Stream<RecordedRow, SqlError>
    /** How the markets that trade at an instant stood then: the last tick and the book of each. */
    readonly standing: (
      atMillis: number,
      tickers: ReadonlyArray<string> | undefined
    ) => Stream.Stream<RecordedRow, SqlError>
  }
>()("kalshi-ingestor/store/RecordedRows") {
  static readonly layer = Layer.effect(
    RecordedRows,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient

      const stamped = ({ fromMillis: from, toMillis: to }: RowSpan, tickers: ReadonlyArray<string> | undefined) => {
        const within = (column: string) =>
          sql`${sql.literal(column)} >= ${fromMillis(from)}::timestamptz and ${sql.literal(column)} < ${fromMillis(to)}::timestamptz`
        const ofMarket = (column: string) =>
          tickers === undefined ? sql.literal("true") : sql`${sql.literal(column)} = any (${tickers}::text[])`
        return sql<RecordedRow>`
          select r.kind, ${sql.literal(millis("r.at"))} as at, ${sql.literal(millis("r.ts"))} as ts, r.ticker, r.cells from (
            select 'ticker' as kind, 1 as rank, coalesce(received_at(t.ts, t.received_ms), t.ts) as at, t.ts, k.ticker,
              0::bigint as connection, 0::bigint as seq, ${sql.literal(tickCells)} as cells
            from ticks t join market_keys k using (market_id)
            where ${within("t.ts")} and ${ofMarket("k.ticker")}
            union all
            select 'trade', 2, coalesce(t.received_at, t.ts), t.ts, k.ticker, 0, 0,
              array[t.trade_id::text, t.yes_price_dollars::text, coalesce(t.no_price_dollars, 1 - t.yes_price_dollars)::text,
                t.count::text, case t.taker_yes when true then 'yes' when false then 'no' end, t.is_block_trade::text]
            from trades t join market_keys k using (market_id)
            where ${within("t.ts")} and ${ofMarket("k.ticker")}
            union all
            select 'delta', 3, b.received_at, b.ts, k.ticker, b.connection, b.seq,
              array[case when b.yes then 'yes' else 'no' end, b.price::text, b.delta::text]
            from book_events b join market_keys k using (market_id)
            where ${within("b.ts")} and ${ofMarket("k.ticker")}
            union all
            select 'snapshot', 3, b.ts, b.ts, k.ticker, b.connection, b.seq, ${sql.literal(bookCells)}
            from book_snapshots b join market_keys k using (market_id)
            where ${within("b.ts")} and ${ofMarket("k.ticker")}
            union all
            select 'lifecycle', 0, l.received_at, l.received_at, l.market_ticker, 0, l.id, array[l.event_type, l.raw::text]
            from lifecycle_events l
            where ${within("l.received_at")} and (l.market_ticker is null or ${ofMarket("l.market_ticker")})
          ) r
          order by r.at, r.rank, r.connection, r.seq, r.ticker collate "C", r.ts, r.cells`.stream
      }

      const standing = (atMillis: number, tickers: ReadonlyArray<string> | undefined) => {
        const instant = fromMillis(atMillis)
        const chosen = tickers === undefined ? sql.literal("true") : sql`m.ticker = any (${tickers}::text[])`
        return sql<RecordedRow>`
          with open as materialized (
            select m.ticker, k.market_id from markets m join market_keys k using (ticker)
            where m.open_time <= ${instant}::timestamptz and m.close_time > ${instant}::timestamptz and ${chosen}
          )
          select r.* from (
            select 'ticker' as kind, ${sql.literal(millis("t.ts"))} as at, ${sql.literal(millis("t.ts"))} as ts, o.ticker, t.cells
            from open o cross join lateral (
              select t.ts, ${sql.literal(tickCells)} as cells from ticks t
              where t.market_id = o.market_id and t.ts < ${instant}::timestamptz
                and t.ts >= ${instant}::timestamptz - interval '2 days'
              order by t.ts desc, t.received_ms desc limit 1
            ) t
            union all
            select 'snapshot', ${sql.literal(millis("b.ts"))}, ${sql.literal(millis("b.ts"))}, o.ticker,
              array[b.yes_prices, b.yes_sizes, b.no_prices, b.no_sizes]
            from open o cross join lateral (
              select ${instant}::timestamptz - interval '1 millisecond' as ts,
                coalesce(string_agg(b.price_dollars::text, ',' order by b.price_dollars) filter (where b.side = 'yes'), '') as yes_prices,
                coalesce(string_agg(b.size::text, ',' order by b.price_dollars) filter (where b.side = 'yes'), '') as yes_sizes,
                coalesce(string_agg(b.price_dollars::text, ',' order by b.price_dollars) filter (where b.side = 'no'), '') as no_prices,
                coalesce(string_agg(b.size::text, ',' order by b.price_dollars) filter (where b.side = 'no'), '') as no_sizes
              from book_at(o.ticker, ${instant}::timestamptz - interval '1 millisecond') b
              having count(*) > 0
            ) b
          ) r
          order by r.at, r.kind, r.ticker collate "C"`.stream
      }

      return RecordedRows.of({ stamped, standing })
    })
  )
}

const millis = (column: string) => `floor(extract(epoch from ${column}) * 1000)::float8`

const tickCells = `array[t.price_dollars::text, t.yes_bid_dollars::text, t.yes_ask_dollars::text, t.volume::text,
  t.open_interest::text, t.dollar_volume::text, t.dollar_open_interest::text, t.yes_bid_size::text, t.yes_ask_size::text,
  t.last_trade_size::text]`

const bookCells = `array[array_to_string(b.yes_prices, ','), array_to_string(b.yes_sizes, ','),
  array_to_string(b.no_prices, ','), array_to_string(b.no_sizes, ',')]`
