import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Ref from "effect/Ref"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import { LifecycleEvents } from "../store/LifecycleEvents.ts"
import { Partitions } from "../store/Partitions.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"

const defaultRows = Metric.gauge("default_partition_rows", {
  description: "Rows that no partition was made for; anything but 0 is a fault"
})

/** Makes partitions ahead of the rows, tells when a row fell into a default partition all the same, and sweeps what waits in vain. */
export const Maintenance = Layer.effectDiscard(
  Effect.gen(function* () {
    const loops = yield* Loops
    const health = yield* Health
    const partitions = yield* Partitions
    const lifecycle = yield* LifecycleEvents
    const time = yield* ExchangeTime
    const stray = yield* Ref.make(0)

    const pass = Effect.gen(function* () {
      const made = yield* partitions.ahead(yield* time.now)
      if (made > 0) yield* Effect.logInfo("partitions made", { made })
      yield* lifecycle.sweep(yield* time.now)
      const rows = yield* partitions.defaultRows
      const total = Object.values(rows).reduce((sum, some) => sum + some, 0)
      yield* Ref.set(stray, total)
      yield* Metric.update(defaultRows, total)
      if (total > 0) yield* Effect.logError("rows without a partition of their own", rows)
    })
    yield* health.register(
      "partitions",
      Effect.map(Ref.get(stray), (total) => ({ ok: total === 0, detail: `${total} rows in default partitions` }))
    )
    yield* loops.cycle("maintenance", { pass: untilDatabaseAnswers(pass), every: "1 minute" })
  })
)
