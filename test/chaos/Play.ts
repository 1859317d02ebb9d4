import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestDatabase } from "../support/Database.ts"
import { throwaway } from "../support/PostgresServer.ts"
import * as Programs from "../support/Programs.ts"
import { ownDatabase, perform, type Scenario } from "./Scenario.ts"

/** The scenario in its short form, as a test of the suite. */
export const plays = (scenario: Scenario): void =>
  it.live(
    `${scenario.name}: ${scenario.about}`,
    () =>
      Effect.gen(function* () {
        const home = yield* Programs.folder
        const outcome =
          scenario.ownsServer === true
            ? yield* perform(
                scenario,
                scenario.short,
                home,
                yield* ownDatabase(home, { ...throwaway, synchronous_commit: "on" })
              )
            : yield* TestDatabase.pipe(
                Effect.flatMap(({ url }) =>
                  Effect.flatMap(TestDatabase.environment, (env) =>
                    perform(scenario, scenario.short, home, { url, env })
                  )
                ),
                Effect.provide(TestDatabase.layer)
              )
        const { duplicated, lost, stored, unexplained } = outcome
        assert.deepStrictEqual(
          { lost, duplicated, unexplained },
          { lost: 0, duplicated: 0, unexplained: 0 },
          outcome.examples.join("\n")
        )
        assert.isAbove(stored, 0)
      }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp)),
    120_000
  )
