import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { exchangeCommand } from "./simulator/ExchangeCommand.ts"
import { exitCleanly } from "./simulator/ExitCleanly.ts"

exchangeCommand.pipe(
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown: exitCleanly })
)
