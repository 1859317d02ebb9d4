import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Decimal } from "../market/Decimal.ts"
import { fromMicros } from "../market/Timestamp.ts"
import { MarketKeys } from "./MarketKeys.ts"
import { Partitions } from "./Partitions.ts"
import { PgArray } from "./PgArray.ts"
import { provenance } from "./Provenance.ts"

/** `micros`: the stamp, since 1970; `receivedMs`: when it was received, after the stamp, where that is known. */
export interface ImportedTick {
  readonly id: bigint
  readonly ticker: string
  readonly micros: number
  readonly receivedMs: number | undefined
  readonly price: Decimal | undefined
  readonly yesBid: Decimal | undefined
  readonly yesAsk: Decimal | undefined
  readonly yesBidSize: Decimal | undefined
  readonly yesAskSize: Decimal | undefined
  readonly lastTradeSize: Decimal | undefined
  readonly volume: Decimal | undefined
  readonly openInterest: Decimal | undefined
  readonly dollarVolume: Decimal | undefined
  readonly dollarOpenInterest: Decimal | undefined
}

export interface ImportedLifecycle {
  readonly id: bigint
  /** When the original received it. */
  readonly micros: number
  readonly marketTicker: string | undefined
  readonly kind: string
  /** The message as JSON text. */
  readonly raw: string
}

export interface ImportedCandle {
  readonly ticker: string
  readonly minutes: number
  readonly endMicros: number
  /** In the order of `candleNumbers`. */
  readonly numbers: ReadonlyArray<Decimal | undefined>
}

const candleNumbers = [
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
  "yes_ask_close",
  "volume",
  "open_interest"
] as const

const tickNumbers = [
  "price",
  "yesBid",
  "yesAsk",
  "yesBidSize",
  "yesAskSize",
  "lastTradeSize",
  "volume",
  "openInterest",
  "dollarVolume",
  "dollarOpenInterest"
] as const satisfies ReadonlyArray<keyof ImportedTick>

const numericColumns = <Row>(rows: ReadonlyArray<Row>, pick: ReadonlyArray<(row: Row) => Decimal | undefined>) =>
  pick.map((of) => {
    const column = PgArray.numerics()
    for (const row of rows) column.decimal(of(row))
    return column.parameter
  })

const instants = (micros: Iterable<number>) => {
  const column = PgArray.instants()
  for (const one of micros) column.instantMicros(one)
  return column.parameter
}

const flags = (values: Iterable<boolean>) => {
  const column = PgArray.booleans()
  for (const one of values) column.boolean(one)
  return column.parameter
}

const { imported } = provenance

/**
 * Ticks, lifecycle messages and candles of the Python original on their way into ours. Inserts say how many rows the server stored.
 * Writes join the caller's transaction; `prepare` comes before it.
 */
export class ImportedHistory extends Context.Service<
  ImportedHistory,
  {
    /** Market numbers and partitions that the rows need. */
    prepare(rows: {
      readonly tickers?: Iterable<string>
      readonly tickMicros?: Iterable<number>
      readonly candleMicros?: Iterable<number>
    }): Effect.Effect<void, SqlError>
    /** Places of ticks that are here: imported before (only ids of `known` can be), or recorded by ourselves. */
    ticksHere(
      rows: ReadonlyArray<ImportedTick>,
      known: ReadonlySet<bigint>
    ): Effect.Effect<ReadonlySet<number>, SqlError>
    insertTicks(rows: ReadonlyArray<ImportedTick>): Effect.Effect<number, SqlError>
    lifecycleHere(
      rows: ReadonlyArray<ImportedLifecycle>,
      known: ReadonlySet<bigint>
    ): Effect.Effect<ReadonlySet<number>, SqlError>
    insertLifecycle(rows: ReadonlyArray<ImportedLifecycle>): Effect.Effect<number, SqlError>
    /** Succeeds with which of the rows were new, by their place. */
    insertCandles(rows: ReadonlyArray<ImportedCandle>): Effect.Effect<ReadonlySet<number>, SqlError>
  }
