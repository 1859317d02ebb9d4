import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ForecastBudget } from "../../src/store/ForecastBudget.ts"
import { TestDatabase } from "../support/Database.ts"

const Store = ForecastBudget.layer.pipe(TestDatabase.under("predictor"))
const row = PgClient.PgClient.use(
  (sql) => sql`select calls::int, refused::int, cost_dollars::float8 as dollars from forecast_budget`
)

describe("ForecastBudget", () => {
  it.live("of 200 calls at the same time exactly as many go through as the day allows", () =>
    Effect.gen(function* () {
      const budget = yield* ForecastBudget
      const results = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, i) => i),
        () => Effect.result(budget.reserve({ calls: 37, dollars: undefined }, 0)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(results.filter(({ _tag }) => _tag === "Success").length, 37)
      assert.deepStrictEqual(yield* row, [{ calls: 37, refused: 163, dollars: 0 }])
      assert.isFalse(yield* budget.hasRoom({ calls: 37, dollars: undefined }, 0))
      assert.isTrue(yield* budget.hasRoom({ calls: 38, dollars: undefined }, 0))
    }).pipe(Effect.provide(Store))
  )

  it.live("dollars are held back before a call and given back after it, so that they never exceed the limit", () =>
    Effect.gen(function* () {
      const budget = yield* ForecastBudget
      const limits = { calls: 100, dollars: 1 }
      const first = yield* budget.reserve(limits, 0.6)
      assert.strictEqual((yield* Effect.flip(budget.reserve(limits, 0.6)))._tag, "BudgetUsedUp")
      assert.isFalse(yield* budget.hasRoom(limits, 0.6))
      yield* budget.settle(first, 0.000000123)
      assert.deepStrictEqual(yield* row, [{ calls: 1, refused: 1, dollars: 0.000000123 }])
      yield* budget.reserve(limits, 0.6)
    }).pipe(Effect.provide(Store))
  )

  it.live("a budget of nothing lets nothing through, and each day has its own", () =>
    Effect.gen(function* () {
      const budget = yield* ForecastBudget
      const sql = yield* PgClient.PgClient
      assert.isFalse(yield* budget.hasRoom({ calls: 0, dollars: undefined }, 0))
      yield* Effect.flip(budget.reserve({ calls: 0, dollars: undefined }, 0))
      yield* budget.reserve({ calls: 1, dollars: undefined }, 0)
      yield* Effect.flip(budget.reserve({ calls: 1, dollars: undefined }, 0))
      yield* sql`update forecast_budget set day = day - 1`
      yield* budget.reserve({ calls: 1, dollars: undefined }, 0)
      assert.strictEqual((yield* row).length, 2)
    }).pipe(Effect.provide(Store))
  )
})
