import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { SignedIn, Unavailable } from "./ApiErrors.ts"
import { described, Instant, Text } from "./ApiFields.ts"

const Score = Schema.NullOr(Schema.Finite)

export const Standing = Schema.Struct({
  handler: Schema.String,
  model: Text,
  horizon: Schema.String.annotate(described("from the forecast to the close of its market")),
  scored: Schema.Int,
  brier: Schema.Finite,
  logLoss: Schema.Finite,
  compared: Schema.Int.annotate(described("forecasts whose market had a two-sided quote at the same instant")),
  comparedBrier: Score.annotate(described("of those forecasts alone")),
  marketBrier: Score.annotate(described("of the middle of those quotes")),
  comparedLogLoss: Score,
  marketLogLoss: Score,
  brierSkill: Score.annotate(described("1 is perfect, 0 as good as the market, below 0 worse"))
})
export type Standing = typeof Standing.Type

export const Curve = Schema.Struct({
  handler: Schema.String,
  model: Text,
  horizon: Schema.String,
  of: Schema.Literals(["handler", "market"]).annotate(
    described("market: the middle of the quote at the instants of that handler's forecasts")
  ),
  scored: Schema.Int,
  brier: Schema.Finite,
  reliability: Schema.Finite,
  resolution: Schema.Finite,
  uncertainty: Schema.Finite,
  expectedError: Schema.Finite.annotate(described("mean distance from the diagonal")),
  curve: Schema.Array(
    Schema.Struct({
      from: Schema.Finite,
      to: Schema.Finite,
      scored: Schema.Int,
      forecast: Schema.Finite.annotate(described("mean probability")),
      observed: Schema.Finite.annotate(described("how often YES came"))
    })
  )
})
export type Curve = typeof Curve.Type

export const ForecastScoresPage = Schema.Struct({
  leaderboard: Schema.Array(Standing),
  calibration: Schema.Array(Curve)
})
export type ForecastScoresPage = typeof ForecastScoresPage.Type

export class Forecasts extends HttpApiGroup.make("forecasts")
  .add(
    HttpApiEndpoint.get("scores", "/api/forecasts/scores", {
      query: {
        handler: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200))),
        since: Schema.optionalKey(Instant),
        points: Schema.optionalKey(
          Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 100 })).annotate(
            described("points of a curve, 1 to 100; 10 when left out")
          )
        )
      },
      success: ForecastScoresPage,
      error: Unavailable
    }).annotate(OpenApi.Summary, "How good forecasts were: leaderboard and calibration by handler and horizon")
  )
  .middleware(SignedIn) {}
