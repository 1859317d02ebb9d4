import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ArchiveLoop from "./ingest/ArchiveLoop.ts"
import { archiveCommand } from "./local/ArchiveCommand.ts"
import { presenter } from "./runtime/CommandLine.ts"
import { ExchangeTime } from "./runtime/ExchangeTime.ts"
import { runProgram } from "./runtime/Program.ts"
import { version } from "./runtime/Version.ts"
import { Database } from "./store/Database.ts"
import { Migrations } from "./store/Migrations.ts"
import { SchemaCheck } from "./store/SchemaCheck.ts"

const Store = ArchiveLoop.layer.pipe(
  Layer.provide(ExchangeTime.layer),
  Layer.provideMerge(SchemaCheck.pipe(Layer.provide(Migrations.layer))),
  Layer.provideMerge(Database.layerUrl({ applicationName: "kalshi-ingestor archive" }))
)

runProgram(
  "archive",
  archiveCommand.pipe(
    Command.provide(Store),
    Command.run({ version }),
    Effect.provide(Layer.mergeAll(presenter("archive"), NodeServices.layer))
  )
)
