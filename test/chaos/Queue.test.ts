import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestDatabase } from "../support/Database.ts"
import { throwaway } from "../support/PostgresServer.ts"
import * as Programs from "../support/Programs.ts"
import { perform } from "./queue/QueueScenario.ts"
import { queueScenarios } from "./queue/QueueScenarios.ts"
import { ownDatabase } from "./Scenario.ts"

describe("chaos of the queue", () => {
  // What a broker may do is in test/queue/RabbitWakeUp.test.ts.
  for (const scenario of queueScenarios.filter(({ needsBroker }) => needsBroker !== true))
    it.live(
      `${scenario.name}: ${scenario.about}`,
      () =>
        Effect.gen(function* () {
          const outcome =
            scenario.ownsServer === true
              ? yield* perform(
                  scenario,
                  scenario.short,
                  yield* ownDatabase(yield* Programs.folder, {
                    ...throwaway,
                    synchronous_commit: "on",
                    ...scenario.server
                  })
                )
              : yield* TestDatabase.pipe(
                  Effect.flatMap(({ url }) =>
                    Effect.flatMap(TestDatabase.environment, (env) => perform(scenario, scenario.short, { url, env }))
                  ),
                  Effect.provide(TestDatabase.layer)
                )
          assert.deepInclude(
            outcome,
            { ok: true, undone: 0, repeated: 0, effects: outcome.jobs },
            JSON.stringify(outcome)
          )
          assert.isAbove(outcome.jobs, 50)
        }),
      150_000
    )
})
