import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Decimal } from "../market/Decimal.ts"
import { fromMillis } from "../market/Timestamp.ts"
import { MarketKeys } from "./MarketKeys.ts"
import { Partitions } from "./Partitions.ts"
import { PgArray } from "./PgArray.ts"
import { provenance } from "./Provenance.ts"
import * as Upsert from "./Upsert.ts"

type Row<Columns extends ReadonlyArray<Upsert.Column>> = {
  readonly [K in Columns[number]["name"]]: unknown
}

/** Ours is younger than the original's: it fills what is missing and changes nothing. */
const fill = <const Name extends string>(name: Name, type = "text") => ({
  name,
  type,
  merge: `coalesce(t.${name}, excluded.${name})`
})

/** JSON as text, so that its numbers stay as they are written. */
const fillJson = <const Name extends string>(name: Name) => ({ ...fill(name), read: `${name}::jsonb` })

const eventColumns = [
  fill("series_ticker"),
  fill("title"),
  fill("sub_title"),
  fill("category"),
  fill("collateral_return_type"),
  fill("mutually_exclusive", "boolean"),
  fill("strike_date", "timestamptz"),
  fill("strike_period"),
  fill("cadence")
] as const

const marketColumns = [
  fill("event_ticker"),
  fill("market_type"),
  fill("title"),
  fill("yes_sub_title"),
  fill("no_sub_title"),
  fill("status"),
  fill("created_time", "timestamptz"),
  fill("open_time", "timestamptz"),
  fill("close_time", "timestamptz"),
  fill("expected_expiration_time", "timestamptz"),
  fill("latest_expiration_time", "timestamptz"),
  fill("settlement_ts", "timestamptz"),
  fill("settlement_timer_seconds", "integer"),
  fill("settlement_value_dollars", "numeric"),
  fill("result"),
  fill("can_close_early", "boolean"),
  fill("strike_type"),
  fill("floor_strike", "numeric"),
  fill("cap_strike", "numeric"),
  fill("functional_strike"),
  fillJson("custom_strike"),
  fill("rules_primary"),
  fill("rules_secondary"),
  fill("price_level_structure"),
  fillJson("price_ranges"),
  fill("is_multivariate", "boolean")
] as const

/** An absent field is one that the original lost. */
export type ImportedEvent = Row<typeof eventColumns> & { readonly event_ticker: string }
export type ImportedMarket = Row<typeof marketColumns> & { readonly ticker: string }

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
 * Rows of the Python original on their way into our tables. Inserts say how many rows the server stored, and leave what is here
 * already. Writes join the caller's transaction; `prepare` comes before it.
 */
export class ImportedRows extends Context.Service<
  ImportedRows,
  {
    /** Market numbers and partitions that the rows need. */
    prepare(rows: {
      readonly tickers?: Iterable<string>
      readonly tickMicros?: Iterable<number>
      readonly candleMicros?: Iterable<number>
    }): Effect.Effect<void, SqlError>
    /** Succeeds with the keys of rows that were new, or told us something. */
    events(rows: ReadonlyArray<ImportedEvent>): Effect.Effect<ReadonlySet<string>, SqlError>
    markets(rows: ReadonlyArray<ImportedMarket>): Effect.Effect<ReadonlySet<string>, SqlError>
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
    /** What imported lifecycle messages say about markets that lack it: result, settlement, times. Succeeds with how many changed. */
    readonly completeMarkets: Effect.Effect<number, SqlError>
    /** Marks as repaired what has been told to us after all. */
    readonly settleFaults: Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/ImportedRows") {
  static readonly layer = Layer.effect(
    ImportedRows,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const keys = yield* MarketKeys
      const partitions = yield* Partitions

      const save = (statement: string, rows: ReadonlyArray<object>) =>
        rows.length === 0
          ? Effect.succeed(new Set<string>())
          : sql
              .unsafe<{ key: string }>(statement, [JSON.stringify(rows)])
              .pipe(Effect.map((changed) => new Set(changed.map(({ key }) => key))))
      const eventUpsert = Upsert.statement("events", "event_ticker", eventColumns)
      const marketUpsert = Upsert.statement("markets", "ticker", marketColumns)

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
            received_at: instantText(row.micros),
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

      const completeMarkets = sql<{ ticker: string }>`
        update markets m set
          result = coalesce(m.result, l.result),
          settlement_value_dollars = coalesce(m.settlement_value_dollars, l.value),
          determination_ts = coalesce(m.determination_ts, l.determined),
          settlement_ts = coalesce(m.settlement_ts, l.settled),
          status = next_status(m.status, case when l.is_settled then 'finalized' when l.is_determined then 'determined' end),
          updated_at = clock_timestamp()
        from (
          select market_ticker,
            (array_agg(result order by received_at desc, id desc) filter (where result is not null))[1] as result,
            (array_agg(settlement_value_dollars order by received_at desc, id desc)
              filter (where settlement_value_dollars is not null))[1] as value,
            max(ts) filter (where event_type = 'determined') as determined,
            max(ts) filter (where event_type = 'settled') as settled,
            bool_or(event_type = 'determined') as is_determined, bool_or(event_type = 'settled') as is_settled
          from lifecycle_events
          where provenance = ${imported} and event_type in ('determined', 'settled') and market_ticker is not null
          group by market_ticker
        ) l
        where m.ticker = l.market_ticker and (
          m.result is null and l.result is not null
          or m.settlement_value_dollars is null and l.value is not null
          or m.determination_ts is null and l.determined is not null
          or m.settlement_ts is null and l.settled is not null
          or m.status is distinct from
            next_status(m.status, case when l.is_settled then 'finalized' when l.is_determined then 'determined' end))
        returning m.ticker`.pipe(
        Effect.map((rows) => rows.length),
        Effect.withSpan("ImportedRows.completeMarkets")
      )

      const settleFaults = sql`
        update import_faults f set repaired = true, detail = null, row_key = null
        from markets m
        where f.source_table = 'markets' and m.ticker = f.ticker and not f.repaired and (
          f.kind = 'settlement_missing' and m.settlement_value_dollars is not null
          or f.kind = 'title_erased' and (m.title is not null or m.yes_sub_title is not null)
          or f.kind = 'times_erased' and m.open_time is not null and m.close_time is not null)`.pipe(
        Effect.andThen(sql`
          update import_faults f set repaired = true, detail = null, row_key = null
          from events e
          where f.source_table = 'events' and e.event_ticker = f.ticker and not f.repaired and f.kind = 'title_erased'
            and e.title is not null`),
        Effect.asVoid
      )

      return ImportedRows.of({
        prepare,
        events: (rows) => save(eventUpsert, rows),
        markets: (rows) => save(marketUpsert, rows),
        ticksHere,
        insertTicks,
        lifecycleHere,
        insertLifecycle,
        insertCandles,
        completeMarkets,
        settleFaults
      })
    })
  )
}

const instantText = (micros: number): string =>
  `${fromMillis(Math.floor(micros / 1000)).slice(0, -1)}${String(micros % 1000).padStart(3, "0")}Z`
