import * as Console from "effect/Console"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { calibration } from "../market/Calibration.ts"
import { fromMillis } from "../market/Timestamp.ts"
import { layerCalls, layerEmbeddings } from "../prediction/HandlersFromSettings.ts"
import * as Ingest from "../prediction/Ingest.ts"
import { describe } from "../prediction/ModelCalls.ts"
import * as PredictionConfig from "../prediction/PredictionConfig.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { ForecastScores, type ScoredRow, type ScoreFilter, type Standing } from "../store/ForecastScores.ts"
import { RagDocuments } from "../store/RagDocuments.ts"

const json = Flag.Boolean("json").pipe(Flag.withDefault(false))

/** Stores documents for forecasts to be given. */
export const ingestCommand = Command.make(
  "ingest",
  {
    files: Argument.String("files").pipe(
      Argument.withDescription("text, Markdown or JSONL files; a line of JSONL is one document"),
      Argument.atLeast(1)
    ),
    json
  },
  Effect.fn("ingestCommand")(function* (flags) {
    const config = yield* Setting.read({ ...PredictionConfig.model, ...PredictionConfig.embedding })
    const ingested = yield* Ingest.ingest(flags.files)
    const model = config.embeddingModel
    const embedded =
      model === undefined
        ? 0
        : yield* Ingest.embedAll(model).pipe(
            Effect.catchTag("AiError", (error) =>
              Effect.fail(
                new SettingError({
                  setting: "RAG_EMBEDDING_MODEL",
                  problem: `the documents are stored, but not all could be embedded (${describe(error)})`,
                  fix: "correct the model or its address and run the command again"
                })
              )
            ),
            Effect.provide(layerEmbeddings(config, model).pipe(Layer.provide(layerCalls(config))))
          )
    const done = { ...ingested, embedded }
    yield* Console.log(
      flags.json
        ? JSON.stringify(done)
        : `${done.files} files, ${done.sources} documents: ${done.added} pieces added, ${done.known} known, ${done.superseded} superseded, ${done.embedded} embedded`
    )
  })
).pipe(Command.withDescription("store documents that forecasts are given"), Command.provide(RagDocuments.layer))

/** Leaderboard and calibration on standard output; `--csv`: every scored forecast. */
export const scoresCommand = Command.make(
  "scores",
  {
    json,
    csv: Flag.Boolean("csv").pipe(Flag.withDescription("every scored forecast, a line each"), Flag.withDefault(false)),
    handler: Flag.String("handler").pipe(Flag.withDescription("only this handler's forecasts"), Flag.optional),
    since: Flag.String("since").pipe(
      Flag.withDescription("only forecasts made from this instant on, like 2026-11-24T14:00:00Z"),
      Flag.optional
    ),
    points: Flag.Int("points").pipe(Flag.withDescription("points of the calibration curve"), Flag.withDefault(10))
  },
  Effect.fn("scoresCommand")(function* (flags) {
    const scores = yield* ForecastScores
    if (flags.points < 1 || flags.points > 100)
      return yield* new SettingError({
        setting: "--points",
        problem: "it is not from 1 to 100",
        fix: "write it like --points 10"
      })
    const filter: ScoreFilter = {
      handler: Option.getOrUndefined(flags.handler),
      since: Option.isSome(flags.since) ? yield* instant(flags.since.value) : undefined
    }
    if (flags.csv) {
      yield* Console.log(columns.join(","))
      return yield* Stream.runForEach(scores.rows(filter), (row) =>
        Console.log(columns.map((column) => cell(row[column])).join(","))
      )
    }
    const leaderboard = yield* scores.leaderboard(filter)
    if (!flags.json) return yield* Console.log(table(leaderboard))
    const bands = yield* scores.bands(filter)
    yield* Console.log(
      JSON.stringify({
        leaderboard,
        calibration: bands.map(({ bands: counted, ...whose }) => ({
          ...whose,
          ...calibration(counted, ForecastScores.bandWidth, flags.points)
        }))
      })
    )
  })
).pipe(Command.withDescription("how good forecasts were"), Command.provide(ForecastScores.layer))

const instant = (text: string) =>
  Number.isNaN(Date.parse(text)) || !/[zZ]|[+-]\d\d:\d\d$/.test(text)
    ? Effect.fail(
        new SettingError({
          setting: "--since",
          problem: "it is not an instant with its zone",
          fix: "write it like 2026-11-24T14:00:00Z"
        })
      )
    : Effect.succeed(fromMillis(Date.parse(text)))

const columns = [
  "prediction_id",
  "run_id",
  "event_ticker",
  "market_ticker",
  "handler",
  "model_name",
  "agent_name",
  "predicted_at",
  "close_time",
  "horizon",
  "yes_prob",
  "confidence",
  "market_prob",
  "outcome",
  "brier",
  "log_loss",
  "market_brier",
  "market_log_loss"
] as const satisfies ReadonlyArray<keyof ScoredRow>

const cell = (value: string | number | null) => {
  const text = value === null ? "" : String(value)
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

const table = (standings: ReadonlyArray<Standing>): string => {
  if (standings.length === 0) return "nothing is scored yet"
  const number = (value: number | null) => (value === null ? "-" : value.toFixed(4))
  const rows = [
    ["handler", "model", "horizon", "scored", "brier", "log loss", "compared", "market brier", "skill"],
    ...standings.map((standing) => [
      standing.handler,
      standing.model ?? "-",
      standing.horizon,
      String(standing.scored),
      number(standing.brier),
      number(standing.logLoss),
      String(standing.compared),
      number(standing.marketBrier),
      number(standing.brierSkill)
    ])
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column]!))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}
