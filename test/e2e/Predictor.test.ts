import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Asked, fakeModel, forecasts } from "../prediction/FakeModel.ts"
import { event, minute, now, settle } from "../prediction/ForecastFixture.ts"
import { predictions, runs, until } from "../prediction/PredictorFixture.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "predictor-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true }))
)

/** Nearness by how often a text says rain. */
const answer = (asked: Asked) =>
  asked.path === "/v1/embeddings"
    ? {
        body: {
          data: (asked.body.input as ReadonlyArray<string>).map((text, index) => ({
            index,
            embedding: [text.toLowerCase().split("rain").length - 1, 1, 0.5]
          })),
          usage: { prompt_tokens: 5, total_tokens: 5 }
        }
      }
    : forecasts(asked, 0.8)

describe("node dist/predictor.js", () => {
  it.live(
    "takes documents in, forecasts with the nearest of them, scores, and exports",
    () =>
      Effect.gen(function* () {
        const home = yield* directory
        const model = yield* fakeModel(answer)
        const wallMillis = yield* Clock.currentTimeMillis
        const env = {
          ...(yield* TestDatabase.environment),
          EXCHANGE_CLOCK: `${wallMillis}:${now}:60`,
          PREDICTION_ENABLE: "1",
          PREDICTION_HANDLER: "llm,baseline:market_mid",
          PREDICTION_MODEL_NAME: "fake-1",
          PREDICTION_LLM_URL: `${model.url}/v1/`,
          PREDICTION_LLM_API_KEY: "sk-hunter2",
          PREDICTION_CONTEXT_DOCS: "1",
          RAG_EMBEDDING_MODEL: "rain-3"
        }
        const notes = path.join(home, "notes.jsonl")
        fs.writeFileSync(notes, '{"text":"Sun all week","source":"a"}\n{"text":"Rain, rain, rain","source":"b"}\n')
        const ingested = yield* Programs.run("predictor", env, ["ingest", notes, "--json"])
        assert.deepStrictEqual(JSON.parse(ingested.stdout), {
          files: 1,
          sources: 2,
          added: 2,
          known: 0,
          superseded: 0,
          embedded: 2
        })
        const again = yield* Programs.run("predictor", env, ["ingest", notes])
        assert.strictEqual(again.stdout, "1 files, 2 documents: 0 pieces added, 2 known, 0 superseded, 0 embedded\n")
        assert.strictEqual((yield* Programs.run("predictor", env, ["scores"])).stdout, "nothing is scored yet\n")

        yield* event("RAIN-1", [{ ticker: "RAIN-1-A", bid: "0.60", ask: "0.70", close: now + 90 * minute }], {
          title: "Rain?"
        })
        const predictor = yield* Programs.running("predictor", env)
        yield* until(runs, (rows) => rows.length >= 2)
        assert.include(model.asked.at(-1)!.body.messages[1].content, "Rain, rain, rain")
        assert.notInclude(model.asked.at(-1)!.body.messages[1].content, "Sun")
        yield* settle("RAIN-1-A", "yes", "1.0000")
        const sql = yield* PgClient.PgClient
        yield* until(sql`select 1 from prediction_scores`, (rows) => rows.length >= 2)
        assert.strictEqual(yield* predictor.end("SIGTERM"), 0, predictor.stderr())
        assert.notInclude(predictor.stderr(), "hunter2")
        assert.deepStrictEqual(
          (yield* predictions)
            .map(({ handler, prob }) => [handler, Number(prob)])
            .slice(0, 2)
            .sort(),
          [
            ["baseline:market_mid", 0.65],
            ["llm", 0.8]
          ]
        )

        const table = yield* Programs.run("predictor", env, ["scores"])
        assert.match(table.stdout, /^handler +model +horizon +scored/)
        assert.match(table.stdout, /llm +fake-1 +1h-6h +1 +0\.0400/)
        const exported = JSON.parse(
          (yield* Programs.run("predictor", env, ["scores", "--json", "--handler=llm"])).stdout
        )
        assert.strictEqual(exported.leaderboard[0].brierSkill.toFixed(4), (1 - 0.04 / 0.1225).toFixed(4))
        assert.deepStrictEqual(
          exported.calibration.map(({ curve, of }: { of: string; curve: ReadonlyArray<object> }) => [of, curve.length]),
          [
            ["handler", 1],
            ["market", 1]
          ]
        )
        const csv = (yield* Programs.run("predictor", env, ["scores", "--csv"])).stdout.trim().split("\n")
        assert.strictEqual(csv.length, 3)
        assert.include(csv[0], "market_prob")
        assert.isTrue(csv.slice(1).every((line) => line.split(",").length === csv[0]!.split(",").length))
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    60_000
  )
})
