import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type { Unknowns } from "./Unknowns.ts"

/**
 * How often each field, word and frame type was seen that the exchange sends and we do not know: how a change of its API is
 * noticed. The first time of each in a process is a warning in the log.
 */
export class Drift extends Context.Service<
  Drift,
  {
    readonly unknown: Unknowns
    /** Counts since the start, keyed `payload.field`, `payload.field=value` and `type`. */
    readonly counts: Effect.Effect<ReadonlyMap<string, number>>
  }
>()("kalshi-ingestor/kalshi/Drift") {
  static readonly layer = Layer.effect(
    Drift,
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const tallies = (counter: Metric.Counter<number>, message: string) => {
        const budget = { left: maxNames }
        return (attributes: (name: string) => Readonly<Record<string, string>>) =>
          new Tally(budget, (name) => {
            const found = attributes(name)
            const metric = Metric.withAttributes(counter, found)
            Effect.runForkWith(context)(Effect.logWarning(message, found))
            return { count: 0, add: () => metric.updateUnsafe(1, context) }
          })
      }
      const ofPayload = tallies(unknownFields, "the exchange sends a field we do not know")
      const ofField = tallies(unknownValues, "the exchange sends a word we do not know")
      const types = tallies(unknownTypes, "the exchange sends frames of a type we do not know")((type) => ({ type }))
      const fields = new Map<string, Tally>()
      const values = new Map<string, Tally>()
      return Drift.of({
        unknown: {
          field: (payload, field) => {
            let tally = fields.get(payload)
            if (tally === undefined) {
              tally = ofPayload((name) => ({ payload, field: name }))
              fields.set(payload, tally)
            }
            tally.count(field)
          },
          value: (payload, field, value) => {
            const key = `${payload}.${field}`
            let tally = values.get(key)
            if (tally === undefined) {
              tally = ofField((name) => ({ payload, field, value: name }))
              values.set(key, tally)
            }
            tally.count(value)
          },
          frameType: (type) => types.count(type)
        },
        counts: Effect.sync(
          () =>
            new Map([
              ...types.counts(""),
              ...Array.from(fields, ([payload, tally]) => tally.counts(`${payload}.`)).flat(),
              ...Array.from(values, ([key, tally]) => tally.counts(`${key}=`)).flat()
            ])
        )
      })
    })
  )
}

/** Names that are counted apart: of each kind, and of one payload or field among them. */
const maxNames = 500
const maxNamesTogether = 100
const maxLength = 64
const others = "(others)"

interface Entry {
  count: number
  readonly add: () => void
}

/** Counts names, each apart while there are not too many of them. */
class Tally {
  readonly #entries = new Map<string, Entry>()
  readonly #budget: { left: number }
  readonly #open: (name: string) => Entry

  constructor(budget: { left: number }, open: (name: string) => Entry) {
    this.#budget = budget
    this.#open = open
  }

  count(found: string): void {
    const entry = this.#entries.get(found) ?? this.#entry(found)
    entry.count++
    entry.add()
  }

  counts(prefix: string): ReadonlyArray<readonly [string, number]> {
    return Array.from(this.#entries, ([name, { count }]) => [prefix + name, count] as const)
  }

  #entry(found: string): Entry {
    const shown = found.slice(0, maxLength).replace(/[^\x20-\x7e]/g, "?")
    const known = this.#entries.get(shown)
    if (known !== undefined) return known
    const full = this.#budget.left <= 0 || this.#entries.size >= maxNamesTogether
    const name = full ? others : shown
    const entry = this.#entries.get(name) ?? this.#open(name)
    if (!this.#entries.has(name)) this.#budget.left--
    this.#entries.set(name, entry)
    return entry
  }
}

const unknownFields = Metric.counter("kalshi_unknown_fields", {
  description: "Fields in exchange payloads that no decoder knows",
  incremental: true
})
const unknownValues = Metric.counter("kalshi_unknown_values", {
  description: "Words in exchange payloads that are none of those known for their field",
  incremental: true
})
const unknownTypes = Metric.counter("kalshi_unknown_types", {
  description: "Frames of the feed whose type no decoder knows",
  incremental: true
})
