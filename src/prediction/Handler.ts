import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ForecastEvent, ForecastMarket, Sample } from "../store/ForecastInputs.ts"
import type { Piece } from "../store/RagDocuments.ts"
import type { Forecast } from "./Forecast.ts"

/** Why a handler made no forecast. The text is kept with the run: no secret, no payload. */
export class HandlerError extends Schema.TaggedError<HandlerError>()("HandlerError", {
  problem: Schema.String,
  /** `budget`: nothing is wrong, the day's calls are used up. */
  kind: Schema.Literals(["failed", "budget"])
}) {
  override get message(): string {
    return this.problem
  }
}

export const failed = (problem: string) => new HandlerError({ problem, kind: "failed" })

/** What a handler is given. `at`: the instant, epoch milliseconds of the exchange's clock. */
export interface ForecastRequest {
  readonly at: number
  readonly event: ForecastEvent
  readonly markets: ReadonlyArray<ForecastMarket>
  /** Read when it is asked for. */
  readonly documents: Effect.Effect<ReadonlyArray<Piece>, HandlerError>
  readonly history: (tickers: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Sample>, HandlerError>
}

/** What the record of a run says of how it was made, whether it goes well or not. */
export interface RunNotes {
  prompt: string | undefined
  promptHash: string | undefined
  documents: ReadonlyArray<number>
  parameters: Readonly<Record<string, unknown>>
  calls: number
  inputTokens: number
  outputTokens: number
  /** `undefined` while or once a price is not known. */
  costDollars: number | undefined
}

export const emptyNotes = (): RunNotes => ({
  prompt: undefined,
  promptHash: undefined,
  documents: [],
  parameters: {},
  calls: 0,
  inputTokens: 0,
  outputTokens: 0,
  costDollars: 0
})

/** Forecasts the markets of one event. Markets it says nothing about are left out; it writes how it went into `notes`. */
export interface Handler {
  readonly name: string
  /** The model that answers, where there is one. */
  readonly model: string | undefined
  /** Whether it may be asked now; false while the day's budget is used up. */
  readonly ready: Effect.Effect<boolean>
  readonly predict: (request: ForecastRequest, notes: RunNotes) => Effect.Effect<ReadonlyArray<Forecast>, HandlerError>
}

/** The handlers of this process, in the order of PREDICTION_HANDLER. */
export class Handlers extends Context.Service<Handlers, ReadonlyArray<Handler>>()(
  "kalshi-ingestor/prediction/Handlers"
) {}
