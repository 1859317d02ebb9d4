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

type Report = Readonly<Record<string, unknown>> & { readonly ok: boolean }

const queueChaos = Effect.fnUntraced(function* (scenario: QueueScenario, args: ReadonlyArray<string>) {
  const play = yield* played(scenario.usual, args)
  const home = yield* Programs.folder
  const { facts, ...outcome } = yield* performQueue(scenario, play, yield* ownDatabase(home, scenario.server))
  const report: Report = { ...outcome, ...facts }
  return report
}, Effect.scoped)

const chaos = Effect.fnUntraced(function* (scenario: Scenario, args: ReadonlyArray<string>) {
  const play = yield* played(scenario.usual, args)
  const home = yield* Programs.folder
  const outcome = yield* perform(scenario, play, home, yield* ownDatabase(home))
  const { duplicated, facts, gaps, lost, sent, stored, unexplained, ...besides } = outcome
  const report: Report = { sent, stored, lost, duplicated, gaps, unexplained, ...besides, ...facts }
  return report
}, Effect.scoped)

/** A scenario of the recorder and, where the same trouble is one of the queue's, that one after it: the report has both. */
const bothChaos = Effect.fnUntraced(function* (scenario: Scenario, args: ReadonlyArray<string>) {
  const recorder = yield* chaos(scenario, args)
  const ofQueue = queueScenarios.find(({ playedWith }) => playedWith === scenario.name)
  if (ofQueue === undefined) return recorder
  const {
    ok,
    scenario: _,
    seconds,
    seed: __,
    ...queue
  } = yield* queueChaos(
    ofQueue,
    args.filter((_, at) => !args[at]!.startsWith("--rate") && args[at - 1] !== "--rate")
  )
  const report: Report = { ...recorder, ...queue, queueSeconds: seconds, ok: recorder.ok && ok }
  return report
})

const told = <E, R>(args: ReadonlyArray<string>, work: Effect.Effect<Report, E, R>) =>
  work.pipe(
    Effect.tap((report) =>
      Console.log(args.includes("--json") ? JSON.stringify(report) : JSON.stringify(report, null, 2))
    ),
    Effect.map(({ ok }) => ok)
  )

export const main = (args: ReadonlyArray<string>): void => {
  const scenario = scenarios.find(({ name }) => name === args[0])
  const ofQueue = queueScenarios.find(({ name }) => name === args[0])
  if (ofQueue?.needsBroker === true && !RabbitBroker.isInstalled) {
    runMain(Console.error("no RabbitMQ is installed here; install Debian's rabbitmq-server").pipe(Effect.as(false)))
    return
  }
  if (ofQueue !== undefined) {
    runMain(told(args, queueChaos(ofQueue, args.slice(1))))
    return
  }
  const program =
    scenario === undefined
      ? Console.error(args[0] === undefined ? usage : `"${args[0]}" is no scenario; ${usage}`).pipe(Effect.as(false))
      : told(args, bothChaos(scenario, args.slice(1))).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
  runMain(program)
}
