import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CommandLine from "../runtime/CommandLine.ts"
import { ExitCode } from "../runtime/ExitCode.ts"
import * as Setting from "../runtime/Setting.ts"
import { version } from "../runtime/Version.ts"
import * as DataLease from "../store/DataLease.ts"
import { settings } from "./ClusterConfig.ts"
import * as ClusterDatabase from "./ClusterDatabase.ts"
import * as ClusterPrograms from "./ClusterPrograms.ts"

const status = Command.make(
  "status",
  { json: Flag.Boolean("json").pipe(Flag.withDefault(false)) },
  Effect.fnUntraced(function* ({ json }) {
    const { dataHost } = yield* Setting.read({ dataHost: settings.dataHost })
    const found = yield* DataLease.current(dataHost)
    const held = found?.holder !== undefined && !found.holder.released
    if (json)
      yield* Console.log(JSON.stringify({ held, generation: found?.generation ?? 0, holder: found?.holder ?? null }))
    else
      yield* Console.log(
        found?.holder === undefined
          ? `${dataHost}: never used`
          : `${dataHost}: ${held ? "held by" : "free; last held by"} ${DataLease.describe(found.holder)}`
      )
    if (!held) return yield* new ExitCode({ code: 3 })
  })
).pipe(Command.withDescription("Tells who holds PGDATA_HOST; exit code 3 when nobody does"))

const command = Command.make("cluster").pipe(
  Command.withDescription("What the scripts of slurm/ run"),
  Command.withSubcommands([
    Command.make("database", {}, () => ClusterDatabase.database).pipe(
      Command.withDescription("Holds the lease of PGDATA_HOST and runs the database in it")
    ),
    Command.make("lease", {}, () => ClusterDatabase.lease).pipe(
      Command.withDescription("Holds the lease of PGDATA_HOST for a server that a script runs there")
    ),
    Command.make("programs", {}, () => ClusterPrograms.programs).pipe(
      Command.withDescription("Brings the database of this job up to date and runs the programs of INGESTOR_MODE")
    ),
    Command.make("guests", {}, () => ClusterPrograms.guests).pipe(
      Command.withDescription("Runs workers or the predictor on the database of another job")
    ),
    Command.make("checkpoint", {}, () => ClusterDatabase.checkpoint).pipe(
      Command.withDescription("Writes out what the database has in memory, so that it stops sooner")
    ),
    status
  ])
)

export const clusterCommand = Command.run(command, { version }).pipe(
  Effect.provide(Layer.merge(NodeServices.layer, CommandLine.presenter("cluster")))
)
