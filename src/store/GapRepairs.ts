import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"

/** A closed gap that is not healed. Instants are exchange time, epoch milliseconds. */
export interface OpenRepair {
  readonly gapId: number
  readonly feed: string
  readonly marketTicker: string | undefined
  readonly fromMillis: number
  readonly toMillis: number
  /** How often it was tried in vain. */
  readonly failures: number
}

/** A market that a gap concerns, and the part of the gap in which it was open. */
export interface GappedMarket {
  readonly ticker: string
  readonly seriesTicker: string | undefined
  readonly fromMillis: number
  readonly toMillis: number
  /** The exchange has none of it, in any tier. */
  readonly withoutCandles: boolean
}

interface GappedRow {
  readonly ticker: string
  readonly series_ticker: string | null
  readonly from_ts: Date
  readonly to_ts: Date
  readonly without_candles: boolean
}
const gapped = (row: GappedRow): GappedMarket => ({
  ticker: row.ticker,
  seriesTicker: row.series_ticker ?? undefined,
  fromMillis: row.from_ts.getTime(),
  toMillis: row.to_ts.getTime(),
  withoutCandles: row.without_candles
})

const withoutCandles = "coalesce(m.completion in ('vanished', 'without_candles'), false)"

/** Closed gaps of the ledger on their way to being healed. */
export class GapRepairs extends Context.Service<
  GapRepairs,
  {
    /** Gaps of these feeds that ended by `untilMillis` and are due to be tried, oldest first. */
    due(
      feeds: ReadonlyArray<string>,
      untilMillis: number,
      limit: number
    ): Effect.Effect<ReadonlyArray<OpenRepair>, SqlError>
    /** The markets that the catalog knows by now. */
    concerned(gapId: number): Effect.Effect<ReadonlyArray<GappedMarket>, SqlError>
    /** These markets, and the part of a span (all of time when it has no ends) in which each was open. */
    within(
      tickers: ReadonlyArray<string>,
      span: { readonly fromMillis: number | undefined; readonly toMillis: number | undefined }
    ): Effect.Effect<ReadonlyArray<GappedMarket>, SqlError>
    /** Degraded hours of markets that ended by `untilMillis`, drawn by lot: no gap names what the feed missed before it knew of a market. */
    degradedHours(untilMillis: number, limit: number): Effect.Effect<ReadonlyArray<GappedMarket>, SqlError>
    healed(gapId: number, by: string): Effect.Effect<void, SqlError>
    /** To be tried again after a while; the reason is kept. */
    postpone(
      gapId: number,
      why: { readonly problem: string; readonly failures: number; readonly seconds: number }
    ): Effect.Effect<void, SqlError>
    /** Closed gaps of these feeds that are not healed. */
    waiting(feeds: ReadonlyArray<string>): Effect.Effect<number, SqlError>
  }
