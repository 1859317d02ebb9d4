import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ArchiveConfig from "./ingest/ArchiveConfig.ts"
import { exportCommand } from "./local/ExportCommand.ts"
import { presenter } from "./runtime/CommandLine.ts"
import { runProgram } from "./runtime/Program.ts"
import * as Setting from "./runtime/Setting.ts"
import { version } from "./runtime/Version.ts"
import { ArchiveLedger } from "./store/ArchiveLedger.ts"
import { ArchiveSource } from "./store/ArchiveSource.ts"
import { Database } from "./store/Database.ts"
import { Export } from "./store/Export.ts"
import { Migrations } from "./store/Migrations.ts"
import { SchemaCheck } from "./store/SchemaCheck.ts"

const Store = Layer.unwrap(Effect.map(Setting.read(ArchiveConfig.archive), Export.layerWith)).pipe(
  Layer.provide([ArchiveLedger.layer, ArchiveSource.layer]),
  Layer.provideMerge(SchemaCheck.pipe(Layer.provide(Migrations.layer))),
  Layer.provideMerge(Database.layerUrl({ applicationName: "kalshi-ingestor export" }))
)

runProgram(
  "export",
  exportCommand.pipe(
    Command.provide(Store),
    Command.run({ version }),
    Effect.provide(Layer.mergeAll(presenter("export"), NodeServices.layer))
  )
)
