import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { CoverageState } from "../market/Coverage.ts"

/** Hours of markets of one series in one UTC day, in one state. */
export interface CoverageDay {
  readonly day: string
  readonly seriesTicker: string
  readonly state: CoverageState
  readonly hours: number
  readonly markets: number
}

/** One market in one hour; `hour` is 0 to 23 of the UTC day. */
export interface CoverageCell {
  readonly ticker: string
  readonly eventTicker: string
  readonly name: string
  readonly hour: number
  readonly state: CoverageState
  readonly openSeconds: number
  readonly liveSeconds: number
}

const cellsAtMost = 20_000

/** What the coverage loop keeps, as heatmaps show it. */
export class CoverageReads extends Context.Service<
  CoverageReads,
  {
    /** Of UTC days, both inclusive, `yyyy-mm-dd`. */
    readonly days: (fromDay: string, toDay: string) => Effect.Effect<ReadonlyArray<CoverageDay>, SqlError>
    /** Of one series and UTC day, by event and market; at most 20,000. */
    readonly hours: (seriesTicker: string, day: string) => Effect.Effect<ReadonlyArray<CoverageCell>, SqlError>
  }
>()("kalshi-ingestor/store/CoverageReads") {
  static readonly layer = Layer.effect(
    CoverageReads,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return CoverageReads.of({
        days: Effect.fn("CoverageReads.days")(
          (fromDay: string, toDay: string) => sql<CoverageDay>`
            select day::text as day, series_ticker as "seriesTicker", state, hours, markets
            from coverage_days where day >= ${fromDay}::date and day <= ${toDay}::date order by series_ticker, day, state`
        ),
        hours: Effect.fn("CoverageReads.hours")(
          (seriesTicker: string, day: string) => sql<CoverageCell>`
            with due as (select ${day}::date::timestamp at time zone 'UTC' as starts)
            select m.ticker, m.event_ticker as "eventTicker", coalesce(m.yes_sub_title, m.title, m.ticker) as name,
              extract(hour from h.hour at time zone 'UTC')::int as hour, h.state,
              (h.open_ms / 1000.0)::float8 as "openSeconds", (h.live_ms / 1000.0)::float8 as "liveSeconds"
            from due
            join event_cards c on coverage_span(c.open_time, c.close_time) && tstzrange(due.starts, due.starts + interval '1 day')
              and c.series_ticker = ${seriesTicker}
            join markets m on m.event_ticker = c.event_ticker
            join market_keys k on k.ticker = m.ticker
            join market_coverage h on h.market_id = k.market_id and h.hour >= due.starts and h.hour < due.starts + interval '1 day'
            order by c.close_time, c.event_ticker, coalesce(m.floor_strike, m.cap_strike), m.ticker, h.hour limit ${cellsAtMost}`
        )
      })
    })
  )
}
