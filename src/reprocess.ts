import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CaptureStore } from "./ingest/CaptureStore.ts"
import { reprocessCommand } from "./local/ReprocessCommand.ts"
import { presenter } from "./runtime/CommandLine.ts"
import { ExchangeTime } from "./runtime/ExchangeTime.ts"
import { runProgram } from "./runtime/Program.ts"
import { version } from "./runtime/Version.ts"
import { Database } from "./store/Database.ts"
import { Migrations } from "./store/Migrations.ts"
import { SchemaCheck } from "./store/SchemaCheck.ts"

const Store = CaptureStore.layerWithTables.pipe(
  Layer.provideMerge(SchemaCheck.pipe(Layer.provide(Migrations.layer))),
  Layer.provideMerge(Database.layerUrl({ applicationName: "kalshi-ingestor reprocess" }))
)

runProgram(
  "reprocess",
  reprocessCommand.pipe(
    Command.provide(Layer.mergeAll(Store, ExchangeTime.layer)),
    Command.run({ version }),
    Effect.provide(Layer.mergeAll(presenter("reprocess"), NodeServices.layer))
  )
)
