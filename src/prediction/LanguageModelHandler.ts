import * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { failed, type Handler, HandlerError } from "./Handler.ts"
import { CurrentNotes, describe, ModelCalls, persist } from "./ModelCalls.ts"
import { render } from "./Prompt.ts"

export interface LanguageModelOptions {
  readonly modelName: string
  readonly instructions: string
  readonly showQuotes: boolean
  readonly retries: number
  readonly parameters: Readonly<Record<string, unknown>>
}

const chance = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

/** The form of an answer about these markets. It is made of the tickers alone: nothing that a document says reaches it. */
export const answerOf = (first: string, rest: ReadonlyArray<string>) => {
  const ticker: Schema.Codec<string> = rest.length === 0 ? Schema.Literal(first) : Schema.Literals([first, ...rest])
  return Schema.Struct({
    forecasts: Schema.Array(
      Schema.Struct({
        market_ticker: ticker,
        yes_prob: chance,
        confidence: chance,
        rationale: Schema.String
      })
    )
  })
}

/** Asks a language model about all markets of the event at once. */
export const languageModel = Effect.fnUntraced(function* (options: LanguageModelOptions) {
  const model = yield* LanguageModel.LanguageModel
  const calls = yield* ModelCalls
  const handler: Handler = {
    name: "llm",
    model: options.modelName,
    ready: calls.hasRoom,
    predict: Effect.fn("llm.predict")(function* (request, notes) {
      const documents = yield* request.documents
      const prompt = render({
        instructions: options.instructions,
        at: request.at,
        event: request.event,
        markets: request.markets,
        documents,
        showQuotes: options.showQuotes
      })
      notes.parameters = options.parameters
      notes.prompt = prompt.kept
      notes.promptHash = prompt.hash
      notes.documents = documents.map(({ id }) => id)
      const [first, ...rest] = request.markets.map(({ ticker }) => ticker)
      if (first === undefined) return []
      const { value } = yield* model
        .generateObject({
          objectName: "forecasts",
          schema: answerOf(first, rest),
          prompt: [
            { role: "system", content: prompt.system },
            { role: "user", content: prompt.user }
          ]
        })
        .pipe(
          persist(options.retries),
          Effect.provideService(CurrentNotes, notes),
          Effect.mapError((error) =>
            error.reason._tag === "QuotaExhaustedError"
              ? new HandlerError({ problem: describe(error), kind: "budget" })
              : failed(describe(error))
          )
        )
      if (value.forecasts.length === 0) return yield* failed("the model forecast none of the markets")
      return value.forecasts.map(({ confidence, market_ticker, rationale, yes_prob }) => ({
        marketTicker: market_ticker,
        yesProb: yes_prob,
        confidence,
        rationale
      }))
    })
  }
  return handler
})
