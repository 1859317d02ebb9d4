import * as EmbeddingModel from "effect/ai/EmbeddingModel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ModelCalls, persist } from "./ModelCalls.ts"
import { type Endpoint, malformed } from "./ModelEndpoint.ts"

export interface EmbeddingOptions {
  readonly endpoint: Endpoint
  readonly seconds: number
  readonly retries: number
}

const decodeAnswer = Schema.decodeUnknownOption(
  Schema.Struct({
    data: Schema.Array(Schema.Struct({ index: Schema.Int, embedding: Schema.NonEmptyArray(Schema.Finite) })),
    usage: Schema.optional(Schema.Struct({ prompt_tokens: Schema.optional(Schema.Int) }))
  })
)

/** Embeddings of an API of the form of OpenAI's. An answer that leaves out a text, or mixes lengths, is no answer. */
export const layer = (options: EmbeddingOptions) =>
  Layer.effect(
    EmbeddingModel.EmbeddingModel,
    Effect.gen(function* () {
      const calls = yield* ModelCalls
      return yield* EmbeddingModel.make({
        embedMany: Effect.fnUntraced(function* ({ inputs }: EmbeddingModel.ProviderOptions) {
          const answer = yield* calls.call({
            endpoint: options.endpoint,
            body: { input: inputs, encoding_format: "float" },
            seconds: options.seconds,
            prices: { input: undefined, output: undefined },
            mostOutput: 0,
            tokensOf: () => ({ input: undefined, output: undefined })
          })
          const decoded = decodeAnswer(answer)
          if (Option.isNone(decoded)) return yield* malformed("the API's answer holds no embeddings")
          const results = inputs.map((_, at) => decoded.value.data.find(({ index }) => index === at)?.embedding)
          if (results.some((vector) => vector === undefined || vector.length !== results[0]?.length))
            return yield* malformed("the API's answer holds other embeddings than were asked for")
          return {
            results: results.flatMap((vector) => (vector === undefined ? [] : [[...vector]])),
            usage: { inputTokens: decoded.value.usage?.prompt_tokens }
          }
        }, persist(options.retries))
      })
    })
  )
