import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { ForecastScores } from "../../src/store/ForecastScores.ts"
import { event, hour, minute, now, settle } from "../prediction/ForecastFixture.ts"
import { TestDatabase } from "../support/Database.ts"

const Store = ForecastScores.layer.pipe(TestDatabase.under("predictor"))

interface Made {
  readonly prob: string
  readonly mid?: string
  readonly before?: number
  readonly handler?: string
}

const predict = Effect.fnUntraced(function* (market: string, made: Made) {
  const sql = yield* PgClient.PgClient
  yield* sql`
    insert into market_predictions (event_ticker, market_ticker, predicted_at, yes_prob, handler, close_time, quote_mid_dollars)
    values (
      'E', ${market}, ${fromMillis(now - (made.before ?? 5 * minute))}, ${made.prob}::numeric, ${made.handler ?? "h"}, ${fromMillis(now)},
      ${made.mid ?? null}::numeric)`
})
const scoresOf = PgClient.PgClient.use(
  (sql) => sql<{
    market: string
    outcome: string
    brier: number
    log: number
    market_brier: number | null
    market_log: number | null
  }>`
    select market_ticker as market, outcome::text, brier, log_loss as log, market_brier, market_log_loss as market_log
    from forecast_scores order by prediction_id`
)
const score = ForecastScores.use((scores) => scores.score(100, false))

