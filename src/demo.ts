import * as os from "node:os"
import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Demo from "./local/Demo.ts"
import * as DurationText from "./local/DurationText.ts"
import * as RabbitBroker from "./local/RabbitBroker.ts"
import { presenter } from "./runtime/CommandLine.ts"
import { runProgram } from "./runtime/Program.ts"
import * as Setting from "./runtime/Setting.ts"
import { SettingError } from "./runtime/SettingError.ts"
import { version } from "./runtime/Version.ts"
import { databaseSettings } from "./store/Database.ts"

const demo = Command.make(
  "demo",
  {
    for: Flag.String("for").pipe(Flag.withDescription("stop after this long: 30s, 10m, 2h"), Flag.optional),
    json: Flag.Boolean("json").pipe(Flag.withDefault(false)),
    speed: Flag.Finite("speed").pipe(Flag.withDefault(60)),
    seed: Flag.Int("seed").pipe(Flag.withDefault(1)),
    rate: Flag.Int("rate").pipe(Flag.withDefault(0)),
    port: Flag.Int("port").pipe(Flag.withDefault(8000)),
    workers: Flag.Int("workers").pipe(
      Flag.withDescription("processes that do the heavy pulls, which rest then enqueues"),
      Flag.withDefault(0)
    ),
    rabbitmq: Flag.Boolean("rabbitmq").pipe(
      Flag.withDescription("a RabbitMQ of the demo's own announces jobs"),
      Flag.withDefault(false)
    )
  },
  Effect.fn(function* (flags) {
    const duration = Option.map(flags.for, DurationText.parse)
    if (Option.isSome(duration) && duration.value === undefined)
      return yield* new SettingError({
        setting: "--for",
        problem: "it is not a length of time",
        fix: "write 30s, 10m or 2h"
      })
    if (flags.workers < 0 || flags.workers > 64)
      return yield* new SettingError({ setting: "--workers", problem: "it is not 0 to 64", fix: "write --workers 3" })
    if (flags.rabbitmq && flags.workers === 0)
      return yield* new SettingError({
        setting: "--rabbitmq",
        problem: "there is nobody to announce jobs to",
        fix: "write --workers 3 --rabbitmq"
      })
    if (flags.rabbitmq && !RabbitBroker.isInstalled) return yield* RabbitBroker.missing
    const { dataDir } = yield* Setting.read({ dataDir: databaseSettings.dataDir })
    yield* Demo.run({
      dataDir,
      fallbackDataDir: path.join(os.tmpdir(), "kalshi-ingestor-demo"),
      duration: Option.getOrUndefined(duration),
      json: flags.json,
      speed: flags.speed,
      seed: flags.seed,
      rate: flags.rate,
      portalPort: flags.port,
      workers: flags.workers,
      rabbitmq: flags.rabbitmq
    })
  })
)

runProgram(
  "demo",
  Command.run(demo, { version }).pipe(
    Effect.provide(Layer.mergeAll(presenter("demo"), NodeServices.layer, NodeHttpClient.layerNodeHttp))
  )
)
