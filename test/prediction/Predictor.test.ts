import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestDatabase } from "../support/Database.ts"
import { event, hour, minute, now, settle, tick } from "./ForecastFixture.ts"
import { predictions, predictor, runs, until } from "./PredictorFixture.ts"

const both = { PREDICTION_HANDLER: "baseline:market_mid,statistical:diffusion" }

const buckets = event(
  "RANGE-1",
  [
    { ticker: "RANGE-1-LOW", strikeType: "less", cap: 100, bid: "0.05", ask: "0.07" },
    { ticker: "RANGE-1-MID", strikeType: "between", floor: 100, cap: 109.99, bid: "0.40", ask: "0.44" },
    { ticker: "RANGE-1-UP", strikeType: "between", floor: 110, cap: 119.99, bid: "0.44", ask: "0.46" },
    { ticker: "RANGE-1-TOP", strikeType: "greater", floor: 119.99, bid: "0.00", ask: "0.12" }
  ],
  { exclusive: true }
)
const ladder = event("LADDER-1", [
  { ticker: "LADDER-1-A", strikeType: "greater", floor: 100, bid: "0.90", ask: "0.92" },
  { ticker: "LADDER-1-B", strikeType: "greater", floor: 110, bid: "0.50", ask: "0.52" },
  { ticker: "LADDER-1-C", strikeType: "greater", floor: 120, bid: "0.09", ask: "0.11" },
  { ticker: "LADDER-1-D", strikeType: "greater", floor: 130, bid: "0.00", ask: "0.01" }
])

describe("the predictor", () => {
  it.live("forecasts with the handlers that need no model, each from the quote that it stores", () =>
    Effect.gen(function* () {
      yield* buckets
      yield* ladder
      yield* tick("LADDER-1-B", now + 2 * hour, "0.99", "1.00")
      yield* predictor(both)
      const found = yield* until(runs, (rows) => rows.length >= 4)
      assert.deepStrictEqual(
        found
          .map(
            ({ agent, event, forecasts, markets, outcome }) => `${event} ${agent} ${outcome} ${forecasts}/${markets}`
          )
          .sort(),
        [
          "LADDER-1 baseline:market_mid succeeded 3/4",
          "LADDER-1 statistical:diffusion succeeded 4/4",
          "RANGE-1 baseline:market_mid succeeded 3/4",
          "RANGE-1 statistical:diffusion succeeded 4/4"
        ]
      )
      const rows = yield* predictions
      for (const { handler, mid, prob, quote_ts, source } of rows) {
        assert.strictEqual(source, "tick")
        assert.strictEqual(quote_ts!.getTime(), now - 10_000)
        if (handler === "baseline:market_mid") assert.strictEqual(Number(prob), Number(mid))
      }
      const statistical = rows.filter(({ handler }) => handler === "statistical:diffusion")
      const exclusive = statistical.filter((row) => row.event === "RANGE-1")
      assert.closeTo(
        exclusive.reduce((sum, { prob }) => sum + Number(prob), 0),
        1,
        1e-9
      )
      const falling = statistical.filter((row) => row.event === "LADDER-1").map(({ prob }) => Number(prob))
      assert.deepStrictEqual(
        falling,
        [...falling].sort((a, b) => b - a)
      )
      const [law] = found.filter(({ agent, event }) => agent === "statistical:diffusion" && event === "LADDER-1")
      assert.closeTo(Number(law!.parameters["location"]), 110, 2)
      assert.strictEqual(law!.cost, 0)
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.as("predictor")))
  )

  it.live("makes the next forecast one interval later, and scores when the market settles", () =>
    Effect.gen(function* () {
      yield* event("HOURLY", [{ ticker: "HOURLY-A", bid: "0.20", ask: "0.30", close: now + hour }])
      yield* event("DAILY", [{ ticker: "DAILY-A", bid: "0.60", ask: "0.70", close: now + 20 * hour }], {
        period: "day"
      })
      yield* predictor({}, 1800)
      const made = yield* until(predictions, (rows) => rows.filter((row) => row.event === "DAILY").length >= 3)
      for (const [ticker, interval] of [
        ["HOURLY", 10 * minute],
        ["DAILY", 30 * minute]
      ] as const) {
        const at = made
          .filter((row) => row.event === ticker)
          .map((row) => row.predicted_at.getTime())
          .sort()
        for (const [i, instant] of at.entries()) if (i > 0) assert.isAtLeast(instant - at[i - 1]!, interval)
        if (ticker === "HOURLY") assert.isBelow(at.at(-1)! - now, hour)
      }
      yield* settle("DAILY-A", "yes", "1.0000")
      const sql = yield* PgClient.PgClient
      const scores = yield* until(
        sql<{ market: string; brier: number; market_brier: number }>`
          select market_ticker as market, brier, market_brier from forecast_scores`,
        (rows) => rows.length >= 3
      )
      for (const { brier, market, market_brier } of scores)
        assert.deepStrictEqual([market, brier, market_brier], ["DAILY-A", 0.1225, 0.1225])
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.as("predictor")))
  )

  it.live("an event about which there is nothing to say is an empty run", () =>
    Effect.gen(function* () {
      yield* event("BARE", [{ ticker: "BARE-A" }, { ticker: "BARE-B", bid: "0.00", ask: "1.00" }])
      yield* predictor(both)
      const found = yield* until(runs, (rows) => rows.length >= 2)
      assert.deepStrictEqual(
        found.map(({ failure, forecasts, outcome }) => [outcome, forecasts, failure]),
        [
          ["empty", 0, null],
          ["empty", 0, null]
        ]
      )
      assert.deepStrictEqual(yield* predictions, [])
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.as("predictor")))
  )

  it.live("a forecast that is done after the close is not kept", () =>
    Effect.gen(function* () {
      yield* event("CLOSING", [{ ticker: "CLOSING-A", bid: "0.40", ask: "0.42", close: now + 5 * minute }])
      yield* predictor({ PREDICTION_HANDLER: "./test/prediction/slow-handler.js#predictEvent" }, 600)
      const [run] = yield* until(runs, (rows) => rows.length > 0)
      assert.deepStrictEqual([run!.outcome, run!.forecasts], ["failed", 0])
      assert.include(run!.failure!, "closed")
      assert.deepStrictEqual(yield* predictions, [])
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.as("predictor")))
  )

  it.live("one that is stopped gives its events back", () =>
    Effect.gen(function* () {
      yield* event("E", [{ ticker: "E-A", bid: "0.40", ask: "0.42" }])
      const sql = yield* PgClient.PgClient
      const schedule = sql<{ holder: string | null; due: number }>`
        select holder, extract(epoch from due_at)::float8 as due from forecast_schedule`
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* predictor({ PREDICTION_HANDLER: "./test/prediction/slow-handler.js#predictEvent" })
          yield* until(schedule, ([row]) => row?.holder != null)
        })
      )
      const [row] = yield* schedule
      assert.strictEqual(row!.holder, null)
      assert.isAtMost(row!.due * 1000, now)
      yield* predictor({ PREDICTION_AGENT_NAME: "user:slow-handler.js#predictEvent" })
      yield* until(runs, (rows) => rows.length === 1)
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.as("predictor")))
  )
})
