import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { SettingError } from "../runtime/SettingError.ts"
import { RagDocuments } from "../store/RagDocuments.ts"
import { diffusion } from "./DiffusionHandler.ts"
import * as Embeddings from "./Embeddings.ts"
import { type Handler, Handlers } from "./Handler.ts"
import { languageModel } from "./LanguageModelHandler.ts"
import { marketMid } from "./MarketMid.ts"
import { ModelCalls } from "./ModelCalls.ts"
import { type EndpointSettings, endpoint } from "./ModelEndpoint.ts"
import * as OpenAiModel from "./OpenAiModel.ts"
import type { PredictionConfig } from "./PredictionConfig.ts"
import * as Prompt from "./Prompt.ts"
import { Retrieval } from "./Retrieval.ts"
import { userHandler } from "./UserHandler.ts"

type ModelSettings = Pick<
  PredictionConfig,
  | "modelName"
  | "azureDeployment"
  | "azureEndpoint"
  | "azureKey"
  | "azureVersion"
  | "url"
  | "apiKey"
  | "requestSeconds"
  | "retries"
  | "dailyCalls"
  | "dailyDollars"
  | "embeddingModel"
  | "embeddingUrl"
  | "embeddingKey"
  | "embeddingDeployment"
>

/** The instructions of PREDICTION_PROMPT_PATH, of PREDICTION_PROMPT, or our own. */
export const instructionsOf = Effect.fnUntraced(function* (config: Pick<PredictionConfig, "promptPath" | "prompt">) {
  if (config.promptPath === undefined) return config.prompt ?? Prompt.instructions
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(config.promptPath).pipe(
    Effect.mapError(
      () =>
        new SettingError({
          setting: "PREDICTION_PROMPT_PATH",
          problem: `${config.promptPath} cannot be read`,
          fix: "name a readable text file, or unset it"
        })
    )
  )
  if (text.trim() === "")
    return yield* new SettingError({
      setting: "PREDICTION_PROMPT_PATH",
      problem: `${config.promptPath} is empty`,
      fix: "write the instructions to the model into it, or unset it"
    })
  return text
})

const endpoints = (config: ModelSettings): EndpointSettings => ({
  url: config.url,
  apiKey: config.apiKey,
  azureEndpoint: config.azureEndpoint,
  azureKey: config.azureKey,
  azureVersion: config.azureVersion
})

export const layerCalls = (config: ModelSettings) =>
  ModelCalls.layer({ calls: config.dailyCalls, dollars: config.dailyDollars })

/** The endpoint of embeddings: the language model's, unless it has an address of its own. */
export const layerEmbeddings = (config: ModelSettings, model: string) => {
  const own: EndpointSettings =
    config.embeddingUrl === undefined
      ? endpoints(config)
      : {
          ...endpoints(config),
          url: config.embeddingUrl,
          apiKey: config.embeddingKey ?? config.apiKey,
          azureEndpoint: undefined
        }
  const deployment = own.azureEndpoint === undefined ? model : (config.embeddingDeployment ?? model)
  return Embeddings.layer({
    endpoint: endpoint(own, "embeddings", deployment),
    seconds: config.requestSeconds,
    retries: config.retries
  })
}

/** Search by embeddings when a model is set, else by words. */
export const layerRetrieval = (config: ModelSettings) =>
  (config.embeddingModel === undefined
    ? Retrieval.layerWords
    : Retrieval.layerVectors(config.embeddingModel).pipe(Layer.provide(layerEmbeddings(config, config.embeddingModel)))
  ).pipe(Layer.provide(RagDocuments.layer))

const llm = Effect.fnUntraced(function* (config: PredictionConfig, instructions: string) {
  const name = config.azureEndpoint === undefined ? config.modelName : (config.azureDeployment ?? config.modelName)
  if (name === undefined)
    return yield* new SettingError({
      setting: "PREDICTION_MODEL_NAME",
      problem: "is not set, but PREDICTION_HANDLER=llm needs a model",
      fix: "set it to the model's name"
    })
  if (config.azureEndpoint !== undefined && config.azureKey === undefined)
    return yield* new SettingError({
      setting: "AZURE_OPENAI_API_KEY",
      problem: "is not set, but AZURE_OPENAI_ENDPOINT is",
      fix: "set it to the resource's key"
    })
  const model = config.modelName ?? name
  return yield* languageModel({
    modelName: model,
    instructions,
    showQuotes: config.showQuotes,
    retries: config.retries,
    parameters: {
      temperature: config.temperature,
      max_tokens: config.maxTokens,
      output: config.output,
      show_quotes: config.showQuotes,
      context_docs: config.contextDocs,
      ranking: config.embeddingModel ?? "words"
    }
  }).pipe(
    Effect.provide(
      OpenAiModel.layer({
        endpoint: endpoint(endpoints(config), "chat/completions", name),
        output: config.output,
        temperature: config.temperature,
        maxTokens: config.maxTokens,
        seconds: config.requestSeconds,
        prices: { input: config.inputPrice, output: config.outputPrice }
      })
    )
  )
})

export const layer = (config: PredictionConfig) =>
  Layer.effect(
    Handlers,
    Effect.gen(function* () {
      const instructions = yield* instructionsOf(config)
      return yield* Effect.forEach(
        config.handlers,
        Effect.fnUntraced(function* (name) {
          if (name === marketMid.name) return marketMid
          if (name === diffusion.name) return diffusion
          const handler: Handler =
            name === "llm"
              ? yield* llm(config, instructions)
              : yield* userHandler({
                  reference: name,
                  model: config.modelName,
                  instructions,
                  seconds: config.timeoutSeconds
                })
          return handler
        })
      )
    })
  )
