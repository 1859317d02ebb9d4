import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Decimal } from "../market/Decimal.ts"
import { fromMicros } from "../market/Timestamp.ts"
import type { ImportRun } from "./ImportLedger.ts"

/** `id`, here and below: the row's in its source. */
export interface ImportedRun {
  readonly id: bigint
  readonly micros: number
  readonly eventTicker: string | undefined
  readonly handler: string
  readonly agent: string | undefined
  readonly model: string | undefined
  readonly prompt: string | undefined
  readonly outcome: "succeeded" | "empty" | "failed"
  readonly failure: string | undefined
  readonly markets: number | undefined
  readonly forecasts: number | undefined
  /** JSON text. */
  readonly metadata: string | undefined
}

export interface ImportedForecast {
  readonly id: bigint
  readonly runId: bigint | undefined
  readonly micros: number
  readonly eventTicker: string | undefined
  readonly marketTicker: string
  readonly handler: string
  readonly agent: string | undefined
  readonly model: string | undefined
  readonly yesProb: Decimal
  readonly confidence: Decimal | undefined
  readonly rationale: string | undefined
  /** JSON text. */
  readonly raw: string | undefined
  /** It is the market's own price under the name of a model: not scored. */
  readonly isPrice: boolean
}

/** A forecast that was new, by its place, and what is known of it only here. */
export interface StoredForecast {
  readonly at: number
  readonly runMissing: boolean
  readonly marketUnknown: boolean
  /** Made when its market had closed: not scored. */
  readonly afterClose: boolean
}

/** Runs and forecasts of the Python original on their way into ours. Writes join the caller's transaction. */
export class ImportedForecasts extends Context.Service<
  ImportedForecasts,
  {
    /** Succeeds with the ids of runs that were new, or have come to another end since. */
    saveRuns(source: ImportRun, rows: ReadonlyArray<ImportedRun>): Effect.Effect<ReadonlySet<bigint>, SqlError>
    insertForecasts(
      source: ImportRun,
      rows: ReadonlyArray<ImportedForecast>
    ): Effect.Effect<ReadonlyArray<StoredForecast>, SqlError>
  }
>()("kalshi-ingestor/store/ImportedForecasts") {
  static readonly layer = Layer.effect(
    ImportedForecasts,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient

      const saveRuns = Effect.fn("ImportedForecasts.saveRuns")(function* (
        source: ImportRun,
        rows: ReadonlyArray<ImportedRun>
      ) {
        if (rows.length === 0) return new Set<bigint>()
        const changed = yield* sql<{ id: bigint }>`
          insert into prediction_runs as t (
            imported_from, imported_id, run_ts, event_ticker, handler, agent_name, model_name, prompt, outcome, failure, markets, forecasts,
            metadata)
          select ${source.sourceId}, id, run_ts, event_ticker, handler, agent, model, prompt, outcome, failure, markets, forecasts,
            metadata::jsonb
          from jsonb_to_recordset(${JSON.stringify(rows.map(runRow))}::text::jsonb) as r (
            id bigint, run_ts timestamptz, event_ticker text, handler text, agent text, model text, prompt text, outcome text,
            failure text, markets integer, forecasts integer, metadata text)
          order by id
          on conflict (imported_from, imported_id) where imported_from is not null do update set
            outcome = excluded.outcome, failure = excluded.failure, markets = excluded.markets, forecasts = excluded.forecasts,
            metadata = excluded.metadata
          where (t.outcome, t.failure, t.metadata) is distinct from (excluded.outcome, excluded.failure, excluded.metadata)
          returning t.imported_id as id`
        return new Set(changed.map(({ id }) => id))
      })

      const insertForecasts = Effect.fn("ImportedForecasts.insertForecasts")(function* (
        source: ImportRun,
        rows: ReadonlyArray<ImportedForecast>
      ) {
        if (rows.length === 0) return []
        return yield* sql<StoredForecast>`
          with incoming as materialized (
            select i.*, r.id as our_run, m.ticker is null as unknown, m.event_ticker as known_event, m.close_time,
              coalesce(i.predicted_at >= m.close_time, false) as late
            from jsonb_to_recordset(${JSON.stringify(rows.map(forecastRow))}::text::jsonb) as i (
              at integer, id bigint, run_id bigint, predicted_at timestamptz, event_ticker text, market_ticker text, handler text,
              agent text, model text, yes_prob numeric, confidence numeric, rationale text, raw text, is_price boolean)
            left join prediction_runs r on r.imported_from = ${source.sourceId} and r.imported_id = i.run_id
            left join markets m on m.ticker = i.market_ticker
          ), stored as (
            insert into market_predictions (
              imported_from, imported_id, run_id, predicted_at, event_ticker, market_ticker, handler, agent_name, model_name, yes_prob,
              confidence, rationale, raw, close_time, scored, not_scored)
            select ${source.sourceId}, id, our_run, predicted_at, coalesce(event_ticker, known_event), market_ticker, handler, agent,
              model, yes_prob, confidence, rationale, raw::jsonb, close_time, is_price or late,
              case when is_price then 'price_as_forecast' when late then 'after_close' end
            from incoming order by at
            on conflict (imported_from, imported_id) where imported_from is not null do nothing
            returning imported_id
          )
          select i.at, i.our_run is null as "runMissing", i.unknown as "marketUnknown", i.late as "afterClose"
          from stored s join incoming i on i.id = s.imported_id
          order by i.at`
      })

      return ImportedForecasts.of({ saveRuns, insertForecasts })
    })
  )
}

const runRow = ({ eventTicker, id, micros, ...row }: ImportedRun) => ({
  ...row,
  id: String(id),
  run_ts: fromMicros(micros),
  event_ticker: eventTicker
})

const forecastRow = (row: ImportedForecast, at: number) => ({
  at,
  id: String(row.id),
  run_id: row.runId === undefined ? undefined : String(row.runId),
  predicted_at: fromMicros(row.micros),
  event_ticker: row.eventTicker,
  market_ticker: row.marketTicker,
  handler: row.handler,
  agent: row.agent,
  model: row.model,
  yes_prob: row.yesProb,
  confidence: row.confidence,
  rationale: row.rationale,
  raw: row.raw,
  is_price: row.isPrice
})
