import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AdminServer from "./admin/AdminServer.ts"
import { ingestCommand, scoresCommand } from "./local/PredictorCommand.ts"
import * as Roles from "./local/Roles.ts"
import * as Handlers from "./prediction/HandlersFromSettings.ts"
import * as PredictionConfig from "./prediction/PredictionConfig.ts"
import { Predictor } from "./prediction/Predictor.ts"
import { Scoring } from "./prediction/Scoring.ts"
import { presenter } from "./runtime/CommandLine.ts"
import { ExchangeTime } from "./runtime/ExchangeTime.ts"
import * as Guardrails from "./runtime/Guardrails.ts"
import * as Health from "./runtime/Health.ts"
import { runRole } from "./runtime/Loops.ts"
import { runProgram } from "./runtime/Program.ts"
import * as Setting from "./runtime/Setting.ts"
import { version } from "./runtime/Version.ts"
import { Database } from "./store/Database.ts"
import { ForecastInputs } from "./store/ForecastInputs.ts"
import { ForecastRuns } from "./store/ForecastRuns.ts"
import { ForecastScores } from "./store/ForecastScores.ts"
import { Migrations } from "./store/Migrations.ts"
import { SchemaCheck } from "./store/SchemaCheck.ts"
import * as ServiceInstances from "./store/ServiceInstances.ts"

const Store = (settings: Roles.Group) =>
  SchemaCheck.pipe(
    Layer.provide(Migrations.layer),
    Layer.provideMerge(Database.layerUrl({ applicationName: "kalshi-ingestor predictor" })),
    Layer.provide(Setting.layerChecked(settings))
  )

const role = Layer.unwrap(
  Effect.map(PredictionConfig.read, (config) =>
    Layer.mergeAll(
      Predictor(config),
      Scoring,
      AdminServer.layer("predictor", Roles.predictor),
      Health.layerServer("predictor"),
      ServiceInstances.layer("predictor")
    ).pipe(
      Layer.provide([Handlers.layer(config), Handlers.layerRetrieval(config)]),
      Layer.provide(Handlers.layerCalls(config)),
      Layer.provide([ForecastInputs.layer, ForecastRuns.layer, ForecastScores.layer]),
      Layer.provide([ExchangeTime.layer, Health.Health.layer])
    )
  )
).pipe(Layer.provide(Store(Roles.predictor)), Layer.provide(Guardrails.layer("predictor")))

const predictor = Command.make("predictor", {}, () => runRole(role)).pipe(
  Command.withDescription("forecasts events when they are due, and scores forecasts when their markets settle"),
  Command.withSubcommands([
    ingestCommand.pipe(Command.provide(Store(Roles.common))),
    scoresCommand.pipe(Command.provide(Store(Roles.common)))
  ])
)

runProgram(
  "predictor",
  Command.run(predictor, { version }).pipe(Effect.provide(Layer.mergeAll(presenter("predictor"), NodeServices.layer)))
)
