import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { ForecastScores } from "../../src/store/ForecastScores.ts"
import { event, now, settle } from "../prediction/ForecastFixture.ts"
import { Portal } from "./PortalFixture.ts"

describe("/api/forecasts/scores", () => {
  it.live("gives leaderboard and calibration to who is signed in, and nothing to others", () =>
    Effect.gen(function* () {
      const portal = yield* Portal
      const sql = yield* SqlClient.SqlClient
      assert.strictEqual((yield* portal.ask("/api/forecasts/scores")).status, 401)
      const headers = yield* portal.signIn
      const read = Effect.fnUntraced(function* (query: string) {
        const answer = yield* portal.ask(`/api/forecasts/scores${query}`, { headers })
        return { status: answer.status, body: JSON.parse(answer.body === "" ? "null" : answer.body) }
      })
      assert.deepStrictEqual((yield* read("?points=5")).body, { leaderboard: [], calibration: [] })

      yield* event("E", [
        { ticker: "A", close: now },
        { ticker: "B", close: now }
      ])
      yield* sql`
        insert into market_predictions (event_ticker, market_ticker, predicted_at, yes_prob, handler, close_time, quote_mid_dollars)
        select 'E', m, close_time - interval '10 minutes', p, h, close_time, 0.6
        from markets, (values ('A', 0, 'good'), ('A', 0.8, 'good'), ('B', 0.1, 'good'), ('B', 0.9, 'bad')) v (m, p, h) where ticker = m`
      yield* settle("A", "yes", "1.0000")
      yield* settle("B", "no", "0.0000")
      yield* ForecastScores.use((scores) => scores.score(10, false)).pipe(Effect.provide(ForecastScores.layer))
      const { body } = yield* read("")
      assert.deepStrictEqual(
        body.leaderboard.map(({ brier, handler, horizon, scored }: Record<string, number | string>) => [
          handler,
          horizon,
          scored,
          Number(brier).toFixed(4)
        ]),
        [
          ["bad", "<15m", 1, "0.8100"],
          ["good", "<15m", 3, "0.3500"]
        ]
      )
      const good = body.calibration.find(
        ({ handler, of }: Record<string, string>) => handler === "good" && of === "handler"
      )
      assert.deepStrictEqual(
        good.curve.map(({ forecast, observed, scored }: Record<string, number>) => [forecast, observed, scored]),
        [
          [0, 1, 1],
          [0.1, 0, 1],
          [0.8, 1, 1]
        ]
      )
      assert.strictEqual((yield* read("?handler=bad")).body.leaderboard.length, 1)
      assert.strictEqual((yield* read("?since=2027-01-01T00:00:00Z")).body.leaderboard.length, 0)
      for (const wrong of ["?points=0", "?points=1.5", "?since=yesterday"])
        assert.strictEqual((yield* read(wrong)).status, 400)
      const page = yield* portal.ask("/forecasts")
      assert.strictEqual(page.status, 200)
    }).pipe(Effect.provide(Portal.layerWith({})))
  )
})
