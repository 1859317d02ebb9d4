import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"

/** Called once for each field that no decoder knows; cheap enough for a hot path. */
export type UnknownField = (payload: string, field: string) => void

export const ignoreUnknown: UnknownField = () => {}

/** How often each field the exchange sends but we do not know was seen: how a change of its API is noticed. */
export class Drift extends Context.Service<
  Drift,
  {
    readonly unknown: UnknownField
    /** Counts since the start, keyed `payload.field`. */
    readonly counts: Effect.Effect<ReadonlyMap<string, number>>
  }
>()("kalshi-ingestor/kalshi/Drift") {
  static readonly layer = Layer.effect(
    Drift,
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const seen = new Map<string, Map<string, { count: number; readonly metric: Metric.Counter<number> }>>()
      let names = 0
      return Drift.of({
        unknown: (payload, field) => {
          const fields =
            seen.get(payload) ?? new Map<string, { count: number; readonly metric: Metric.Counter<number> }>()
          if (fields.size === 0) seen.set(payload, fields)
          let entry = fields.get(field)
          if (entry === undefined) {
            const name = ++names > maxNames ? others : field.slice(0, 64)
            entry = fields.get(name) ?? {
              count: 0,
              metric: Metric.withAttributes(unknownFields, { payload, field: name })
            }
            fields.set(name, entry)
          }
          entry.count++
          entry.metric.updateUnsafe(1, context)
        },
        counts: Effect.sync(
          () =>
            new Map(
              Array.from(seen, ([payload, fields]) =>
                Array.from(fields, ([field, { count }]) => [`${payload}.${field}`, count] as const)
              ).flat()
            )
        )
      })
    })
  )
}

const maxNames = 500
const others = "(others)"

const unknownFields = Metric.counter("kalshi_unknown_fields", {
  description: "Fields in exchange payloads that no decoder knows",
  incremental: true
})
