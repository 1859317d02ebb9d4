import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"
import { transaction } from "./Transaction.ts"

/** Where a market stands: trading or paused; past its close; final. */
export type MarketStage = "open" | "closed" | "settled"

/** A market of whose record something may still come. Instants are exchange time, epoch milliseconds. */
export interface IncompleteMarket {
  readonly ticker: string
  readonly seriesTicker: string | undefined
  readonly strikePeriod: string
  readonly stage: MarketStage
  readonly openMillis: number | undefined
  readonly closeMillis: number
  /** Its result or settlement is not known yet, or not all of it. */
  readonly lacksOutcome: boolean
}

export interface IncompleteQuery {
  readonly strikePeriods: ReadonlyArray<string>
  readonly stages: ReadonlyArray<MarketStage>
  readonly includeMultivariate: boolean
  /** Only those that closed before. */
  readonly closedBeforeMillis?: number
  /** Also those that the exchange did not know when it was last asked. */
  readonly includeMissing: boolean
  /** The last one of the page before. */
  readonly after?: Pick<IncompleteMarket, "closeMillis" | "ticker"> | undefined
  readonly limit: number
}

/** The end of a market that is missing: the exchange does not know it, or has no candles of it. */
export type MissingEnd = "vanished" | "without_candles"

/** How long the exchange must not know a market before that is final; a provisional one may be deleted at once. */
const patience = "1 day"

/**
 * The worklist of markets whose record is not complete. What it costs does not depend on how many markets are complete. A market
 * leaves it for good, as settled, void, vanished or without candles; what the exchange shows again comes back.
 */
