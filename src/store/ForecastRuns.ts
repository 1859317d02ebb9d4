import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { ForecastMarket } from "./ForecastInputs.ts"
import { type Claim, ForecastSchedule } from "./ForecastSchedule.ts"
import { transaction } from "./Transaction.ts"

/** The lease ended and somebody else has the event: what was made is not stored. */
export class ClaimLost extends Schema.TaggedError<ClaimLost>()("ClaimLost", { eventTicker: Schema.String }) {}

/** One attempt to forecast an event. Instants are the exchange's clock, epoch milliseconds. */
export interface RunRow {
  readonly agentName: string
  readonly handler: string
  readonly modelName: string | undefined
  readonly predictor: string
  readonly at: number
  readonly finishedAt: number
  readonly durationMillis: number
  /** Absent when it went well. */
  readonly failure: string | undefined
  readonly prompt: string | undefined
  readonly promptHash: string | undefined
  readonly documents: ReadonlyArray<number>
  readonly parameters: Readonly<Record<string, unknown>>
  readonly markets: number
  readonly calls: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costDollars: number | undefined
}

export interface ForecastRow {
  readonly market: ForecastMarket
  readonly yesProb: number
  readonly confidence: number | undefined
  readonly rationale: string | undefined
  readonly raw: unknown
}

export type Outcome = "succeeded" | "empty" | "failed"

/** Runs and what they forecast. */
export class ForecastRuns extends Context.Service<
  ForecastRuns,
  {
    /**
     * Ends the claim and stores the run with its forecasts, all or nothing. Forecasts of markets that have closed meanwhile are left
     * out; a run of which nothing is left has failed. A failed run never has forecasts.
     */
    save(
      claim: Claim,
      nextDue: number,
      run: RunRow,
      forecasts: ReadonlyArray<ForecastRow>
    ): Effect.Effect<{ readonly outcome: Outcome; readonly stored: number }, ClaimLost | SqlError>
  }
>()("kalshi-ingestor/store/ForecastRuns") {
  static readonly layerNoDeps = Layer.effect(
    ForecastRuns,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const schedule = yield* ForecastSchedule

      const insertForecasts = (runId: bigint, claim: Claim, run: RunRow, forecasts: ReadonlyArray<ForecastRow>) =>
        sql`
          insert into market_predictions (
            run_id, event_ticker, market_ticker, predicted_at, yes_prob, confidence, rationale, raw, handler, model_name, agent_name,
            close_time, quote_ts, quote_received_at, quote_source, quote_yes_bid_dollars, quote_yes_ask_dollars, quote_price_dollars,
            quote_mid_dollars)
          select
            ${runId}, ${claim.eventTicker}, f.ticker, to_timestamp(${run.at}::float8 / 1000), round(f.prob, 12), f.confidence, f.rationale, f.raw,
            ${run.handler}, ${run.modelName ?? null}, ${run.agentName},
            f.close_time, f.quote_ts, f.received_at, f.source, f.bid, f.ask, f.price, f.mid
          from jsonb_to_recordset(${JSON.stringify(forecasts.map(toRow))}::text::jsonb) as f (
            ticker text, prob numeric, confidence numeric, rationale text, raw jsonb, close_time timestamptz, quote_ts timestamptz,
            received_at timestamptz, source text, bid numeric, ask numeric, price numeric, mid numeric)
          join markets m on m.ticker = f.ticker
          where m.close_time > to_timestamp(${run.finishedAt}::float8 / 1000)
          returning 1`.pipe(Effect.map((rows) => rows.length))

      const insertRun = (claim: Claim, run: RunRow, outcome: Outcome, forecasts: number) =>
        sql<{ id: bigint }>`
          insert into prediction_runs (
            agent_name, model_name, prompt, run_ts, event_ticker, handler, outcome, failure, prompt_hash, prompt_documents, parameters,
            markets, forecasts, model_calls, input_tokens, output_tokens, cost_dollars, duration_ms, predictor, fence)
          values (
            ${run.agentName}, ${run.modelName ?? null}, ${run.prompt ?? null}, to_timestamp(${run.at}::float8 / 1000), ${claim.eventTicker},
            ${run.handler}, ${outcome}, ${run.failure ?? null}, ${run.promptHash ?? null}, ${run.documents.map(BigInt)}::bigint[],
            ${JSON.stringify(run.parameters)}::text::jsonb, ${run.markets}, ${forecasts}, ${run.calls}, ${run.inputTokens},
            ${run.outputTokens}, ${run.costDollars?.toFixed(9) ?? null}::numeric, ${Math.round(run.durationMillis)}, ${run.predictor}, ${claim.fence})
          returning id`.pipe(Effect.map((rows) => rows[0]!.id))

      const save = Effect.fn("ForecastRuns.save")(function* (
        claim: Claim,
        nextDue: number,
        run: RunRow,
        forecasts: ReadonlyArray<ForecastRow>
      ) {
        const held = yield* schedule.finish(claim, nextDue, run.failure !== undefined)
        if (!held) return yield* new ClaimLost({ eventTicker: claim.eventTicker })
        if (run.failure !== undefined) {
          yield* insertRun(claim, run, "failed", 0)
          return { outcome: "failed" as Outcome, stored: 0 }
        }
        const outcome: Outcome = forecasts.length === 0 ? "empty" : "succeeded"
        const id = yield* insertRun(claim, run, outcome, forecasts.length)
        if (forecasts.length === 0) return { outcome, stored: 0 }
        const stored = yield* insertForecasts(id, claim, run, forecasts)
        if (stored === 0) {
          yield* sql`
            update prediction_runs set outcome = 'failed', failure = 'its markets had closed when it was done', forecasts = 0 where id = ${id}`
          return { outcome: "failed" as Outcome, stored }
        }
        if (stored < forecasts.length) yield* sql`update prediction_runs set forecasts = ${stored} where id = ${id}`
        return { outcome, stored }
      }, transaction(sql))

      return ForecastRuns.of({ save })
    })
  )

  static readonly layer = this.layerNoDeps.pipe(Layer.provideMerge(ForecastSchedule.layer))
}

const toRow = ({ confidence, market, rationale, raw, yesProb }: ForecastRow) => ({
  ticker: market.ticker,
  prob: yesProb,
  confidence,
  rationale,
  raw,
  close_time: market.closeTime,
  quote_ts: market.quote?.ts,
  received_at: market.quote?.receivedAt,
  source: market.quote?.source,
  bid: market.quote?.yesBid,
  ask: market.quote?.yesAsk,
  price: market.quote?.price,
  mid: market.quote?.mid
})
