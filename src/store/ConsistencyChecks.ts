import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { BookLevel } from "../market/Book.ts"
import type { Decimal } from "../market/Decimal.ts"
import { fromMillis } from "../market/Timestamp.ts"

export type CheckKind = "candle_trades" | "candle_quotes" | "book"

/** The open part of an hour of one market, epoch milliseconds, and whether its feed was recorded without a gap. */
export interface SampledHour {
  readonly ticker: string
  readonly seriesTicker: string | undefined
  readonly fromMillis: number
  readonly toMillis: number
  readonly isLive: boolean
}

export interface CheckOutcome {
  readonly kind: CheckKind
  readonly ticker: string
  readonly fromMillis: number
  readonly toMillis: number
  readonly compared: number
  readonly mismatched: number
  readonly ambiguous: number
  /** The largest difference: dollars, or contracts of a book. */
  readonly worst: Decimal | undefined
  /** Anything JSON that helps to find the cause. */
  readonly detail: unknown
}

/** One change of a recorded book: contracts, signed. */
export interface BookChange {
  readonly side: "yes" | "no"
  readonly price: Decimal
  readonly delta: Decimal
}

/** A recorded book and what happened to it after; absent where it is not known for certain. */
export interface RecordedBook {
  readonly yes: ReadonlyArray<BookLevel>
  readonly no: ReadonlyArray<BookLevel>
  readonly changes: ReadonlyArray<BookChange>
}

interface ComparedRow {
  readonly compared: number
  readonly mismatched: number
  readonly ambiguous: number
  readonly worst: Decimal | null
  readonly detail: unknown
}

