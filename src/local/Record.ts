import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** What the database holds now. `lagMillis`: socket to committed row of the newest tick, our clock. */
export interface RecordCounts {
  readonly events: number
  readonly markets: number
  readonly activeMarkets: number
  readonly settledMarkets: number
  readonly ticks: number
  readonly lifecycleEvents: number
  readonly gaps: number
  readonly openGaps: number
  readonly quarantined: number
  /** Forecasts of markets, and those of them whose market has settled. */
  readonly predictions: number
  readonly scored: number
}

/** Reads what was recorded, for people and for the final verdict. */
export class Record extends Context.Service<
  Record,
  {
    readonly counts: Effect.Effect<RecordCounts, SqlError>
    /** Jobs of the work queue that ended. */
    readonly jobs: Effect.Effect<{ readonly done: number; readonly failed: number }, SqlError>
    /** How often each (market, exchange millisecond) stands in the ticks: key `ticker<TAB>millis`. */
    readonly tickMultiset: Effect.Effect<ReadonlyMap<string, number>, SqlError>
  }
>()("kalshi-ingestor/local/Record") {
  static readonly layer = Layer.effect(
    Record,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const counts = sql<RecordCounts>`
        select
          (select count(*)::int from events) as "events",
          (select count(*)::int from markets) as "markets",
          (select count(*)::int from active_markets) as "activeMarkets",
          (select count(*)::int from markets where status in ('finalized', 'settled')) as "settledMarkets",
          (select count(*)::int from ticks) as "ticks",
          (select count(*)::int from lifecycle_events) as "lifecycleEvents",
          (select count(*)::int from capture_gaps) as "gaps",
          (select count(*)::int from capture_gaps where to_ts is null) as "openGaps",
          (select count(*)::int from quarantine) as "quarantined",
          (select count(*)::int from market_predictions) as "predictions",
          (select count(*)::int from prediction_scores) as "scored"`.pipe(Effect.map((rows) => rows[0]!))
      const tickMultiset = sql<{ key: string; n: number }>`
        select k.ticker || chr(9) || (extract(epoch from t.ts) * 1000)::bigint as key, count(*)::int as n
        from ticks t join market_keys k using (market_id) group by 1`.pipe(
        Effect.map((rows) => new Map(rows.map(({ key, n }) => [key, n])))
      )
      const jobs = sql<{ done: number; failed: number }>`
        select
          (count(*) filter (where status = 'done'))::int as done, (count(*) filter (where status = 'failed'))::int as failed
        from queue_finished`.pipe(Effect.map((rows) => rows[0]!))
      return Record.of({ counts, jobs, tickMultiset })
    })
  )
}
