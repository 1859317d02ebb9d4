import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { numberOption, runMain } from "./Options.ts"
import { ownDatabase, perform, type Scenario } from "./Scenario.ts"
import { scenarios } from "./Scenarios.ts"
import { temporary } from "./Stage.ts"

const usage = `npm run chaos -- SCENARIO [--seed N] [--rate N] [--for SECONDS] [--json]; SCENARIO is one of ${scenarios.map(({ name }) => name).join(", ")}`

const chaos = Effect.fnUntraced(function* (scenario: Scenario, args: ReadonlyArray<string>) {
  const { usual } = scenario
  const play = {
    ...usual,
    seed: yield* numberOption(args, "seed", usual.seed),
    rate: yield* numberOption(args, "rate", usual.rate),
    forSeconds: yield* numberOption(args, "for", usual.forSeconds)
  }
  const home = yield* temporary
  const outcome = yield* perform(scenario, play, home, yield* ownDatabase(home))
  const { duplicated, facts, gaps, lost, sent, stored, unexplained, ...besides } = outcome
  const flat = { sent, stored, lost, duplicated, gaps, unexplained, ...besides, ...facts }
  if (args.includes("--json")) yield* Console.log(JSON.stringify(flat))
  else yield* Console.log(JSON.stringify(flat, null, 2))
  return outcome.ok
}, Effect.scoped)

export const main = (args: ReadonlyArray<string>): void => {
  const scenario = scenarios.find(({ name }) => name === args[0])
  const program =
    scenario === undefined
      ? Console.error(args[0] === undefined ? usage : `"${args[0]}" is no scenario; ${usage}`).pipe(Effect.as(false))
      : chaos(scenario, args.slice(1)).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
  runMain(program)
}
