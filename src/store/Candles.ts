import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Candle, CandleInterval } from "../market/Candle.ts"
import { lengthOf } from "../market/CandlePeriod.ts"
import type { Decimal } from "../market/Decimal.ts"
import { fromMillis } from "../market/Timestamp.ts"
import { Partitions } from "./Partitions.ts"
import { PgArray } from "./PgArray.ts"
import { type Provenance, provenance } from "./Provenance.ts"
import { transaction } from "./Transaction.ts"

/** The candles of one market that end after `fromMillis` and not after `toMillis`, epoch milliseconds. */
export interface CandleSpan {
  readonly ticker: string
  readonly periodMinutes: CandleInterval
  readonly fromMillis: number
  readonly toMillis: number
}

/** What one read of the exchange brought. */
export interface CandleRead {
  readonly candles: ReadonlyArray<Candle>
  /** Read completely, and over and settled before the read. */
  readonly checked: ReadonlyArray<CandleSpan>
  readonly provenance: Provenance
  /** Our clock before the read: of two reads of one candle the later one counts. */
  readonly readAtMillis: number
}

export interface CandleCounts {
  readonly added: number
  /** Candles that were stored with other numbers. */
  readonly revised: number
}

const prices = ["open", "high", "low", "close"] as const
const numbers = [
  ...prices,
  "mean",
  "previous",
  ...prices.map((price) => `yes_bid_${price}` as const),
  ...prices.map((price) => `yes_ask_${price}` as const),
  "volume",
  "open_interest"
] as const

const valueOf: Readonly<Record<(typeof numbers)[number], (candle: Candle) => Decimal | undefined>> = {
  open: ({ price }) => price?.open,
  high: ({ price }) => price?.high,
  low: ({ price }) => price?.low,
  close: ({ price }) => price?.close,
  mean: ({ price }) => price?.mean,
  previous: ({ previousPrice }) => previousPrice,
  yes_bid_open: ({ yesBid }) => yesBid.open,
  yes_bid_high: ({ yesBid }) => yesBid.high,
  yes_bid_low: ({ yesBid }) => yesBid.low,
  yes_bid_close: ({ yesBid }) => yesBid.close,
  yes_ask_open: ({ yesAsk }) => yesAsk.open,
  yes_ask_high: ({ yesAsk }) => yesAsk.high,
  yes_ask_low: ({ yesAsk }) => yesAsk.low,
  yes_ask_close: ({ yesAsk }) => yesAsk.close,
  volume: ({ volume }) => volume,
  open_interest: ({ openInterest }) => openInterest
}

/**
 * A trade's price that an answer leaves out stays while the volume is the same; the two tiers do not leave out the same. A change of the
 * volume is a change of the trades.
 */
const mergedNumber = (name: (typeof numbers)[number]): string =>
  name === "previous"
    ? "coalesce(excluded.previous, c.previous)"
    : name === "mean" || (prices as ReadonlyArray<string>).includes(name)
      ? `case when excluded.volume = c.volume then coalesce(excluded.${name}, c.${name}) else excluded.${name} end`
      : `excluded.${name}`

const columns = `market_ticker, period_interval_minutes, end_period_ts, start_period_ts, ${numbers.join(", ")}`
const provenanceAt = 5 + numbers.length

const upsert = `
  with incoming as (
    select *
    from unnest(
      $1::text[], $2::int4[], $3::timestamptz[], $4::timestamptz[], ${numbers.map((_, at) => `$${5 + at}::numeric[]`).join(", ")}
    ) as r (${columns})
  ), known as (
    select count(*) as known
    from incoming i
    join market_candles c using (market_ticker, period_interval_minutes, end_period_ts)
    where c.end_period_ts between $${provenanceAt + 2}::timestamptz and $${provenanceAt + 3}::timestamptz
  ), stored as (
    insert into market_candles as c (${columns}, provenance, fetched_at)
    select ${columns}, $${provenanceAt}::smallint, $${provenanceAt + 1}::timestamptz
    from incoming
    order by market_ticker, period_interval_minutes, end_period_ts
    on conflict (market_ticker, period_interval_minutes, end_period_ts) do update set
      ${numbers.map((name) => `${name} = ${mergedNumber(name)}`).join(", ")},
      provenance = excluded.provenance, fetched_at = excluded.fetched_at
    where excluded.fetched_at >= c.fetched_at
      and (${numbers.map((name) => `c.${name}`).join(", ")}) is distinct from (${numbers.map(mergedNumber).join(", ")})
    returning 1
  )
  select (select count(*) from stored)::int as stored, (select count(*) from incoming)::int - known::int as added from known`

/** The last of candles with one key. */
const unique = (candles: ReadonlyArray<Candle>): Iterable<Candle> =>
  new Map(candles.map((candle) => [`${candle.ticker} ${candle.intervalMinutes} ${candle.endSeconds}`, candle])).values()

const spanColumns = (spans: ReadonlyArray<CandleSpan>) => {
  const columns = {
    tickers: PgArray.texts(),
    minutes: PgArray.int4s(),
    from: PgArray.instants(),
    to: PgArray.instants()
  }
  for (const span of spans) {
    columns.tickers.text(span.ticker)
    columns.minutes.int4(span.periodMinutes)
    columns.from.instant(span.fromMillis)
    columns.to.instant(span.toMillis)
  }
  return columns
}

