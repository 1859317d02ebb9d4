import * as LanguageModel from "effect/ai/LanguageModel"
import { toCodecOpenAI } from "effect/ai/OpenAiStructuredOutput"
import type * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ModelCalls, type Prices } from "./ModelCalls.ts"
import { type Endpoint, malformed, refused, rejected } from "./ModelEndpoint.ts"

export interface OpenAiOptions {
  readonly endpoint: Endpoint
  readonly output: "json_schema" | "json_object" | "text"
  readonly temperature: number | undefined
  readonly maxTokens: number
  readonly seconds: number
  readonly prices: Prices
}

const Reply = Schema.Struct({
  choices: Schema.NonEmptyArray(
    Schema.Struct({
      message: Schema.Struct({
        content: Schema.optional(Schema.NullOr(Schema.String)),
        refusal: Schema.optional(Schema.NullOr(Schema.String))
      }),
      finish_reason: Schema.optional(Schema.NullOr(Schema.String))
    })
  )
})
const decodeReply = Schema.decodeUnknownOption(Reply)

const count = Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
const decodeUsage = Schema.decodeUnknownOption(
  Schema.Struct({ usage: Schema.Struct({ prompt_tokens: count, completion_tokens: count }) })
)

/** OpenAI's own servers and Azure name the limit of an answer by its new name, others by its old. */
const isOpenAi = (url: string) => /^https:\/\/([\w-]+\.)*(openai\.com|azure\.com)\//.test(url)

/** A language model at an API of the form of OpenAI's chat completions. */
export const layer = (options: OpenAiOptions) =>
  Layer.effect(
    LanguageModel.LanguageModel,
    Effect.gen(function* () {
      const calls = yield* ModelCalls
      return yield* LanguageModel.make({
        codecTransformer: toCodecOpenAI,
        generateText: Effect.fnUntraced(function* ({ prompt, responseFormat }) {
          const schema = responseFormat.type === "json" ? toCodecOpenAI(responseFormat.schema).jsonSchema : undefined
          const answer = yield* calls.call({
            endpoint: options.endpoint,
            seconds: options.seconds,
            prices: options.prices,
            mostOutput: options.maxTokens,
            tokensOf,
            body: {
              messages: messagesOf(prompt, options.output === "json_schema" ? undefined : schema),
              ...(isOpenAi(options.endpoint.url)
                ? { max_completion_tokens: options.maxTokens }
                : { max_tokens: options.maxTokens }),
              ...(options.temperature === undefined ? {} : { temperature: options.temperature }),
              ...(responseFormat.type === "json" && options.output !== "text"
                ? {
                    response_format:
                      options.output === "json_schema"
                        ? {
                            type: "json_schema",
                            json_schema: { name: responseFormat.objectName, strict: true, schema }
                          }
                        : { type: "json_object" }
                  }
                : {})
            }
          })
          const reply = decodeReply(answer)
          if (Option.isNone(reply)) return yield* malformed("the API's answer is not a chat completion")
          const { finish_reason, message } = reply.value.choices[0]
          if (typeof message.refusal === "string" && message.refusal !== "") return yield* refused("it says so")
          if (finish_reason === "content_filter") return yield* refused("content_filter")
          if (finish_reason === "length")
            return yield* rejected("the answer was longer than PREDICTION_LLM_MAX_TOKENS and was cut off")
          const text = message.content ?? ""
          if (text.trim() === "") return yield* malformed("the model's answer is empty")
          const tokens = tokensOf(answer)
          return [
            { type: "text" as const, text: withoutFence(text) },
            {
              type: "finish" as const,
              reason: "stop" as const,
              usage: { inputTokens: { total: tokens.input }, outputTokens: { total: tokens.output } }
            }
          ]
        }),
        streamText: () => Stream.fail(rejected("streaming is not supported"))
      })
    })
  )

const tokensOf = (answer: unknown) => {
  const usage = decodeUsage(answer)
  return Option.isNone(usage)
    ? { input: undefined, output: undefined }
    : { input: usage.value.usage.prompt_tokens, output: usage.value.usage.completion_tokens }
}

/** Servers that know no schemas are told it, and answer within a fence at times. */
const withoutFence = (text: string) => /^\s*```(?:json)?\s*([\s\S]*?)\s*```\s*$/.exec(text)?.[1] ?? text

const messagesOf = (prompt: Prompt.Prompt, schema: object | undefined) => [
  ...prompt.content.map((message) => ({
    role: message.role,
    content:
      typeof message.content === "string"
        ? message.content
        : message.content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("")
  })),
  ...(schema === undefined
    ? []
    : [
        {
          role: "system",
          content: `Answer with one JSON object of this JSON Schema and nothing else:\n${JSON.stringify(schema)}`
        }
      ])
]
