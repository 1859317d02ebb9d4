import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { CoverageHour, CoverageState } from "../market/Coverage.ts"
import { fromMillis } from "../market/Timestamp.ts"

/** The exchange's time, and how late after its opening a market may first be heard of and still count as recorded from its opening. */
export interface CoverageMoment {
  readonly nowMillis: number
  readonly graceMillis: number
}

/** Markets that were open in `[fromMillis, toMillis)`, epoch milliseconds; each filter that is given must hold. */
export interface CoverageQuery extends CoverageMoment {
  readonly seriesTicker: string | undefined
  readonly eventTicker: string | undefined
  readonly marketTicker: string | undefined
  readonly fromMillis: number
  readonly toMillis: number
}

interface HourRow {
  readonly ticker: string
  readonly event_ticker: string | null
  readonly series_ticker: string | null
  readonly hour: Date
  readonly state: CoverageState
  readonly open_ms: number
  readonly live_ms: number
  readonly healed_ms: number
  readonly candles: number
}

/** Markets of one computation: they and their hours fit in memory many times over, and the transaction stays short. */
const batch = 500

/** What is recorded of each market in each hour: kept in `market_coverage`, or computed for whoever asks. */
export class Coverage extends Context.Service<
  Coverage,
  {
    /**
     * Brings the table up to date with what happened since: hours that ended by `dueMillis`, gaps, candles, changed times. Returns how
     * many pieces of work were done. Doing it again, or from several processes, changes nothing.
     */
    refresh(moment: CoverageMoment & { readonly dueMillis: number }): Effect.Effect<number, SqlError>
    /** Computed from the rows as they are now, whatever the table says; by market, then hour. */
    hours(query: CoverageQuery): Effect.Effect<ReadonlyArray<CoverageHour>, SqlError>
    /** Whether the catalog knows a series, an event, a market. */
    isKnown(kind: "series" | "event" | "market", ticker: string): Effect.Effect<boolean, SqlError>
    /** Market-hours by state in the table since an instant. */
    countsSince(millis: number): Effect.Effect<ReadonlyMap<CoverageState, number>, SqlError>
  }
>()("kalshi-ingestor/store/Coverage") {
  static readonly layer = Layer.effect(
    Coverage,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const interval = (millis: number) => `${millis} milliseconds`

      const refresh = Effect.fn("Coverage.refresh")(function* ({
        dueMillis,
        graceMillis,
        nowMillis
      }: CoverageMoment & { readonly dueMillis: number }) {
        yield* sql`select coverage_plan(${fromMillis(dueMillis)}::timestamptz)`
        let total = 0
        while (true) {
          const rows = yield* sql<{ done: number }>`
            select coverage_compute(${fromMillis(nowMillis)}::timestamptz, ${interval(graceMillis)}::interval, ${batch}) as done`
          const { done } = rows[0]!
          total += done
          if (done < batch) return total
        }
      })

      const hoursOf = (tickers: ReadonlyArray<string>, query: CoverageQuery) =>
        sql<HourRow>`
          select h.ticker, m.event_ticker, e.series_ticker, h.hour, h.state, h.open_ms, h.live_ms, h.healed_ms, h.candles
          from coverage_hours(
            ${tickers}::text[], array_fill(${fromMillis(query.fromMillis)}::timestamptz, array[${tickers.length}::int]),
            array_fill(${fromMillis(query.toMillis)}::timestamptz, array[${tickers.length}::int]),
            ${fromMillis(query.nowMillis)}::timestamptz, ${interval(query.graceMillis)}::interval) h
          join markets m on m.ticker = h.ticker
          left join events e using (event_ticker)
          order by h.ticker, h.hour`

      const hours = Effect.fn("Coverage.hours")(function* (query: CoverageQuery) {
        const markets = yield* sql<{ ticker: string }>`
          select m.ticker
          from markets m left join events e using (event_ticker)
          where m.open_time < ${fromMillis(query.toMillis)}::timestamptz and m.close_time > ${fromMillis(query.fromMillis)}::timestamptz
            and (${query.seriesTicker ?? null}::text is null or e.series_ticker = ${query.seriesTicker ?? null}::text)
            and (${query.eventTicker ?? null}::text is null or m.event_ticker = ${query.eventTicker ?? null}::text)
            and (${query.marketTicker ?? null}::text is null or m.ticker = ${query.marketTicker ?? null}::text)
          order by m.ticker`
        const tickers = markets.map(({ ticker }) => ticker)
        const batches = Array.from({ length: Math.ceil(tickers.length / batch) }, (_, at) =>
          tickers.slice(at * batch, (at + 1) * batch)
        )
        const rows = yield* Effect.forEach(batches, (some) => hoursOf(some, query), { concurrency: 2 })
        return rows.flat().map(
          (row): CoverageHour => ({
            ticker: row.ticker,
            eventTicker: row.event_ticker ?? undefined,
            seriesTicker: row.series_ticker ?? undefined,
            hourMillis: row.hour.getTime(),
            state: row.state,
            openMillis: row.open_ms,
            liveMillis: row.live_ms,
            healedMillis: row.healed_ms,
            candles: row.candles
          })
        )
      })

      const isKnown = Effect.fnUntraced(function* (kind: "series" | "event" | "market", ticker: string) {
        const rows = yield* kind === "series"
          ? sql<{ known: boolean }>`
              select exists (select from series where ticker = ${ticker})
                or exists (select from events where series_ticker = ${ticker}) as known`
          : kind === "event"
            ? sql<{ known: boolean }>`select exists (select from events where event_ticker = ${ticker}) as known`
            : sql<{ known: boolean }>`select exists (select from markets where ticker = ${ticker}) as known`
        return rows[0]!.known
      })

      const countsSince = Effect.fnUntraced(function* (millis: number) {
        const rows = yield* sql<{ state: CoverageState; n: number }>`
          select state, count(*)::int as n from market_coverage where hour >= ${fromMillis(millis)}::timestamptz group by state`
        return new Map(rows.map(({ n, state }) => [state, n]))
      })

      return Coverage.of({ refresh, hours, isKnown, countsSince })
    })
  )
}
