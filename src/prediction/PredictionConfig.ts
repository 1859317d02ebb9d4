import * as Effect from "effect/Effect"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"

const minutes = { min: 0.01, max: 100_000 }

/** When forecasts are made, by whom, and what they may take. Minutes and seconds of the schedule are the exchange's. */
export const schedule = {
  enable: Setting.boolean("PREDICTION_ENABLE", "1 turns forecasts on", false, { aliases: ["PREDICTIONS_ENABLE"] }),
  pollSeconds: Setting.number("PREDICTION_POLL_SECONDS", "seconds between looks for events that are due", 60, {
    min: 0.1,
    max: 86_400
  }),
  hourMinutes: Setting.number(
    "PREDICTION_INTERVAL_HOUR_MINUTES",
    "minutes between forecasts of an hourly event",
    10,
    minutes
  ),
  dayMinutes: Setting.number(
    "PREDICTION_INTERVAL_DAY_MINUTES",
    "minutes between forecasts of a daily event",
    30,
    minutes
  ),
  otherMinutes: Setting.number(
    "PREDICTION_INTERVAL_DEFAULT_MINUTES",
    "minutes between forecasts of an event of another strike period",
    30,
    minutes
  ),
  periods: Setting.list("PREDICTION_STRIKE_PERIODS", "strike periods of the events that are forecast", ["hour", "day"]),
  maxEvents: Setting.int("PREDICTION_MAX_EVENTS", "most events one predictor works on at the same time", 25, {
    min: 1,
    max: 1000
  }),
  concurrency: Setting.int(
    "PREDICTION_CONCURRENCY",
    "most forecasts one predictor makes at the same time",
    5,
    { min: 1, max: 1000 },
    { aliases: ["RAG_LLM_CONCURRENCY"] }
  ),
  maxMarkets: Setting.int(
    "PREDICTION_MAX_MARKETS",
    "most markets of one event that are forecast; those whose price is nearest to one half go first",
    200,
    { min: 1, max: 10_000 }
  ),
  timeoutSeconds: Setting.number(
    "PREDICTION_TIMEOUT_SECONDS",
    "a forecast of one event that takes longer has failed, seconds",
    180,
    { min: 0.1, max: 3600 }
  ),
  failureThreshold: Setting.int(
    "PREDICTION_FAILURE_THRESHOLD",
    "a handler that fails this often in a row rests for PREDICTION_CIRCUIT_BREAKER_SECONDS",
    3,
    { min: 1, max: 1000 },
    { aliases: ["RAG_FAILURE_THRESHOLD"] }
  ),
  restSeconds: Setting.number(
    "PREDICTION_CIRCUIT_BREAKER_SECONDS",
    "how long a handler that keeps failing rests, seconds",
    120,
    { min: 0.1, max: 86_400 },
    { aliases: ["RAG_CIRCUIT_BREAKER_SECONDS"] }
  )
}

/** Who makes the forecasts. */
export const handlers = {
  handlers: Setting.list(
    "PREDICTION_HANDLER",
    "who forecasts, one or several: baseline:market_mid, statistical:diffusion, llm, or a function of yours like ./my-handler.js#predictEvent",
    ["baseline:market_mid"]
  ),
  agentName: Setting.text(
    "PREDICTION_AGENT_NAME",
    "name of the agent in prediction_runs; unset: the handler's name. Predictors of one name share the work"
  ),
  promptPath: Setting.text("PREDICTION_PROMPT_PATH", "file with the instructions to the model; unset: built in"),
  prompt: Setting.text("PREDICTION_PROMPT", "the instructions themselves, where no file is named"),
  showQuotes: Setting.boolean(
    "PREDICTION_SHOW_QUOTES",
    "0 hides the market's own prices from the language model",
    true,
    { aliases: ["RAG_USE_BASELINE"] }
  ),
  contextDocs: Setting.int(
    "PREDICTION_CONTEXT_DOCS",
    "most pieces of documents a forecast is given",
    20,
    { min: 0, max: 1000 },
    { aliases: ["RAG_TOP_K"] }
  )
}

const optionalSecret = (name: string, doc: string, aliases: ReadonlyArray<string>) => ({
  ...Setting.secret(name, doc),
  aliases
})