>()("kalshi-ingestor/store/GapRepairs") {
  static readonly layer = Layer.effect(
    GapRepairs,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return GapRepairs.of({
        due: Effect.fn("GapRepairs.due")(function* (feeds, untilMillis, limit) {
          const rows = yield* sql<{
            id: bigint
            feed: string
            market_ticker: string | null
            from_ts: Date
            to_ts: Date
            failures: number
          }>`
            select g.id, g.feed, g.market_ticker, g.from_ts, g.to_ts, coalesce(r.failures, 0) as failures
            from capture_gaps g
            left join gap_repairs r on r.gap_id = g.id
            where g.to_ts is not null and g.repaired_at is null and g.feed = any (${feeds}::text[])
              and g.to_ts <= ${fromMillis(untilMillis)}::timestamptz and (r.next_at is null or r.next_at <= clock_timestamp())
            order by coalesce(r.failures, 0), g.id
            limit ${limit}`
          return rows.map((row) => ({
            gapId: Number(row.id),
            feed: row.feed,
            marketTicker: row.market_ticker ?? undefined,
            fromMillis: row.from_ts.getTime(),
            toMillis: row.to_ts.getTime(),
            failures: row.failures
          }))
        }),
        concerned: Effect.fn("GapRepairs.concerned")(function* (gapId) {
          const rows = yield* sql<GappedRow>`
            select m.ticker, e.series_ticker, greatest(m.open_time, g.from_ts) as from_ts, least(m.close_time, g.to_ts) as to_ts,
              ${sql.literal(withoutCandles)} as without_candles
            from capture_gaps g
            join markets m on m.open_time < g.to_ts and m.close_time > g.from_ts
            left join events e using (event_ticker)
            where g.id = ${gapId} and case
              when g.market_ticker is not null then m.ticker = g.market_ticker
              when g.slots is null then true
              else market_slot(
                case split_part(g.shard, '/', 1) when 'event' then coalesce(m.event_ticker, m.ticker) else m.ticker end,
                split_part(g.shard, '/', 2)::integer) = any (g.slots) end
            order by m.ticker`
          return rows.map(gapped)
        }),
        within: Effect.fn("GapRepairs.within")(function* (tickers, span) {
          const from = span.fromMillis === undefined ? "-infinity" : fromMillis(span.fromMillis)
          const to = span.toMillis === undefined ? "infinity" : fromMillis(span.toMillis)
          const rows = yield* sql<GappedRow>`
            select m.ticker, e.series_ticker, greatest(m.open_time, ${from}::timestamptz) as from_ts,
              least(m.close_time, ${to}::timestamptz) as to_ts, ${sql.literal(withoutCandles)} as without_candles
            from markets m
            left join events e using (event_ticker)
            where m.ticker = any (${tickers}::text[]) and m.open_time < ${to}::timestamptz and m.close_time > ${from}::timestamptz
            order by m.ticker`
          return rows.map(gapped)
        }),
        degradedHours: Effect.fn("GapRepairs.degradedHours")(function* (untilMillis, limit) {
          const rows = yield* sql<GappedRow>`
            select m.ticker, e.series_ticker, greatest(m.open_time, c.hour) as from_ts,
              least(m.close_time, c.hour + interval '1 hour') as to_ts, false as without_candles
            from market_coverage c
            join market_keys k using (market_id)
            join markets m on m.ticker = k.ticker and m.open_time < c.hour + interval '1 hour' and m.close_time > c.hour
            left join events e using (event_ticker)
            where c.state = 'degraded' and not ${sql.literal(withoutCandles)} and c.hour + interval '1 hour' <= ${fromMillis(untilMillis)}::timestamptz
            order by random()
            limit ${limit}`
          return rows.map(gapped)
        }),
        healed: Effect.fn("GapRepairs.healed")((gapId, by) =>
          sql`
            with done as (delete from gap_repairs where gap_id = ${gapId})
            update capture_gaps set repaired_by = ${by}, repaired_at = clock_timestamp()
            where id = ${gapId} and repaired_at is null`.pipe(Effect.asVoid)
        ),
        postpone: Effect.fn("GapRepairs.postpone")((gapId, { failures, problem, seconds }) =>
          sql`
            insert into gap_repairs (gap_id, failures, next_at, problem)
            select id, ${failures}::int, clock_timestamp() + ${seconds}::float8 * interval '1 second', ${problem}
            from capture_gaps where id = ${gapId}
            on conflict (gap_id) do update set
              failures = excluded.failures, next_at = excluded.next_at, problem = excluded.problem,
              updated_at = clock_timestamp()`.pipe(Effect.asVoid)
        ),
        waiting: Effect.fn("GapRepairs.waiting")((feeds) =>
          sql<{ n: number }>`
            select count(*)::int as n from capture_gaps
            where to_ts is not null and repaired_at is null and feed = any (${feeds}::text[])`.pipe(
            Effect.map((rows) => rows[0]!.n)
          )
        )
      })
    })
  )
}