>()("kalshi-ingestor/store/ImportedHistory") {
  static readonly layer = Layer.effect(
    ImportedHistory,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const keys = yield* MarketKeys
      const partitions = yield* Partitions

      const prepare = Effect.fnUntraced(function* ({
        candleMicros = [],
        tickMicros = [],
        tickers = []
      }: {
        readonly tickers?: Iterable<string>
        readonly tickMicros?: Iterable<number>
        readonly candleMicros?: Iterable<number>
      }) {
        yield* keys.register(new Set(tickers))
        yield* partitions.ensureDays("ticks", new Set([...tickMicros].map((micros) => Partitions.dayOf(micros / 1000))))
        yield* partitions.ensureCandleMonths(
          new Set([...candleMicros].map((micros) => Partitions.monthOf(micros / 1000)))
        )
      })

      const tickColumns = (rows: ReadonlyArray<ImportedTick>) =>
        numericColumns(
          rows,
          tickNumbers.map((field) => (row: ImportedTick) => row[field])
        )

      // A subquery for each row, so that the plan is one look into one partition's index whatever the statistics say.
      const ticksHere = Effect.fnUntraced(function* (rows: ReadonlyArray<ImportedTick>, known: ReadonlySet<bigint>) {
        const [price, bid, ask, , , , volume, interest] = tickColumns(rows)
        const here = yield* sql<{ at: number }>`
          select i.at::int as at
          from unnest(
            ${instants(rows.map(({ micros }) => micros))}, ${keys.idsOf(rows.map(({ ticker }) => ticker))},
            ${flags(rows.map(({ id }) => known.has(id)))}, ${price!}, ${bid!}, ${ask!}, ${volume!}, ${interest!})
            with ordinality as i (ts, market_id, known, price, bid, ask, volume, interest, at)
          where (
            select true from ticks t
            where t.market_id = i.market_id and t.ts = i.ts and case when t.provenance = ${imported} then i.known
              else (t.price_dollars, t.yes_bid_dollars, t.yes_ask_dollars, t.volume, t.open_interest)
                is not distinct from (i.price, i.bid, i.ask, i.volume, i.interest) end
            limit 1)`
        return new Set(here.map(({ at }) => at - 1))
      })

      const insertTicks = Effect.fnUntraced(function* (rows: ReadonlyArray<ImportedTick>) {
        if (rows.length === 0) return 0
        const received = PgArray.int4s()
        for (const { receivedMs } of rows) {
          if (receivedMs === undefined) received.null()
          else received.int4(receivedMs)
        }
        const [price, bid, ask, bidSize, askSize, lastSize, volume, interest, dollarVolume, dollarInterest] =
          tickColumns(rows)
        const stored = yield* sql<{ stored: number }>`
          with incoming as materialized (
            select * from unnest(
              ${instants(rows.map(({ micros }) => micros))}, ${received.parameter},
              ${keys.idsOf(rows.map(({ ticker }) => ticker))}, ${price!}, ${bid!}, ${ask!}, ${bidSize!}, ${askSize!}, ${lastSize!},
              ${volume!}, ${interest!}, ${dollarVolume!}, ${dollarInterest!}) with ordinality as i (
              ts, received_ms, market_id, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, yes_ask_size,
              last_trade_size, volume, open_interest, dollar_volume, dollar_open_interest, at)
          ), stored as (
            insert into ticks (
              ts, received_ms, market_id, provenance, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, yes_ask_size,
              last_trade_size, volume, open_interest, dollar_volume, dollar_open_interest)
            select ts, received_ms, market_id, ${imported}, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size,
              yes_ask_size, last_trade_size, volume, open_interest, dollar_volume, dollar_open_interest
            from incoming order by at
            returning 1
          ), latest as (
            insert into ticks_latest as t (
              market_id, ts, received_at, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, yes_ask_size,
              last_trade_size, volume, open_interest)
            select distinct on (market_id) market_id, ts, received_at(ts, received_ms), price_dollars, yes_bid_dollars,
              yes_ask_dollars, yes_bid_size, yes_ask_size, last_trade_size, volume, open_interest
            from incoming order by market_id, ts desc, at desc
            on conflict (market_id) do update set
              ts = excluded.ts, received_at = excluded.received_at,
              price_dollars = coalesce(excluded.price_dollars, t.price_dollars),
              yes_bid_dollars = coalesce(excluded.yes_bid_dollars, t.yes_bid_dollars),
              yes_ask_dollars = coalesce(excluded.yes_ask_dollars, t.yes_ask_dollars),
              yes_bid_size = coalesce(excluded.yes_bid_size, t.yes_bid_size),
              yes_ask_size = coalesce(excluded.yes_ask_size, t.yes_ask_size),
              last_trade_size = coalesce(excluded.last_trade_size, t.last_trade_size),
              volume = coalesce(excluded.volume, t.volume), open_interest = coalesce(excluded.open_interest, t.open_interest)
            where t.ts <= excluded.ts
          )
          select count(*)::int as stored from stored`
        return stored[0]!.stored
      })

      const lifecycleJson = (rows: ReadonlyArray<ImportedLifecycle>, known: ReadonlySet<bigint>) =>
        JSON.stringify(
          rows.map((row, at) => ({
            at,
            received_at: fromMicros(row.micros),
            market_ticker: row.marketTicker,
            event_type: row.kind,
            known: known.has(row.id),
            raw: row.raw
          }))
        )

      const lifecycleHere = Effect.fnUntraced(function* (
        rows: ReadonlyArray<ImportedLifecycle>,
        known: ReadonlySet<bigint>
      ) {
        if (rows.length === 0) return new Set<number>()
        const here = yield* sql<{ at: number }>`
          select i.at
          from jsonb_to_recordset(${lifecycleJson(rows, known)}::jsonb) as i (
            at integer, received_at timestamptz, market_ticker text, event_type text, known boolean, raw text)
          where (
            select true from lifecycle_events e
            where e.market_ticker is not distinct from i.market_ticker and e.event_type = i.event_type and e.raw = i.raw::jsonb
              and case when e.provenance = ${imported} then i.known and e.received_at = i.received_at
                else e.received_at between i.received_at - interval '1 minute' and i.received_at + interval '1 minute' end
              and e.received_at between i.received_at - interval '1 minute' and i.received_at + interval '1 minute'
            limit 1)`
        return new Set(here.map(({ at }) => at))
      })

      const insertLifecycle = Effect.fnUntraced(function* (rows: ReadonlyArray<ImportedLifecycle>) {
        if (rows.length === 0) return 0
        const stored = yield* sql<{ stored: number }>`
          with incoming as (
            select i.*, i.raw::jsonb as msg
            from jsonb_to_recordset(${lifecycleJson(rows, new Set())}::jsonb) as i (
              at integer, received_at timestamptz, market_ticker text, event_type text, raw text)
          ), stored as (
            insert into lifecycle_events (
              received_at, ts, market_ticker, event_ticker, event_type, result, settlement_value_dollars, provenance, raw)
            select received_at, import_instant(coalesce(msg ->> 'determination_ts', msg ->> 'settled_ts')), market_ticker,
              coalesce(msg ->> 'event_ticker', msg #>> '{additional_metadata,event_ticker}'), event_type,
              nullif(msg ->> 'result', ''), import_settlement(msg ->> 'settlement_value', msg ->> 'result'), ${imported}, msg
            from incoming order by at
            returning 1
          )
          select count(*)::int as stored from stored`
        return stored[0]!.stored
      })

      const insertCandles = Effect.fnUntraced(function* (rows: ReadonlyArray<ImportedCandle>) {
        if (rows.length === 0) return new Set<number>()
        const minutes = PgArray.int4s()
        for (const row of rows) minutes.int4(row.minutes)
        const tickers = PgArray.texts()
        for (const row of rows) tickers.text(row.ticker)
        const numbers = numericColumns(
          rows,
          candleNumbers.map((_, index) => (row: ImportedCandle) => row.numbers[index])
        )
        const names = candleNumbers.join(", ")
        const stored = yield* sql<{ at: number }>`
          with incoming as materialized (
            select * from unnest(
              ${tickers.parameter}, ${minutes.parameter}, ${instants(rows.map(({ endMicros }) => endMicros))}, ${sql.csv(
                numbers.map((column) => sql`${column}`)
              )}) with ordinality as i (market_ticker, minutes, end_period_ts, ${sql.literal(names)}, at)
          ), stored as (
            insert into market_candles (
              market_ticker, period_interval_minutes, end_period_ts, start_period_ts, provenance, ${sql.literal(names)})
            select market_ticker, minutes, end_period_ts, end_period_ts - minutes * interval '1 minute', ${imported},
              ${sql.literal(names)}
            from incoming
            on conflict do nothing
            returning market_ticker, period_interval_minutes, end_period_ts
          )
          select i.at::int as at
          from stored s
          join incoming i on i.market_ticker = s.market_ticker and i.minutes = s.period_interval_minutes
            and i.end_period_ts = s.end_period_ts`
        return new Set(stored.map(({ at }) => at - 1))
      })

      return ImportedHistory.of({
        prepare,
        ticksHere,
        insertTicks,
        lifecycleHere,
        insertLifecycle,
        insertCandles
      })
    })
  )
}
