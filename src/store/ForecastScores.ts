import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Band } from "../market/Calibration.ts"

/** Scored forecasts of a handler and horizon; the comparison is over those whose market had a price at the same instant. */
export interface Standing {
  readonly handler: string
  readonly model: string | null
  readonly horizon: string
  readonly scored: number
  readonly brier: number
  readonly logLoss: number
  readonly compared: number
  readonly comparedBrier: number | null
  readonly marketBrier: number | null
  readonly comparedLogLoss: number | null
  readonly marketLogLoss: number | null
  /** 1 is perfect, 0 as good as the market, below 0 worse. */
  readonly brierSkill: number | null
}

/** Whose probabilities; `market`: the market's own, at the instants of that handler's forecasts. */
export interface Bands {
  readonly handler: string
  readonly model: string | null
  readonly horizon: string
  readonly of: "handler" | "market"
  readonly bands: ReadonlyMap<number, Band>
}

export interface ScoreFilter {
  readonly handler?: string | undefined
  /** Only forecasts made from this instant on, RFC 3339. */
  readonly since?: string | undefined
}

/** A scored forecast; probabilities and outcome as exact text. */
export interface ScoredRow {
  readonly prediction_id: number
  readonly run_id: number | null
  readonly event_ticker: string | null
  readonly market_ticker: string
  readonly handler: string
  readonly model_name: string | null
  readonly agent_name: string | null
  readonly predicted_at: string
  readonly close_time: string | null
  readonly horizon: string
  readonly yes_prob: string
  readonly confidence: string | null
  readonly market_prob: string | null
  readonly outcome: string
  readonly brier: number
  readonly log_loss: number
  readonly market_brier: number | null
  readonly market_log_loss: number | null
}

/** How good forecasts were. */
export class ForecastScores extends Context.Service<
  ForecastScores,
  {
    /** Scores up to `limit` forecasts of markets that are final; with `again`, also corrects those whose value changed since. */
    score(limit: number, again: boolean): Effect.Effect<number, SqlError>
    leaderboard(filter: ScoreFilter): Effect.Effect<ReadonlyArray<Standing>, SqlError>
    /** Forecasts by bands of probability of width 0.01, for calibration curves. */
    bands(filter: ScoreFilter): Effect.Effect<ReadonlyArray<Bands>, SqlError>
    rows(filter: ScoreFilter): Stream.Stream<ScoredRow, SqlError>
  }
>()("kalshi-ingestor/store/ForecastScores") {
  static readonly bandWidth = 0.01

  static readonly layer = Layer.effect(
    ForecastScores,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const where = (filter: ScoreFilter) => sql`
        (${filter.handler ?? null}::text is null or handler = ${filter.handler ?? null}::text)
        and (${filter.since ?? null}::timestamptz is null or predicted_at >= ${filter.since ?? null}::timestamptz)`

      const score = Effect.fn("ForecastScores.score")((limit: number, again: boolean) =>
        sql<{ n: number }>`select score_forecasts(${limit}::int, ${again}) as n`.pipe(Effect.map((rows) => rows[0]!.n))
      )
      const leaderboard = Effect.fn("ForecastScores.leaderboard")(
        (filter: ScoreFilter) => sql<Standing>`
          select
            handler, model_name as model, horizon, count(*)::int as scored, avg(brier) as brier, avg(log_loss) as "logLoss",
            count(market_brier)::int as compared, avg(brier) filter (where market_brier is not null) as "comparedBrier",
            avg(market_brier) as "marketBrier", avg(log_loss) filter (where market_log_loss is not null) as "comparedLogLoss",
            avg(market_log_loss) as "marketLogLoss",
            1 - avg(brier) filter (where market_brier is not null) / nullif(avg(market_brier), 0) as "brierSkill"
          from forecast_scores where ${where(filter)}
          group by handler, model_name, horizon
          order by handler, model_name nulls first, min(close_time - predicted_at) nulls last, horizon`
      )
      const bands = Effect.fn("ForecastScores.bands")(function* (filter: ScoreFilter) {
        const rows = yield* sql<BandRow>`
          select
            handler, model_name as model, horizon, v.of, least(99, floor(v.prob * 100))::int as band, count(*)::int as scored,
            sum(v.prob)::float8 as probabilities, sum(outcome)::float8 as outcomes,
            sum((v.prob - outcome) * (v.prob - outcome))::float8 as squares
          from forecast_scores
          cross join lateral (values ('handler', yes_prob), ('market', market_prob)) as v (of, prob)
          where v.prob is not null and ${where(filter)}
          group by handler, model_name, horizon, v.of, band
          order by handler, model_name nulls first, horizon, v.of, band`
        const found = new Map<string, Omit<Bands, "bands"> & { readonly bands: Map<number, Band> }>()
        for (const { band, handler, horizon, model, of, ...sums } of rows) {
          const key = JSON.stringify([handler, model, horizon, of])
          const there = found.get(key) ?? { handler, model, horizon, of, bands: new Map<number, Band>() }
          there.bands.set(band, sums)
          found.set(key, there)
        }
        return [...found.values()]
      })
      const rows = (filter: ScoreFilter) =>
        sql<ScoredRow>`
          select
            prediction_id::float8 as prediction_id, run_id::float8 as run_id, event_ticker, market_ticker, handler, model_name, agent_name,
            rfc3339(predicted_at) as predicted_at, rfc3339(close_time) as close_time, horizon, yes_prob::text as yes_prob,
            confidence::text as confidence, market_prob::text as market_prob, outcome::text as outcome, brier, log_loss, market_brier,
            market_log_loss
          from forecast_scores where ${where(filter)} order by prediction_id`.stream
      return ForecastScores.of({ score, leaderboard, bands, rows })
    })
  )
}

interface BandRow extends Band {
  readonly handler: string
  readonly model: string | null
  readonly horizon: string
  readonly of: "handler" | "market"
  readonly band: number
}
