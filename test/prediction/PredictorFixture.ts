import * as NodeServices from "@effect/platform-node/NodeServices"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Handlers from "../../src/prediction/HandlersFromSettings.ts"
import * as PredictionConfig from "../../src/prediction/PredictionConfig.ts"
import { Predictor } from "../../src/prediction/Predictor.ts"
import { Scoring } from "../../src/prediction/Scoring.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { ForecastInputs } from "../../src/store/ForecastInputs.ts"
import { ForecastRuns } from "../../src/store/ForecastRuns.ts"
import { ForecastScores } from "../../src/store/ForecastScores.ts"
import { TestDatabase } from "../support/Database.ts"
import { now } from "./ForecastFixture.ts"

/** A predictor that runs until the scope closes; its exchange's clock starts at `now`. */
export const predictor = Effect.fnUntraced(function* (env: Readonly<Record<string, string>>, speed = 1) {
  const wallMillis = yield* Clock.currentTimeMillis
  const time = ExchangeTime.layerLinear({ wallMillis, exchangeMillis: now, speed, simulated: true })
  const role = Layer.unwrap(
    Effect.map(PredictionConfig.read, (config) =>
      Layer.mergeAll(Predictor(config), Scoring).pipe(
        Layer.provide([Handlers.layer(config), Handlers.layerRetrieval(config)]),
        Layer.provide(Handlers.layerCalls(config))
      )
    )
  ).pipe(
    Layer.provide([ForecastInputs.layer, ForecastRuns.layer, ForecastScores.layer, time, NodeServices.layer]),
    Layer.provideMerge(Layer.merge(Health.layer, Loops.layer)),
    Layer.provide(TestDatabase.actingClient),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "Error")),
    Layer.provide(
      ConfigProvider.layer(
        ConfigProvider.fromUnknown({ PREDICTION_ENABLE: "1", PREDICTION_POLL_SECONDS: "0.1", ...env })
      )
    )
  )
  const context = yield* Layer.build(Layer.fresh(role))
  return { health: Context.get(context, Health).report, ended: Context.get(context, Loops).ended }
})

/** A table's rows, once `enough` says so. */
export const until = <A extends object, R>(
  rows: Effect.Effect<ReadonlyArray<A>, unknown, R>,
  enough: (rows: ReadonlyArray<A>) => boolean
) =>
  rows.pipe(
    Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: enough }),
    Effect.timeoutOrElse({
      duration: "15 seconds",
      orElse: () =>
        Effect.flatMap(rows, (last) => Effect.die(new Error(`not in time; last seen ${JSON.stringify(last)}`)))
    }),
    Effect.orDie
  )

export interface RunSeen {
  readonly id: number
  readonly event: string
  readonly handler: string
  readonly model: string | null
  readonly agent: string
  readonly outcome: string
  readonly failure: string | null
  readonly prompt: string | null
  readonly prompt_hash: string | null
  readonly documents: ReadonlyArray<bigint>
  readonly parameters: Readonly<Record<string, unknown>>
  readonly markets: number
  readonly forecasts: number
  readonly calls: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost: number | null
}

export const runs = PgClient.PgClient.use(
  (sql) => sql<RunSeen>`
    select
      id::int, event_ticker as event, handler, model_name as model, agent_name as agent, outcome, failure, prompt, prompt_hash,
      prompt_documents as documents, parameters, markets, forecasts, model_calls as calls, input_tokens::int, output_tokens::int,
      cost_dollars::float8 as cost
    from prediction_runs order by id`
)

export interface PredictionSeen {
  readonly market: string
  readonly event: string
  readonly handler: string
  readonly prob: string
  readonly mid: string | null
  readonly source: string | null
  readonly quote_ts: Date | null
  readonly predicted_at: Date
  readonly rationale: string | null
  readonly raw: unknown
}

export const predictions = PgClient.PgClient.use(
  (sql) => sql<PredictionSeen>`
    select
      market_ticker as market, event_ticker as event, handler, yes_prob::text as prob, quote_mid_dollars::text as mid, quote_source as source,
      quote_ts, predicted_at, rationale, raw
    from market_predictions order by market_ticker, id`
)
