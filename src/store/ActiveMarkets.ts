import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"

/** Some of the slots that markets are divided into by a hash of their event's or their own ticker. */
export interface MarketShare {
  readonly key: "event" | "market"
  readonly slotCount: number
  readonly slots: ReadonlyArray<number>
}

export interface ActiveMarket {
  readonly ticker: string
  readonly seriesTicker: string | undefined
}

/** The markets that trade now: open or paused, of a wanted strike period. Instants are exchange time, epoch ms. */
export class ActiveMarkets extends Context.Service<
  ActiveMarkets,
  {
    /** Brings the set in line with the catalog; returns how many rows changed. */
    refresh(strikePeriods: ReadonlyArray<string>, nowMillis: number): Effect.Effect<number, SqlError>
    /** Opens and closes what is due; returns how many markets changed. */
    advanceClock(nowMillis: number): Effect.Effect<number, SqlError>
    /** Removes those that closed before an instant, whatever the catalog says of them; returns how many. */
    prune(closedBeforeMillis: number): Effect.Effect<number, SqlError>
    /** The next instant at which a known market opens or closes. */
    nextTransition(nowMillis: number): Effect.Effect<number | undefined, SqlError>
    /** Nearest to closing first. */
    readonly tickers: Effect.Effect<ReadonlyArray<string>, SqlError>
    /** The slot of each market that the catalog knows, active or not. */
    slotsOf(
      tickers: Iterable<string>,
      division: Omit<MarketShare, "slots">
    ): Effect.Effect<ReadonlyMap<string, number>, SqlError>
    /** Those of a share, nearest to closing first. */
    of(share: MarketShare): Effect.Effect<ReadonlyArray<ActiveMarket>, SqlError>
  }
>()("kalshi-ingestor/store/ActiveMarkets") {
  static readonly layer = Layer.effect(
    ActiveMarkets,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return ActiveMarkets.of({
        refresh: Effect.fn("ActiveMarkets.refresh")((strikePeriods, nowMillis) =>
          sql<{ changed: number }>`
            select refresh_active_markets(${strikePeriods}::text[], ${fromMillis(nowMillis)}::timestamptz) as changed`.pipe(
            Effect.map((rows) => rows[0]?.changed ?? 0)
          )
        ),
        advanceClock: Effect.fn("ActiveMarkets.advanceClock")((nowMillis) =>
          sql<{ changed: number }>`select advance_market_clock(${fromMillis(nowMillis)}::timestamptz) as changed`.pipe(
            Effect.map((rows) => rows[0]?.changed ?? 0)
          )
        ),
        prune: Effect.fn("ActiveMarkets.prune")((closedBeforeMillis) =>
          sql<{ pruned: number }>`
            with gone as (
              delete from active_markets where close_time < ${fromMillis(closedBeforeMillis)}::timestamptz returning 1
            ), told as (
              select pg_notify('markets_changed', json_build_object('changed', count(*))::text) from gone having count(*) > 0
            )
            select (select count(*) from gone)::int as pruned, (select count(*) from told) as told`.pipe(
            Effect.map((rows) => rows[0]?.pruned ?? 0)
          )
        ),
        nextTransition: Effect.fn("ActiveMarkets.nextTransition")((nowMillis) =>
          sql<{ next: Date | null }>`
            select least(
              (select min(open_time) from markets where status = 'initialized' and open_time > ${fromMillis(nowMillis)}::timestamptz),
              (select min(close_time) from markets
               where status in ('initialized', 'active', 'inactive') and close_time > ${fromMillis(nowMillis)}::timestamptz)
            ) as next`.pipe(Effect.map((rows) => rows[0]?.next?.getTime()))
        ),
        tickers: sql<{ ticker: string }>`select ticker from active_markets order by close_time, ticker`.pipe(
          Effect.map((rows) => rows.map((row) => row.ticker))
        ),
        slotsOf: Effect.fn("ActiveMarkets.slotsOf")((tickers, { key, slotCount }) =>
          sql<{ ticker: string; slot: number }>`
            select ticker, market_slot(case ${key} when 'event' then coalesce(event_ticker, ticker) else ticker end, ${slotCount})
              as slot
            from markets where ticker = any (${[...tickers]}::text[])`.pipe(
            Effect.map((rows) => new Map(rows.map(({ slot, ticker }) => [ticker, slot])))
          )
        ),
        of: Effect.fn("ActiveMarkets.of")(({ key, slotCount, slots }) =>
          sql<{ ticker: string; series_ticker: string | null }>`
            select a.ticker, e.series_ticker
            from active_markets a
            left join events e using (event_ticker)
            where ${slots.length === slotCount}
              or market_slot(case ${key} when 'event' then coalesce(a.event_ticker, a.ticker) else a.ticker end, ${slotCount})
                = any (${slots}::int[])
            order by a.close_time, a.ticker`.pipe(
            Effect.map((rows) =>
              rows.map((row) => ({ ticker: row.ticker, seriesTicker: row.series_ticker ?? undefined }))
            )
          )
        )
      })
    })
  )
}
