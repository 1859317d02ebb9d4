import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Decimal } from "../market/Decimal.ts"
import type { ImportedForecast, ImportedRun } from "../store/ImportedForecasts.ts"
import type { Fault } from "../store/ImportFaults.ts"
import type { OriginalForecast, OriginalRun } from "../store/OriginalRows.ts"
import * as Money from "./OriginalMoney.ts"
import { isPossible, type Judged } from "./OriginalTicks.ts"

const text = (value: string | null): string | undefined => (value === null || value === "" ? undefined : value)

/** Under this name forecasts stand beside ours, and are never taken for ours. */
const handlerOf = (agent: string | null): string => `imported:${text(agent) ?? "unknown"}`

const whole = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000_000 }))
const Counts = Schema.fromJsonString(
  Schema.Struct({ market_count: Schema.optional(whole), predictions: Schema.optional(whole) })
)
const decodeCounts = Schema.decodeUnknownOption(Counts)

const completed = "completed"

/** One attempt of the original to forecast an event. What did not come to its end has failed. */
export const judgeRun = (row: OriginalRun, nowMillis: number): Judged<ImportedRun> => {
  if (!isPossible(row.micros, nowMillis))
    return {
      row: undefined,
      faults: [{ kind: "impossible_stamp", repaired: false, detail: { ...row, id: String(row.id), micros: undefined } }]
    }
  const counts = Option.getOrUndefined(decodeCounts(row.metadata))
  const failure = row.status === completed ? undefined : (text(row.error) ?? `it was left as ${row.status}`)
  return {
    row: {
      id: row.id,
      micros: row.micros,
      eventTicker: text(row.event_ticker),
      handler: handlerOf(row.agent),
      agent: text(row.agent),
      model: text(row.model),
      prompt: text(row.prompt),
      outcome: failure !== undefined ? "failed" : counts?.predictions === 0 ? "empty" : "succeeded",
      failure,
      markets: counts?.market_count,
      forecasts: failure === undefined ? counts?.predictions : 0,
      metadata: row.metadata ?? undefined
    },
    faults: failure === undefined ? [] : [{ kind: "run_failed", repaired: false }]
  }
}

const probability = (stored: string | null): Decimal | undefined => {
  const value = Money.decimalOf(stored)
  return value !== undefined && Number(value) >= 0 && Number(value) <= 1 ? value : undefined
}

/**
 * Whether it is, or may be, the market's own price under another name: the baseline's, where the agent's handler could not be loaded;
 * or what the retrieval handler stored when the model failed, which leaves no confidence and no rationale of the model's.
 */
const isPrice = (row: OriginalForecast): boolean =>
  !(row.run_agent ?? "").startsWith("baseline:") &&
  (row.written_by === "baseline" ||
    (row.written_by === "retrieval" && row.confidence === null && row.rationale === "rag-retrieval"))

/** One forecast of the original for one market. */
export const judgeForecast = (row: OriginalForecast, nowMillis: number): Judged<ImportedForecast> => {
  const refused = (kind: Fault["kind"]): Judged<ImportedForecast> => ({
    row: undefined,
    faults: [
      {
        kind,
        repaired: false,
        detail: {
          ...row,
          id: String(row.id),
          run_id: row.run_id === null ? null : String(row.run_id),
          micros: undefined
        }
      }
    ]
  })
  if (!isPossible(row.micros, nowMillis)) return refused("impossible_stamp")
  const market = text(row.market_ticker)
  if (market === undefined || row.predicted_yes_prob === null) return refused("forecast_incomplete")
  const yesProb = probability(row.predicted_yes_prob)
  if (yesProb === undefined) return refused("impossible_number")
  if (row.run_status !== null && row.run_status !== completed) return refused("forecast_of_failed_run")
  const confidence = probability(row.confidence)
  const faults: Array<Fault> = []
  if (row.confidence !== null && confidence === undefined)
    faults.push({ kind: "impossible_number", repaired: false, detail: { confidence: row.confidence } })
  if (isPrice(row)) faults.push({ kind: "price_as_forecast", repaired: false })
  return {
    row: {
      id: row.id,
      runId: row.run_id ?? undefined,
      micros: row.micros,
      eventTicker: text(row.event_ticker),
      marketTicker: market,
      handler: handlerOf(row.run_agent),
      agent: text(row.run_agent),
      model: text(row.run_model),
      yesProb,
      confidence,
      rationale: text(row.rationale),
      raw: row.raw ?? undefined,
      isPrice: isPrice(row)
    },
    faults
  }
}
