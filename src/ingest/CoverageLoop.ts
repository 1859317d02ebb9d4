import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { coverageStates } from "../market/Coverage.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { Coverage } from "../store/Coverage.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { coverageMoment } from "./CoverageMoment.ts"
import * as IngestConfig from "./IngestConfig.ts"

const hoursIn = (state: string) =>
  Metric.gauge("coverage_spans", {
    description: "Hours of markets in the last 24 hours by what is recorded of them",
    attributes: { state }
  })
const computed = Metric.counter("coverage_computations", {
  description: "Stretches of markets whose coverage was computed anew",
  incremental: true
})

/** An hour is looked at this long after its end, on our clock: what it brought is stored by then. */
const settledMillis = 5_000
const dayMillis = 86_400_000

/** Keeps the coverage of each market and hour in line with what was recorded, repaired and asked for. */
export const CoverageLoop = Layer.effectDiscard(
  Effect.gen(function* () {
    const config = yield* Setting.read(IngestConfig.completeness)
    if (config.coverageSeconds === 0) return
    const loops = yield* Loops
    const health = yield* Health
    const coverage = yield* Coverage
    const time = yield* ExchangeTime
    const progress = { completedAt: yield* Clock.currentTimeMillis, detail: "no pass has completed yet" }

    const pass = Effect.gen(function* () {
      const moment = yield* coverageMoment.pipe(Effect.provideService(ExchangeTime, time))
      const dueMillis = time.fromWall((yield* Clock.currentTimeMillis) - settledMillis)
      const done = yield* coverage.refresh({ ...moment, dueMillis })
      yield* Metric.update(computed, done)
      const counts = yield* coverage.countsSince(moment.nowMillis - dayMillis)
      for (const state of coverageStates)
        if (state !== "not_yet_due") yield* Metric.update(hoursIn(state), counts.get(state) ?? 0)
      const holes = (counts.get("degraded") ?? 0) + (counts.get("absent") ?? 0)
      progress.completedAt = yield* Clock.currentTimeMillis
      progress.detail = `${holes} of ${[...counts.values()].reduce((sum, n) => sum + n, 0)} market-hours of the last 24 hours have holes`
    })

    yield* health.register(
      "coverage",
      Effect.map(Clock.currentTimeMillis, (now) => {
        const ageSeconds = (now - progress.completedAt) / 1000
        return { ok: ageSeconds < Math.max(2 * config.coverageSeconds, 600), detail: progress.detail, ageSeconds }
      })
    )
    yield* loops.cycle("coverage", { pass: untilDatabaseAnswers(pass), every: `${config.coverageSeconds} seconds` })
  })
)