describe("ForecastScores", () => {
  it.live("scores what is final, against the market's own price at the same instant", () =>
    Effect.gen(function* () {
      yield* event(
        "E",
        ["YES", "NO", "HALF", "OPEN", "VOID", "DETERMINED"].map((ticker) => ({ ticker, close: now }))
      )
      for (const market of ["YES", "NO", "HALF", "OPEN", "VOID", "DETERMINED"])
        yield* predict(market, { prob: "0.8", mid: "0.6" })
      yield* predict("YES", { prob: "0.5" })
      yield* settle("YES", "yes")
      yield* settle("NO", "no", "0.0000")
      yield* settle("HALF", "scalar", "0.5000")
      yield* settle("VOID", null)
      const sql = yield* PgClient.PgClient
      yield* sql`update markets set status = 'determined', result = 'yes' where ticker = 'DETERMINED'`
      assert.strictEqual(yield* score, 4)
      assert.strictEqual(yield* score, 0)
      const rows = (yield* scoresOf).map(({ brier, log, market, market_brier, market_log, outcome }) => [
        market,
        Number(outcome),
        brier.toFixed(6),
        log.toFixed(6),
        market_brier?.toFixed(6),
        market_log?.toFixed(6)
      ])
      assert.deepStrictEqual(rows, [
        ["YES", 1, "0.040000", (-Math.log(0.8)).toFixed(6), "0.160000", (-Math.log(0.6)).toFixed(6)],
        ["NO", 0, "0.640000", (-Math.log(0.2)).toFixed(6), "0.360000", (-Math.log(0.4)).toFixed(6)],
        [
          "HALF",
          0.5,
          "0.090000",
          (-0.5 * Math.log(0.8) - 0.5 * Math.log(0.2)).toFixed(6),
          "0.010000",
          (-0.5 * Math.log(0.6) - 0.5 * Math.log(0.4)).toFixed(6)
        ],
        ["YES", 1, "0.250000", Math.LN2.toFixed(6), undefined, undefined]
      ])
      yield* sql`update markets set status = 'finalized' where ticker = 'DETERMINED'`
      assert.strictEqual(yield* score, 1)
    }).pipe(Effect.provide(Store))
  )

  it.live("0 is 0 and 1 is 1, and being certain and wrong costs much but not everything", () =>
    Effect.gen(function* () {
      yield* event("E", [{ ticker: "A", close: now }])
      for (const prob of ["0", "1", "0.000000000000000000000000000001"]) yield* predict("A", { prob, mid: "0" })
      yield* settle("A", "yes", "1.0000")
      assert.strictEqual(yield* score, 3)
      const rows = yield* scoresOf
      assert.deepStrictEqual(
        rows.map(({ brier }) => brier),
        [1, 0, 1]
      )
      assert.closeTo(rows[0]!.log, -Math.log(1e-6), 1e-6)
      assert.closeTo(rows[1]!.log, 1e-6, 1e-8)
      const scores = yield* ForecastScores
      const bands = yield* scores.bands({})
      assert.deepStrictEqual(
        bands.map(({ bands, of }) => [of, [...bands].map(([band, { outcomes, scored }]) => [band, scored, outcomes])]),
        [
          [
            "handler",
            [
              [0, 2, 2],
              [99, 1, 1]
            ]
          ],
          ["market", [[0, 3, 3]]]
        ]
      )
    }).pipe(Effect.provide(Store))
  )

  it.live("a value that was corrected later is scored again", () =>
    Effect.gen(function* () {
      yield* event("E", [
        { ticker: "A", close: now },
        { ticker: "B", close: now }
      ])
      yield* predict("A", { prob: "0.9", mid: "0.8" })
      yield* predict("B", { prob: "0.9" })
      yield* settle("A", "yes")
      yield* settle("B", "yes")
      yield* score
      const sql = yield* PgClient.PgClient
      yield* sql`update markets set result = 'no' where ticker = 'A'`
      const scores = yield* ForecastScores
      yield* scores.score(100, true)
      const rows = yield* scoresOf
      assert.deepStrictEqual(
        rows.map(({ brier, market, market_brier }) => [market, brier, market_brier]),
        [
          ["A", 0.81, 0.64],
          ["B", 0.01, null]
        ]
      )
    }).pipe(Effect.provide(Store))
  )

  it.live("processes that score at the same time score each forecast once", () =>
    Effect.gen(function* () {
      yield* event("E", [{ ticker: "A", close: now }])
      yield* Effect.forEach(Array.from({ length: 60 }), () => predict("A", { prob: "0.5" }), { discard: true })
      yield* settle("A", "yes")
      const counts = yield* Effect.forEach(
        [1, 2, 3, 4],
        () => ForecastScores.use((scores) => scores.score(20, false)),
        {
          concurrency: "unbounded"
        }
      )
      let total = counts.reduce((sum, n) => sum + n, 0)
      for (let more = 1; more > 0; total += more) more = yield* score
      assert.strictEqual(total, 60)
      assert.strictEqual((yield* scoresOf).length, 60)
    }).pipe(Effect.provide(Store))
  )

  it.live("the leaderboard goes by handler and horizon and compares like with like", () =>
    Effect.gen(function* () {
      yield* event("E", [{ ticker: "A", close: now }])
      yield* predict("A", { prob: "0.9", mid: "0.8", handler: "good" })
      yield* predict("A", { prob: "0.1", handler: "good" })
      yield* predict("A", { prob: "0.9", mid: "0.8", before: 2 * hour, handler: "good" })
      yield* predict("A", { prob: "0.5", mid: "0.8", handler: "bad" })
      yield* settle("A", "yes")
      yield* score
      const scores = yield* ForecastScores
      const board = yield* scores.leaderboard({})
      assert.deepStrictEqual(
        board.map((standing) => [
          standing.handler,
          standing.horizon,
          standing.scored,
          standing.compared,
          standing.comparedBrier?.toFixed(4),
          standing.marketBrier?.toFixed(4),
          standing.brierSkill?.toFixed(4)
        ]),
        [
          ["bad", "<15m", 1, 1, "0.2500", "0.0400", "-5.2500"],
          ["good", "<15m", 2, 1, "0.0100", "0.0400", "0.7500"],
          ["good", "1h-6h", 1, 1, "0.0100", "0.0400", "0.7500"]
        ]
      )
      assert.strictEqual((yield* scores.leaderboard({ handler: "bad" })).length, 1)
      assert.strictEqual((yield* scores.leaderboard({ since: fromMillis(now - hour) })).length, 2)
      const rows = yield* Stream.runCollect(scores.rows({ handler: "bad" }))
      assert.deepStrictEqual(
        rows.map(({ market_ticker, outcome, yes_prob }) => [market_ticker, yes_prob, outcome]),
        [["A", "0.5", "1"]]
      )
    }).pipe(Effect.provide(Store))
  )
})
