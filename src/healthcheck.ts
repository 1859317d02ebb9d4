import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Healthcheck from "./local/Healthcheck.ts"
import { presenter } from "./runtime/CommandLine.ts"
import { ExitCode } from "./runtime/ExitCode.ts"
import * as Health from "./runtime/Health.ts"
import { runProgram } from "./runtime/Program.ts"
import * as Setting from "./runtime/Setting.ts"

const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

const healthcheck = Command.make(
  "healthcheck",
  {
    service: Flag.Literals("service", Healthcheck.services).pipe(
      Flag.withDescription("the program to check; all programs of this host when absent"),
      Flag.optional
    ),
    instance: text("instance", "one instance by its name, on whatever host"),
    url: text("url", "ask the program at this address (its SERVICE_HEALTH_PORT), not the database"),
    allHosts: Flag.Boolean("all-hosts").pipe(
      Flag.withDescription("instances of every host, not only of this one"),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("the whole verdict as one JSON object"),
      Flag.withDefault(false)
    )
  },
  Effect.fn(function* (flags) {
    const { port } = yield* Setting.read({ port: Health.settings.port })
    const question = {
      service: Option.getOrUndefined(flags.service),
      instance: Option.getOrUndefined(flags.instance),
      url: Option.getOrUndefined(flags.url),
      allHosts: flags.allHosts
    }
    const verdict = yield* Healthcheck.ask(question, port).pipe(
      Effect.catchTag("SettingError", (error) =>
        Effect.succeed({ ok: false, said: error.message, service: question.service ?? "all", instances: [] })
      )
    )
    yield* Console.log(flags.json ? JSON.stringify(verdict) : verdict.said)
    if (!verdict.ok) return yield* new ExitCode({ code: 1 })
  })
).pipe(Command.withDescription("says in one line whether programs are well, and ends with 0 if they are, else with 1"))

runProgram(
  "healthcheck",
  Command.run(healthcheck, { version: "0.1.0" }).pipe(
    Effect.provide(Layer.mergeAll(presenter("healthcheck"), NodeServices.layer, NodeHttpClient.layerNodeHttp))
  )
)