/** What was recorded, compared with the exchange's own word; the results are kept. Instants are exchange time. */
export class ConsistencyChecks extends Context.Service<
  ConsistencyChecks,
  {
    /** Hours of markets since an instant, drawn by lot, recorded ones first. */
    sampleHours(sinceMillis: number, limit: number): Effect.Effect<ReadonlyArray<SampledHour>, SqlError>
    /** Markets that trade and whose books are recorded, drawn by lot. */
    sampleBooks(sinceMillis: number, limit: number): Effect.Effect<ReadonlyArray<string>, SqlError>
    /** One-minute candles rebuilt from the stored trades, or bids and asks from the ticks, against the stored candles of the exchange. */
    compareCandles(kind: "candle_trades" | "candle_quotes", hour: SampledHour): Effect.Effect<CheckOutcome, SqlError>
    /** Until when the live feeds of all of these markets are stored. */
    storedUntilMillis(tickers: ReadonlyArray<string>): Effect.Effect<number, SqlError>
    /** The book at `fromMillis` and its changes until `toMillis`; absent when a gap or a new whole book lies between. */
    recordedBook(
      ticker: string,
      fromMillis: number,
      toMillis: number
    ): Effect.Effect<RecordedBook | undefined, SqlError>
    record(outcomes: ReadonlyArray<CheckOutcome>): Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/ConsistencyChecks") {
  static readonly layer = Layer.effect(
    ConsistencyChecks,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient

      const sampleHours = Effect.fn("ConsistencyChecks.sampleHours")(function* (sinceMillis: number, limit: number) {
        const rows = yield* sql<{
          ticker: string
          series_ticker: string | null
          from_ts: Date
          to_ts: Date
          is_live: boolean
        }>`
          select m.ticker, e.series_ticker, greatest(c.hour, m.open_time) as from_ts,
            date_trunc('minute', least(c.hour + interval '1 hour', m.close_time)) as to_ts, c.state = 'live' as is_live
          from market_coverage c
          join market_keys k using (market_id)
          join markets m on m.ticker = k.ticker
          left join events e using (event_ticker)
          where c.hour >= ${fromMillis(sinceMillis)}::timestamptz and m.open_time < c.hour + interval '1 hour' and m.close_time > c.hour
          order by c.state = 'live' desc, random()
          limit ${limit}`
        return rows.flatMap((row): ReadonlyArray<SampledHour> => {
          const hour = {
            ticker: row.ticker,
            seriesTicker: row.series_ticker ?? undefined,
            fromMillis: row.from_ts.getTime(),
            toMillis: row.to_ts.getTime(),
            isLive: row.is_live
          }
          return hour.fromMillis < hour.toMillis ? [hour] : []
        })
      })

      const sampleBooks = Effect.fn("ConsistencyChecks.sampleBooks")((sinceMillis: number, limit: number) =>
        sql<{ ticker: string }>`
          select a.ticker from active_markets a join market_keys k using (ticker)
          where exists (
            select from book_snapshots s where s.market_id = k.market_id and s.ts >= ${fromMillis(sinceMillis)}::timestamptz)
          order by random() limit ${limit}`.pipe(Effect.map((rows) => rows.map(({ ticker }) => ticker)))
      )

      const compareCandles = Effect.fn("ConsistencyChecks.compareCandles")(function* (
        kind: "candle_trades" | "candle_quotes",
        { fromMillis: from, ticker, toMillis: to }: SampledHour
      ) {
        const compared = sql.literal(kind === "candle_trades" ? "compare_trade_candles" : "compare_quote_candles")
        const rows = yield* sql<ComparedRow>`
          with found as materialized (
            select * from ${compared}(${ticker}, ${fromMillis(from)}::timestamptz, ${fromMillis(to)}::timestamptz)
          )
          select count(*)::int as compared, count(*) filter (where verdict = 'different')::int as mismatched,
            count(*) filter (where verdict = 'ambiguous')::int as ambiguous,
            trim_scale(max(difference) filter (where verdict = 'different')) as worst,
            (select jsonb_agg(w) from (
              select end_period_ts, difference, ours, theirs from found where verdict = 'different'
              order by difference desc, end_period_ts limit 3) w) as detail
          from found`
        const { ambiguous, detail, mismatched, worst, ...row } = rows[0]!
        return {
          kind,
          ticker,
          fromMillis: from,
          toMillis: to,
          compared: row.compared,
          mismatched,
          ambiguous,
          worst: worst ?? undefined,
          detail
        }
      })

      const storedUntilMillis = Effect.fnUntraced(function* (tickers: ReadonlyArray<string>) {
        const rows = yield* sql<{ at: number | null }>`
          select (extract(epoch from min(coalesce(
            (select max(p.last_received_at) from slot_feeds f join journal_positions p using (journal)
             where f.slot = market_slot(
               case split_part(f.shard, '/', 1) when 'event' then coalesce(m.event_ticker, m.ticker) else m.ticker end,
               split_part(f.shard, '/', 2)::integer)),
            'epoch'))) * 1000)::float8 as at
          from markets m where m.ticker = any (${tickers}::text[])`
        return rows[0]?.at ?? 0
      })

      const recordedBook = Effect.fn("ConsistencyChecks.recordedBook")(function* (
        ticker: string,
        from: number,
        to: number
      ) {
        const [quality] = yield* sql<{ quality: string; is_one: boolean }>`
          select before.quality, before.snapshot_ts is not distinct from after.snapshot_ts and after.quality = 'exact' as is_one
          from book_quality_at(${ticker}, ${fromMillis(from)}::timestamptz) before,
            book_quality_at(${ticker}, ${fromMillis(to)}::timestamptz) after`
        if (quality?.quality !== "exact" || !quality.is_one) return undefined
        const levels = yield* sql<{ side: "yes" | "no"; price: Decimal; size: Decimal }>`
          select side, price_dollars as price, size from book_at(${ticker}, ${fromMillis(from)}::timestamptz)`
        const changes = yield* sql<BookChange>`
          select case when e.yes then 'yes' else 'no' end as side, e.price, e.delta
          from book_base(${ticker}, ${fromMillis(from)}::timestamptz) base
          join book_events e on e.market_id = base.market_id and e.connection = base.connection and e.seq > base.seq
          where e.ts > ${fromMillis(from)}::timestamptz and e.ts <= ${fromMillis(to)}::timestamptz
          order by e.seq`
        const of = (wanted: "yes" | "no") =>
          levels.flatMap(({ price, side, size }): ReadonlyArray<BookLevel> => (side === wanted ? [[price, size]] : []))
        return { yes: of("yes"), no: of("no"), changes }
      })

      const record = Effect.fn("ConsistencyChecks.record")(function* (outcomes: ReadonlyArray<CheckOutcome>) {
        if (outcomes.length === 0) return
        const rows = outcomes.map((outcome) => ({
          what: outcome.kind,
          market_ticker: outcome.ticker,
          from_ts: fromMillis(outcome.fromMillis),
          to_ts: fromMillis(outcome.toMillis),
          compared: outcome.compared,
          mismatched: outcome.mismatched,
          ambiguous: outcome.ambiguous,
          worst: outcome.worst,
          detail: outcome.detail
        }))
        yield* sql`
          insert into consistency_checks (what, market_ticker, from_ts, to_ts, compared, mismatched, ambiguous, worst, detail)
          select what, market_ticker, from_ts, to_ts, compared, mismatched, ambiguous, worst, detail
          from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r (
            what text, market_ticker text, from_ts timestamptz, to_ts timestamptz, compared integer, mismatched integer,
            ambiguous integer, worst numeric, detail jsonb)`
      })

      return ConsistencyChecks.of({ sampleHours, sampleBooks, compareCandles, storedUntilMillis, recordedBook, record })
    })
  )
}
