import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ForecastScores } from "../../src/store/ForecastScores.ts"
import { RagDocuments } from "../../src/store/RagDocuments.ts"
import { Original } from "../store/Original.ts"
import { between, importOnce } from "./ImportFixture.ts"

const ours = PgClient.PgClient
const theirs = Original.use(({ sql }) => Effect.succeed(sql))

describe("Importer, forecasts", { timeout: 60_000 }, () => {
  it.live(
    "forecasts are scored under their agent and model, apart from ours; a price under a model's name is not",
    () =>
      between(
        Original.layer,
        Effect.gen(function* () {
          yield* importOnce()
          const sql = yield* ours
          yield* sql`
          insert into market_predictions (market_ticker, yes_prob, handler, agent_name, quote_mid_dollars, predicted_at, close_time)
          values ('KXBTCD-26MAR2417-B80750', 0.1, 'baseline:market_mid', 'baseline:market_mid', 0.1, '2026-03-24 20:59:00Z',
            '2026-03-24 21:00:00Z')`
          const { leaderboard, scored } = yield* ForecastScores.use((scores) =>
            Effect.gen(function* () {
              const scored = yield* scores.score(100, true)
              assert.strictEqual(yield* scores.score(100, true), 0)
              return { scored, leaderboard: yield* scores.leaderboard({}) }
            })
          ).pipe(Effect.provide(ForecastScores.layer))
          assert.strictEqual(scored, 6)
          assert.deepStrictEqual(
            leaderboard.map(({ brier, compared, handler, horizon, model, scored }) => [
              handler,
              model,
              horizon,
              scored,
              compared,
              Math.round(brier * 1e6) / 1e6
            ]),
            [
              ["baseline:market_mid", null, "<15m", 1, 1, 0.01],
              ["imported:baseline:market_mid", null, "15m-1h", 1, 0, 0],
              ["imported:rag-agent", "gpt-x", "15m-1h", 3, 0, 0.360333],
              ["imported:unknown", null, "15m-1h", 1, 0, 0.01]
            ]
          )
          const left = yield* sql`
          select imported_id::int as id, not_scored from market_predictions p
          where imported_from is not null and not exists (select from prediction_scores s where s.prediction_id = p.id) order by 1`
          assert.deepStrictEqual(left, [
            { id: 2, not_scored: "price_as_forecast" },
            { id: 3, not_scored: "price_as_forecast" },
            { id: 14, not_scored: null },
            { id: 15, not_scored: "after_close" }
          ])
        })
      )
  )

  it.live("a run that ends meanwhile brings its forecasts with the next import", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        yield* importOnce()
        const source = yield* theirs
        const sql = yield* ours
        yield* source`update prediction_runs set status = 'completed', metadata = '{"market_count": 3, "predictions": 1}' where id = 4`
        yield* sql`insert into markets (ticker, event_ticker) values ('KXNEW-26MAR24-T1', 'KXNEW-26MAR24')`
        const { tables } = yield* importOnce()
        assert.deepStrictEqual(
          [tables["prediction_runs"], tables["market_predictions"]].map((one) => [
            one?.imported,
            one?.already,
            one?.refused
          ]),
          [
            [1, 4, 1],
            [1, 9, 6]
          ]
        )
        assert.strictEqual(tables["prediction_runs"]?.faults["run_failed"], 1)
        assert.strictEqual(tables["market_predictions"]?.faults["forecast_of_failed_run"], 1)
        assert.strictEqual(tables["market_predictions"]?.faults["market_unknown"], 1)
        assert.strictEqual(tables["market_predictions"]?.repaired["market_unknown"], 1)
        const run = yield* sql`
          select r.outcome, r.failure, r.markets, r.forecasts, array_agg(p.imported_id::int) as ids
          from prediction_runs r join market_predictions p on p.run_id = r.id where r.imported_id = 4 group by r.id`
        assert.deepStrictEqual(run, [{ outcome: "succeeded", failure: null, markets: 3, forecasts: 1, ids: [11] }])
      })
    )
  )

  it.live("a document's newer text takes the place of its older one; what others have, too, stays", () =>
    between(
      Original.layer,
      Effect.gen(function* () {
        const source = yield* theirs
        const sql = yield* ours
        const documents = yield* RagDocuments
        yield* documents.save("mine.md", [
          {
            source: "mine.md",
            title: "Mine",
            content: "four",
            contentHash: "04efaf080f5a3e74e1c29d1ca6a48569382cbbcd324e8d59d2b83ef21c039f00",
            publishedAt: undefined,
            metadata: undefined
          }
        ])
        assert.strictEqual((yield* importOnce()).tables["rag_documents"]?.imported, 12)
        yield* source`update rag_documents set content = content || ' anew', updated_at = '2026-03-24 22:00Z' where id in (1, 4, 10)`
        const { tables } = yield* importOnce()
        assert.deepStrictEqual(
          [tables["rag_documents"]?.imported, tables["rag_documents"]?.already, tables["rag_documents"]?.refused],
          [3, 9, 2]
        )
        const pieces = yield* sql`
          select content, sources, superseded_at is not null as over from rag_documents
          where content ~ '^(Bitcoin|four|ten)' order by content`
        assert.deepStrictEqual(pieces, [
          { content: "Bitcoin price on Mar 24?", sources: ["market/KXBTCD-26MAR2417-B80750#2"], over: false },
          { content: "Bitcoin price on Mar 24? anew", sources: ["event/KXBTCD-26MAR2417#1"], over: false },
          { content: "four", sources: ["mine.md"], over: false },
          { content: "four anew", sources: ["news/4#4"], over: false },
          { content: "ten", sources: [], over: true },
          { content: "ten anew", sources: ["news/10#10"], over: false }
        ])
        yield* source`update rag_documents set content = 'ten' where id = 10`
        assert.strictEqual((yield* importOnce()).tables["rag_documents"]?.imported, 1)
        const back =
          yield* sql`select content, superseded_at is null as live from rag_documents where content ~ '^ten' order by 1`
        assert.deepStrictEqual(back, [
          { content: "ten", live: true },
          { content: "ten anew", live: false }
        ])
        const found = yield* documents.byVector("mini", [0.6, -0.8], Date.UTC(2026, 2, 25), 5)
        assert.deepStrictEqual(
          found.map(({ content, score }) => [content, Math.round(score * 1e6) / 1e6]),
          [
            ["Bitcoin price on Mar 24? anew", 1],
            ["Bitcoin price on Mar 24?", 1]
          ]
        )
      }).pipe(Effect.provide(RagDocuments.layer))
    )
  )
})