/** The language model, at any endpoint that speaks OpenAI's chat completions, or at Azure OpenAI. */
export const model = {
  modelName: Setting.text("PREDICTION_MODEL_NAME", "the language model of the handler llm; with Azure, its deployment"),
  url: Setting.url(
    "PREDICTION_LLM_URL",
    "base address of an OpenAI-compatible API, up to /v1",
    "https://api.openai.com/v1",
    ["https", "http"]
  ),
  apiKey: optionalSecret("PREDICTION_LLM_API_KEY", "key of that API; local servers need none", ["OPENAI_API_KEY"]),
  output: Setting.oneOf(
    "PREDICTION_LLM_OUTPUT",
    "how the model is held to the form of the answer: json_schema, or json_object or text for servers that know no schemas",
    ["json_schema", "json_object", "text"],
    "json_schema"
  ),
  temperature: Setting.numberOption("PREDICTION_LLM_TEMPERATURE", "temperature; unset: the model's own", 0.2, {
    min: 0,
    max: 2
  }),
  maxTokens: Setting.int("PREDICTION_LLM_MAX_TOKENS", "most tokens of one answer", 8000, { min: 16, max: 1_000_000 }),
  requestSeconds: Setting.number("PREDICTION_LLM_TIMEOUT_SECONDS", "longest wait for one answer, seconds", 60, {
    min: 0.05,
    max: 3600
  }),
  retries: Setting.int(
    "PREDICTION_LLM_RETRIES",
    "how often a request that failed in passing, or whose answer has the wrong form, is sent again",
    2,
    { min: 0, max: 20 }
  ),
  dailyCalls: Setting.int(
    "PREDICTION_DAILY_CALLS",
    "most requests to models a day (UTC), of all predictors together, repeated ones included",
    50_000,
    { min: 0, max: 1_000_000_000 },
    { aliases: ["RAG_DAILY_LIMIT"] }
  ),
  dailyDollars: Setting.numberOption(
    "PREDICTION_DAILY_DOLLARS",
    "most dollars a day; needs the two prices; unset: no limit",
    5,
    { min: 0, max: 1_000_000 }
  ),
  inputPrice: Setting.numberOption(
    "PREDICTION_PRICE_INPUT",
    "dollars for a million tokens sent; unset: unknown",
    0.15,
    {
      min: 0,
      max: 100_000
    }
  ),
  outputPrice: Setting.numberOption(
    "PREDICTION_PRICE_OUTPUT",
    "dollars for a million tokens answered; unset: unknown",
    0.6,
    { min: 0, max: 100_000 }
  ),
  azureEndpoint: Setting.urlOption(
    "AZURE_OPENAI_ENDPOINT",
    "address of an Azure OpenAI resource; set, it is used in place of PREDICTION_LLM_URL",
    "https://my-resource.openai.azure.com",
    ["https", "http"]
  ),
  azureKey: Setting.secret("AZURE_OPENAI_API_KEY", "key of that resource"),
  azureVersion: Setting.textOr("AZURE_OPENAI_API_VERSION", "version of its API", "2024-10-21"),
  azureDeployment: Setting.text(
    "RAG_LLM_DEPLOYMENT",
    "the deployment of the language model there; unset: PREDICTION_MODEL_NAME"
  )
}

/** Embeddings of documents; without a model, documents are ranked by their words. */
export const embedding = {
  embeddingModel: Setting.text(
    "RAG_EMBEDDING_MODEL",
    "model of embeddings; unset: documents are ranked by their words (PostgreSQL full text)"
  ),
  embeddingUrl: Setting.urlOption(
    "RAG_EMBEDDING_URL",
    "base address of an OpenAI-compatible API with /embeddings; unset: the language model's",
    "http://127.0.0.1:8080/v1",
    ["https", "http"]
  ),
  embeddingKey: Setting.secret("RAG_EMBEDDING_API_KEY", "key of that API; unset: the language model's"),
  embeddingDeployment: Setting.text(
    "RAG_EMBEDDING_DEPLOYMENT",
    "the deployment of the embedding model at Azure; unset: RAG_EMBEDDING_MODEL"
  )
}

export const all = { ...schedule, ...handlers, ...model, ...embedding }

export const builtInHandlers = ["baseline:market_mid", "statistical:diffusion", "llm"]

/** Settings that only make sense together. */
export const read = Effect.gen(function* () {
  const config = yield* Setting.read(all)
  if (!config.enable)
    return yield* new SettingError({
      setting: "PREDICTION_ENABLE",
      problem: "is 0, so there is nothing to do",
      fix: "set PREDICTION_ENABLE=1"
    })
  if (new Set(config.handlers).size < config.handlers.length)
    return yield* new SettingError({
      setting: "PREDICTION_HANDLER",
      problem: "it names a handler twice",
      fix: "name each once"
    })
  const stranger = config.handlers.find((name) => !builtInHandlers.includes(name) && !name.includes("#"))
  if (stranger !== undefined)
    return yield* new SettingError({
      setting: "PREDICTION_HANDLER",
      problem: `"${stranger.slice(0, 80)}" is no handler`,
      fix: `take ${builtInHandlers.join(", ")}, or a function like ./my-handler.js#predictEvent`
    })
  if (config.handlers.includes("llm") && (config.modelName ?? config.azureDeployment) === undefined)
    return yield* new SettingError({
      setting: "PREDICTION_MODEL_NAME",
      problem: "is not set, but PREDICTION_HANDLER=llm needs a model",
      fix: "set it to the model's name"
    })
  if (config.dailyDollars !== undefined && (config.inputPrice ?? config.outputPrice) === undefined)
    return yield* new SettingError({
      setting: "PREDICTION_DAILY_DOLLARS",
      problem: "cannot be kept without the model's prices",
      fix: "set PREDICTION_PRICE_INPUT and PREDICTION_PRICE_OUTPUT, in dollars for a million tokens"
    })
  return config
})
export type PredictionConfig = Effect.Success<typeof read>