/** The exchange's candles, each once, as it last told them; and which spans it was asked for. */
export class Candles extends Context.Service<
  Candles,
  {
    /**
     * Stores candles and what was checked in one transaction, or the caller's. A candle that differs from the stored one revises it and
     * takes the new provenance; an equal one changes nothing.
     */
    store(read: CandleRead): Effect.Effect<CandleCounts, SqlError>
    /** What of these spans was not checked yet, ascending; empty spans are left out. */
    missing(spans: ReadonlyArray<CandleSpan>): Effect.Effect<ReadonlyArray<CandleSpan>, SqlError>
    /** The checked spans of a market, ascending. */
    checked(ticker: string, periodMinutes: CandleInterval): Effect.Effect<ReadonlyArray<CandleSpan>, SqlError>
  }
>()("kalshi-ingestor/store/Candles") {
  static readonly layer = Layer.effect(
    Candles,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const partitions = yield* Partitions

      const upsertCandles = Effect.fnUntraced(function* (read: CandleRead) {
        const tickers = PgArray.texts()
        const minutes = PgArray.int4s()
        const ends = PgArray.instants()
        const starts = PgArray.instants()
        const values = numbers.map((name) => [valueOf[name], PgArray.numerics()] as const)
        let first = Number.POSITIVE_INFINITY
        let last = Number.NEGATIVE_INFINITY
        for (const candle of unique(read.candles)) {
          const end = candle.endSeconds * 1000
          first = Math.min(first, end)
          last = Math.max(last, end)
          tickers.text(candle.ticker)
          minutes.int4(candle.intervalMinutes)
          ends.instant(end)
          starts.instant(end - lengthOf(candle.intervalMinutes))
          for (const [value, column] of values) column.decimal(value(candle))
        }
        if (tickers.length === 0) return { added: 0, revised: 0 }
        const rows = yield* sql.unsafe<{ stored: number; added: number }>(upsert, [
          tickers.parameter,
          minutes.parameter,
          ends.parameter,
          starts.parameter,
          ...values.map(([, column]) => column.parameter),
          provenance[read.provenance],
          fromMillis(read.readAtMillis),
          fromMillis(first),
          fromMillis(last)
        ])
        const { added, stored } = rows[0]!
        return { added, revised: Math.max(0, stored - added) }
      })

      const addChecked = Effect.fnUntraced(function* (spans: ReadonlyArray<CandleSpan>) {
        const some = spans.filter(({ fromMillis, toMillis }) => fromMillis < toMillis)
        if (some.length === 0) return
        const { from, minutes, tickers, to } = spanColumns(some)
        yield* sql`
          insert into candle_ranges as c (market_ticker, period_interval_minutes, checked)
          select ticker, minutes, range_agg(tstzrange(from_ts, to_ts))
          from unnest(${tickers.parameter}, ${minutes.parameter}, ${from.parameter}, ${to.parameter})
            as r (ticker, minutes, from_ts, to_ts)
          group by ticker, minutes
          order by ticker, minutes
          on conflict (market_ticker, period_interval_minutes) do update
            set checked = c.checked + excluded.checked, updated_at = clock_timestamp()
            where not c.checked @> excluded.checked`
      })

      const store = Effect.fn("Candles.store")(function* (read: CandleRead) {
        yield* partitions.ensureCandleMonths(
          new Set(read.candles.map(({ endSeconds }) => Partitions.monthOf(endSeconds * 1000)))
        )
        return yield* transaction(sql)(Effect.tap(upsertCandles(read), addChecked(read.checked)))
      })

      const missing = Effect.fn("Candles.missing")(function* (spans: ReadonlyArray<CandleSpan>) {
        const some = spans.filter(({ fromMillis, toMillis }) => fromMillis < toMillis)
        if (some.length === 0) return []
        const { from, minutes, tickers, to } = spanColumns(some)
        const rows = yield* sql<{ ticker: string; minutes: CandleInterval; from_ts: Date; to_ts: Date }>`
          select ticker, minutes, lower(hole) as from_ts, upper(hole) as to_ts
          from (
            select ticker, minutes, range_agg(tstzrange(from_ts, to_ts)) as wanted
            from unnest(${tickers.parameter}, ${minutes.parameter}, ${from.parameter}, ${to.parameter})
              as r (ticker, minutes, from_ts, to_ts)
            group by ticker, minutes
          ) w
          left join candle_ranges c on c.market_ticker = w.ticker and c.period_interval_minutes = w.minutes
          cross join lateral unnest(w.wanted - coalesce(c.checked, '{}'::tstzmultirange)) as hole
          order by ticker, minutes, from_ts`
        return rows.map((row) => spanOf(row.ticker, row.minutes, row))
      })

      const checked = Effect.fn("Candles.checked")((ticker: string, periodMinutes: CandleInterval) =>
        sql<{ from_ts: Date; to_ts: Date }>`
          select lower(span) as from_ts, upper(span) as to_ts
          from candle_ranges cross join lateral unnest(checked) as span
          where market_ticker = ${ticker} and period_interval_minutes = ${periodMinutes}
          order by 1`.pipe(Effect.map((rows) => rows.map((row) => spanOf(ticker, periodMinutes, row))))
      )

      return Candles.of({ store, missing, checked })
    })
  )
}

const spanOf = (
  ticker: string,
  periodMinutes: CandleInterval,
  row: { readonly from_ts: Date; readonly to_ts: Date }
): CandleSpan => ({
  ticker,
  periodMinutes,
  fromMillis: row.from_ts.getTime(),
  toMillis: row.to_ts.getTime()
})