export class MarketCompletion extends Context.Service<
  MarketCompletion,
  {
    /** A page of the worklist, those that closed first first. */
    page(query: IncompleteQuery): Effect.Effect<ReadonlyArray<IncompleteMarket>, SqlError>
    /** These markets, complete or not; those that are not known, or have no time to close, are left out. */
    named(tickers: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<IncompleteMarket>, SqlError>
    /** Those of these markets that are final leave the worklist, as settled or void; returns how many of each. */
    complete(
      tickers: ReadonlyArray<string>
    ): Effect.Effect<{ readonly settled: number; readonly void: number }, SqlError>
    /** The exchange does not know these markets, or their candles, now; returns how many left the worklist for it. */
    missing(tickers: ReadonlyArray<string>, end: MissingEnd, nowMillis: number): Effect.Effect<number, SqlError>
    /** The exchange shows these markets: those of them that had vanished are back on the worklist. */
    seen(tickers: ReadonlyArray<string>): Effect.Effect<void, SqlError>
    /** Forgets what was checked of the markets that closed after an instant, or have not closed; returns how many markets. */
    startAnew(closedAfterMillis: number): Effect.Effect<number, SqlError>
  }
>()("kalshi-ingestor/store/MarketCompletion") {
  static readonly layer = Layer.effect(
    MarketCompletion,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient

      const page = Effect.fn("MarketCompletion.page")(function* (query: IncompleteQuery) {
        const rows = yield* sql<MarketRow>`
          select m.ticker, e.series_ticker, e.strike_period, market_stage(m.status) as stage, m.open_time, m.close_time,
            m.result is null or m.settlement_value_dollars is null or m.settlement_ts is null as lacks_outcome
          from markets m
          join events e using (event_ticker)
          where m.completion is null
            and m.close_time is not null
            and e.strike_period = any (${query.strikePeriods}::text[])
            and market_stage(m.status) = any (${query.stages}::text[])
            and (${query.includeMultivariate}::boolean or m.is_multivariate is not true)
            and (${query.includeMissing}::boolean or m.missing_since is null)
            and (
              ${query.closedBeforeMillis === undefined ? null : fromMillis(query.closedBeforeMillis)}::timestamptz is null
              or m.close_time < ${query.closedBeforeMillis === undefined ? null : fromMillis(query.closedBeforeMillis)}::timestamptz
            )
            and (m.close_time, m.ticker) > (
              ${query.after === undefined ? "-infinity" : fromMillis(query.after.closeMillis)}::timestamptz,
              ${query.after?.ticker ?? ""}
            )
          order by m.close_time, m.ticker
          limit ${query.limit}`
        return rows.map(marketOf)
      })

      const named = Effect.fn("MarketCompletion.named")((tickers: ReadonlyArray<string>) =>
        sql<MarketRow>`
          select m.ticker, e.series_ticker, e.strike_period, market_stage(m.status) as stage, m.open_time, m.close_time,
            m.result is null or m.settlement_value_dollars is null or m.settlement_ts is null as lacks_outcome
          from markets m
          join events e using (event_ticker)
          where m.ticker = any (${tickers}::text[]) and m.close_time is not null and e.strike_period is not null
            and market_stage(m.status) is not null
          order by m.close_time, m.ticker`.pipe(Effect.map((rows) => rows.map(marketOf)))
      )

      const complete = Effect.fn("MarketCompletion.complete")(function* (tickers: ReadonlyArray<string>) {
        const rows = yield* sql<{ completion: "settled" | "void"; markets: number }>`
          with done as (
            update markets set
              completion = case when result in ('yes', 'no') then 'settled' else 'void' end,
              completed_at = clock_timestamp(),
              missing_since = null
            where ticker = any (${tickers}::text[]) and completion is null and market_stage(status) = 'settled'
            returning completion
          )
          select completion, count(*)::int as markets from done group by 1`
        const count = (kind: "settled" | "void") => rows.find(({ completion }) => completion === kind)?.markets ?? 0
        return { settled: count("settled"), void: count("void") }
      })

      const missing = Effect.fn("MarketCompletion.missing")(function* (
        tickers: ReadonlyArray<string>,
        end: MissingEnd,
        nowMillis: number
      ) {
        const now = fromMillis(nowMillis)
        const rows = yield* sql<{ ended: number }>`
          with due as (
            select ticker,
              is_provisional is true and ${end === "vanished"}::boolean
                or missing_since <= ${now}::timestamptz - ${patience}::interval as is_final
            from markets where ticker = any (${tickers}::text[]) and completion is null
          ), marked as (
            update markets m set
              missing_since = coalesce(m.missing_since, ${now}::timestamptz),
              completion = case when due.is_final then ${end}::text end,
              completed_at = case when due.is_final then clock_timestamp() end
            from due
            where m.ticker = due.ticker and (due.is_final or m.missing_since is null)
            returning m.completion
          )
          select count(completion)::int as ended from marked`
        return rows[0]!.ended
      })

      const seen = Effect.fn("MarketCompletion.seen")((tickers: ReadonlyArray<string>) =>
        sql`
          update markets set missing_since = null, completion = null, completed_at = null
          where ticker = any (${tickers}::text[]) and completion = 'vanished'`.pipe(Effect.asVoid)
      )

      const startAnew = Effect.fn("MarketCompletion.startAnew")((closedAfterMillis: number) =>
        transaction(sql)(
          Effect.gen(function* () {
            yield* sql`
                delete from candle_ranges c using markets m
                where m.ticker = c.market_ticker and m.close_time > ${fromMillis(closedAfterMillis)}::timestamptz
                  and m.completion is distinct from 'vanished'`
            const rows = yield* sql<{ markets: number }>`
                with again as (
                  update markets set completion = null, completed_at = null, missing_since = null
                  where close_time > ${fromMillis(closedAfterMillis)}::timestamptz and completion is not null and completion <> 'vanished'
                  returning 1
                )
                select count(*)::int as markets from again`
            return rows[0]!.markets
          })
        )
      )

      return MarketCompletion.of({ page, named, complete, missing, seen, startAnew })
    })
  )
}

interface MarketRow {
  readonly ticker: string
  readonly series_ticker: string | null
  readonly strike_period: string
  readonly stage: MarketStage
  readonly open_time: Date | null
  readonly close_time: Date
  readonly lacks_outcome: boolean
}

const marketOf = (row: MarketRow): IncompleteMarket => ({
  ticker: row.ticker,
  seriesTicker: row.series_ticker ?? undefined,
  strikePeriod: row.strike_period,
  stage: row.stage,
  openMillis: row.open_time?.getTime(),
  closeMillis: row.close_time.getTime(),
  lacksOutcome: row.lacks_outcome
})
