import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as RabbitBroker from "../../../src/local/RabbitBroker.ts"
import type { Facts } from "../Scenario.ts"
import { type Database, type Play, timed } from "../Stage.ts"
import * as QueueStage from "./QueueStage.ts"

export interface QueueScenario {
  readonly name: string
  /** What goes wrong. */
  readonly about: string
  readonly usual: Play
  readonly short: Play
  readonly ownsServer?: boolean
  /** Settings of that server. */
  readonly server?: Readonly<Record<string, string>>
  readonly needsBroker?: boolean
  readonly settings?: Readonly<Record<string, string>>
  /** The trouble costs attempts: without any it did not happen. */
  readonly costsAttempts?: boolean
  /** The scenario of the recorder that this one is played with. */
  readonly playedWith?: string
  readonly act: (
    stage: QueueStage.QueueStage,
    broker: RabbitBroker.RabbitBroker | undefined
  ) => Effect.Effect<Facts, never, Scope.Scope>
}

export interface QueueOutcome {
  readonly scenario: string
  readonly seed: number
  readonly seconds: number
  readonly jobs: number
  /** Jobs that are not done, for whatever reason. */
  readonly undone: number
  readonly effects: number
  /** Jobs whose effect is there more than once. */
  readonly repeated: number
  /** Jobs that needed more than one attempt. */
  readonly retried: number
  readonly ok: boolean
  readonly facts: Facts
}

/** Plays a scenario to its end: every job is done, and has had its effect once. */
export const perform = Effect.fnUntraced(function* (scenario: QueueScenario, play: Play, database: Database) {
  const broker = scenario.needsBroker === true ? yield* RabbitBroker.make : undefined
  const { seconds, value } = yield* timed(
    Effect.gen(function* () {
      const stage = yield* QueueStage.make(play, database, {
        ...(broker === undefined ? {} : { RABBITMQ_URL: Redacted.value(broker.url) }),
        ...scenario.settings
      })
      const facts = yield* scenario.act(stage, broker)
      yield* stage.settle
      const [found] = yield* stage.query<{
        undone: number
        retried: number
        effects: number
        repeated: number
        workers: number
      }>(`
        select
          (select count(*)::int from work_queue where status <> 'done') as undone,
          (select count(*)::int from work_queue where attempts > 1) as retried,
          (select count(*)::int from chaos_effects) as effects,
          (select count(*)::int from (select 1 from chaos_effects group by ticker having count(*) > 1) twice) as repeated,
          (select count(*)::int from queue_workers) as workers`)
      return { facts: { workersLeft: found!.workers, ...facts }, jobs: stage.entered(), ...found! }
    })
  )
  const { effects, facts, jobs, repeated, retried, undone } = value
  const outcome: QueueOutcome = {
    scenario: scenario.name,
    seed: play.seed,
    seconds: Math.round(seconds),
    jobs,
    undone,
    effects,
    repeated,
    retried,
    ok:
      undone === 0 &&
      repeated === 0 &&
      effects === jobs &&
      jobs > 0 &&
      (scenario.costsAttempts !== true || retried > 0),
    facts
  }
  return outcome
}, Effect.scoped)
