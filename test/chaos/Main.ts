import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as RabbitBroker from "../../src/local/RabbitBroker.ts"
import * as Programs from "../support/Programs.ts"
import { numberOption, runMain } from "./Options.ts"
import { perform as performQueue, type QueueScenario } from "./queue/QueueScenario.ts"
import { queueScenarios } from "./queue/QueueScenarios.ts"
import { ownDatabase, perform, type Scenario } from "./Scenario.ts"
import { scenarios } from "./Scenarios.ts"
import type { Play } from "./Stage.ts"

const usage = `npm run chaos -- SCENARIO [--seed N] [--rate N] [--for SECONDS] [--json]; SCENARIO is one of ${[...scenarios, ...queueScenarios].map(({ name }) => name).join(", ")}`

const played = Effect.fnUntraced(function* (usual: Play, args: ReadonlyArray<string>) {
  return {
    ...usual,
    seed: yield* numberOption(args, "seed", usual.seed),
    rate: yield* numberOption(args, "rate", usual.rate),
    forSeconds: yield* numberOption(args, "for", usual.forSeconds)
  }
})

const queueChaos = Effect.fnUntraced(function* (scenario: QueueScenario, args: ReadonlyArray<string>) {
  const play = yield* played(scenario.usual, args)
  if (scenario.needsBroker === true && !RabbitBroker.isInstalled)
    return yield* Console.error("no RabbitMQ is installed here; install Debian's rabbitmq-server").pipe(
      Effect.as(false)
    )
  const home = yield* Programs.folder
  const { facts, ...outcome } = yield* performQueue(scenario, play, yield* ownDatabase(home, scenario.server))
  const flat = { ...outcome, ...facts }
  yield* Console.log(args.includes("--json") ? JSON.stringify(flat) : JSON.stringify(flat, null, 2))
  return outcome.ok
}, Effect.scoped)

const chaos = Effect.fnUntraced(function* (scenario: Scenario, args: ReadonlyArray<string>) {
  const play = yield* played(scenario.usual, args)
  const home = yield* Programs.folder
  const outcome = yield* perform(scenario, play, home, yield* ownDatabase(home))
  const { duplicated, facts, gaps, lost, sent, stored, unexplained, ...besides } = outcome
  const flat = { sent, stored, lost, duplicated, gaps, unexplained, ...besides, ...facts }
  if (args.includes("--json")) yield* Console.log(JSON.stringify(flat))
  else yield* Console.log(JSON.stringify(flat, null, 2))
  return outcome.ok
}, Effect.scoped)

export const main = (args: ReadonlyArray<string>): void => {
  const scenario = scenarios.find(({ name }) => name === args[0])
  const ofQueue = queueScenarios.find(({ name }) => name === args[0])
  if (ofQueue !== undefined) {
    runMain(queueChaos(ofQueue, args.slice(1)))
    return
  }
  const program =
    scenario === undefined
      ? Console.error(args[0] === undefined ? usage : `"${args[0]}" is no scenario; ${usage}`).pipe(Effect.as(false))
      : chaos(scenario, args.slice(1)).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
  runMain(program)
}
