import * as AiError from "effect/ai/AiError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import { type DailyLimits, ForecastBudget } from "../store/ForecastBudget.ts"
import type { RunNotes } from "./Handler.ts"
import { type Endpoint, ModelHttp } from "./ModelEndpoint.ts"

/** The run whose calls the current fiber makes. */
export const CurrentNotes = Context.Reference<RunNotes | undefined>("kalshi-ingestor/prediction/CurrentNotes", {
  defaultValue: () => undefined
})

/** Dollars for a million tokens; absent when not known. */
export interface Prices {
  readonly input: number | undefined
  readonly output: number | undefined
}

export interface Tokens {
  readonly input: number | undefined
  readonly output: number | undefined
}

export interface CallOptions {
  readonly endpoint: Endpoint
  readonly body: object
  readonly seconds: number
  readonly prices: Prices
  /** The most tokens that the answer can have. */
  readonly mostOutput: number
  readonly tokensOf: (answer: unknown) => Tokens
}

/** Calls of models within the day's budget: each is entered before it is sent, and counted in the run that makes it. */
export class ModelCalls extends Context.Service<
  ModelCalls,
  {
    call(options: CallOptions): Effect.Effect<unknown, AiError.AiError>
    readonly hasRoom: Effect.Effect<boolean>
  }
>()("kalshi-ingestor/prediction/ModelCalls") {
  static readonly layerNoDeps = (limits: DailyLimits) =>
    Layer.effect(
      ModelCalls,
      Effect.gen(function* () {
        const budget = yield* ForecastBudget
        const http = yield* ModelHttp

        const call = Effect.fn("ModelCalls.call")(function* (options: CallOptions) {
          const most = dollars(options.prices, {
            input: Buffer.byteLength(JSON.stringify(options.body)),
            output: options.mostOutput
          })
          const reservation = yield* budget.reserve(limits, most ?? 0).pipe(
            Effect.catchTags({
              BudgetUsedUp: () => Effect.fail(failure(new AiError.QuotaExhaustedError({}))),
              SqlError: () =>
                Effect.fail(failure(new AiError.UnknownError({ description: "the database did not answer" })))
            })
          )
          const notes = yield* CurrentNotes
          if (notes !== undefined) notes.calls += 1
          const settle = (spent: number) => Effect.ignore(budget.settle(reservation, spent))
          const answer = yield* http.post(options.endpoint, options.body, options.seconds).pipe(
            // An answer that never came may have been paid for all the same: what was reserved stays.
            Effect.tapError(({ reason }) => (reason._tag === "NetworkError" ? Effect.void : settle(0)))
          )
          const tokens = options.tokensOf(answer)
          const spent = dollars(options.prices, tokens)
          yield* settle(spent ?? most ?? 0)
          if (notes !== undefined) {
            notes.inputTokens += tokens.input ?? 0
            notes.outputTokens += tokens.output ?? 0
            notes.costDollars =
              spent === undefined || notes.costDollars === undefined ? undefined : notes.costDollars + spent
          }
          return answer
        })

        return ModelCalls.of({
          call,
          hasRoom: budget.hasRoom(limits, 0).pipe(Effect.orElseSucceed(() => true))
        })
      })
    )

  static readonly layer = (limits: DailyLimits) =>
    this.layerNoDeps(limits).pipe(Layer.provide([ModelHttp.layer, ForecastBudget.layer]))
}

const failure = (reason: AiError.AiErrorReason) => AiError.make({ module: "ModelCalls", method: "call", reason })

const dollars = (prices: Prices, tokens: Tokens): number | undefined =>
  prices.input === undefined || prices.output === undefined || tokens.input === undefined || tokens.output === undefined
    ? undefined
    : (prices.input * tokens.input + prices.output * tokens.output) / 1_000_000

/** Sends again what failed in passing, at most `retries` times: after what the server asks for, or ever longer. */
export const persist =
  (retries: number) =>
  <A, R>(attempt: Effect.Effect<A, AiError.AiError, R>): Effect.Effect<A, AiError.AiError, R> => {
    const tried = (failures: number): Effect.Effect<A, AiError.AiError, R> =>
      Effect.catch(attempt, (error) =>
        failures >= retries || !error.isRetryable
          ? Effect.fail(error)
          : Effect.andThen(pause(failures, error.retryAfter), tried(failures + 1))
      )
    return tried(0)
  }

const pause = (failures: number, asked: Duration.Duration | undefined) =>
  Effect.flatMap(Random.next, (chance) =>
    Effect.sleep(
      Duration.seconds(
        Math.min(
          30,
          Math.max(asked === undefined ? 0 : Duration.toSeconds(asked), 0.5 * 2 ** failures * (0.5 + chance / 2))
        )
      )
    )
  )

/** What a failed call means, in words that hold no payload. */
export const describe = ({ reason }: AiError.AiError): string => {
  switch (reason._tag) {
    case "QuotaExhaustedError":
      return "the day's budget of model calls is used up"
    case "RateLimitError":
      return "the API limits the rate (429)"
    case "ContentPolicyError":
      return `the model refused: ${reason.description}`
    case "StructuredOutputError":
      return "the model's answer is not of the asked form"
    case "InvalidOutputError":
    case "InvalidRequestError":
    case "InternalProviderError":
    case "NetworkError":
    case "AuthenticationError":
    case "UnknownError":
      return reason.description ?? reason._tag
    default:
      return reason._tag
  }
}
