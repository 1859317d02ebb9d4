import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { calibration } from "../market/Calibration.ts"
import { ForecastScores, type ScoreFilter } from "../store/ForecastScores.ts"
import { orUnavailable } from "./Guarded.ts"
import { PortalApi } from "./PortalApi.ts"

export const ForecastHandlers = HttpApiBuilder.group(
  PortalApi,
  "forecasts",
  Effect.fnUntraced(function* (handlers) {
    const scores = yield* ForecastScores
    const pages = yield* Cache.make({
      capacity: 50,
      timeToLive: "10 seconds",
      lookup: Effect.fnUntraced(function* (key: string) {
        const [filter, points] = JSON.parse(key) as [ScoreFilter, number]
        const leaderboard = yield* scores.leaderboard(filter)
        const bands = yield* scores.bands(filter)
        return {
          leaderboard,
          calibration: bands.flatMap(({ bands: counted, ...whose }) => {
            const found = calibration(counted, ForecastScores.bandWidth, points)
            return found === undefined ? [] : [{ ...whose, ...found }]
          })
        }
      })
    })
    return handlers.handleAll({
      scores: ({ query: { points, ...filter } }) =>
        orUnavailable(Cache.get(pages, JSON.stringify([filter, points ?? 10])))
    })
  })
)
