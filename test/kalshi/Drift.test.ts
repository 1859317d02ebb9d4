import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Schema from "effect/Schema"
import { Drift } from "../../src/kalshi/Drift.ts"
import * as RestWire from "../../src/kalshi/RestWire.ts"
import { decodeFrame } from "../../src/kalshi/SocketWire.ts"

/** Runs with a drift of its own, and gives what was logged and what /metrics would show. */
const observed = <A, E>(use: (drift: typeof Drift.Service) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const logged: Array<unknown> = []
    const logger = Logger.make(({ logLevel, message }) => {
      logged.push([logLevel, ...(Array.isArray(message) ? message : [message])])
    })
    const [value, counts, metrics] = yield* Effect.gen(function* () {
      const drift = yield* Drift
      return [yield* use(drift), new Map(yield* drift.counts), yield* PrometheusMetrics.format()] as const
    }).pipe(
      Effect.provide(Layer.fresh(Layer.provide(Drift.layer, Logger.layer([logger])))),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
    const samples = metrics.split("\n").filter((line) => line.startsWith("kalshi_unknown"))
    return { value, counts, samples, logged }
  })

const market = {
  ticker: "A",
  status: "napping",
  market_type: "binary",
  result: "",
  strike_type: null,
  price_level_structure: "fractal_cent",
  title: "any text at all",
  custom_strike: { whatever: "it is" },
  price_ranges: [{ start: "0.0000", end: "1.0000", step: "0.0100", skew: "0.1" }]
}

describe("Drift", () => {
  it.effect("counts and names what is unknown, warns of each once, and shows it in the metrics", () =>
    Effect.gen(function* () {
      const { counts, logged, samples } = yield* observed(({ unknown }) =>
        Effect.sync(() => {
          for (let times = 0; times < 3; times++) {
            unknown.field("ticker", "mood")
            unknown.field("trade", "mood")
            unknown.value("market", "status", "napping")
            unknown.frameType("market_weather")
          }
          unknown.value("market", "status", "asleep")
        })
      )
      assert.deepStrictEqual(
        [...counts],
        [
          ["market_weather", 3],
          ["ticker.mood", 3],
          ["trade.mood", 3],
          ["market.status=napping", 3],
          ["market.status=asleep", 1]
        ]
      )
      assert.deepStrictEqual(logged, [
        ["Warn", "the exchange sends a field we do not know", { payload: "ticker", field: "mood" }],
        ["Warn", "the exchange sends a field we do not know", { payload: "trade", field: "mood" }],
        ["Warn", "the exchange sends a word we do not know", { payload: "market", field: "status", value: "napping" }],
        ["Warn", "the exchange sends frames of a type we do not know", { type: "market_weather" }],
        ["Warn", "the exchange sends a word we do not know", { payload: "market", field: "status", value: "asleep" }]
      ])
      assert.deepStrictEqual(samples.sort(), [
        'kalshi_unknown_fields{payload="ticker",field="mood"} 3',
        'kalshi_unknown_fields{payload="trade",field="mood"} 3',
        'kalshi_unknown_types{type="market_weather"} 3',
        'kalshi_unknown_values{payload="market",field="status",value="asleep"} 1',
        'kalshi_unknown_values{payload="market",field="status",value="napping"} 3'
      ])
    })
  )

  it.effect("reads what it does not know as it came, over REST", () =>
    Effect.gen(function* () {
      const { counts, value } = yield* observed(({ unknown }) =>
        Effect.fromResult(RestWire.marketsPage({ cursor: "", markets: [market, market], colour: "red" }, unknown))
      )
      assert.deepStrictEqual(value.items[0] as unknown, {
        ticker: "A",
        status: "napping",
        marketType: "binary",
        priceLevelStructure: "fractal_cent",
        title: "any text at all",
        customStrike: { whatever: "it is" },
        priceRanges: [{ start: "0.0000", end: "1.0000", step: "0.0100" }]
      })
      assert.deepStrictEqual([...counts].sort(), [
        ["market.price_level_structure=fractal_cent", 2],
        ["market.price_ranges.skew", 2],
        ["market.status=napping", 2],
        ["markets_page.colour", 1]
      ])
    })
  )

  it.effect("tells of what is unknown also in a body that cannot be read", () =>
    Effect.gen(function* () {
      const { counts } = yield* observed(({ unknown }) =>
        Effect.sync(() =>
          assert.isTrue(
            RestWire.eventsPage(
              { events: [{ event_ticker: 7, mood: 1, markets: "none", exchange_index: [] }] },
              unknown
            )._tag === "Failure"
          )
        )
      )
      assert.deepStrictEqual([...counts], [["event.mood", 1]])
    })
  )

  it.effect("does not count the keys of what is the exchange's own affair, nor any market's text", () =>
    Effect.gen(function* () {
      const body = {
        event: {
          event_ticker: "E",
          title: "title",
          strike_period: "fortnight",
          category: "Weather",
          product_metadata: { cadence: "fortnightly", competition: "x" },
          settlement_sources: [{ name: "n", url: "u", since: 1 }],
          markets: [{ ...market, status: "active", price_level_structure: "linear_cent", price_ranges: [] }]
        },
        markets: [{ anything: 1 }]
      }
      const { counts } = yield* observed(({ unknown }) => Effect.fromResult(RestWire.event(body, unknown)))
      assert.deepStrictEqual([...counts], [["event.product_metadata.cadence=fortnightly", 1]])
    })
  )

  it.effect("counts nothing of a known frame, and each unknown one in any quantity", () =>
    Effect.gen(function* () {
      const known = JSON.stringify({ type: "subscribed", id: 1, msg: { channel: "ticker", sid: 1 } })
      const { counts, logged } = yield* observed(({ unknown }) =>
        Effect.sync(() => {
          for (let times = 0; times < 1000; times++) {
            decodeFrame(known, 0, unknown)
            decodeFrame('{"type":"market_weather","sid":3,"msg":{"mood":"calm"}}', 0, unknown)
          }
        })
      )
      assert.deepStrictEqual([...counts], [["market_weather", 1000]])
      assert.strictEqual(logged.length, 1)
    })
  )

  it.effect("shows names short and in plain characters", () =>
    Effect.gen(function* () {
      const long = "x".repeat(1_000_000)
      const { counts, logged, samples } = yield* observed(({ unknown }) =>
        Effect.sync(() => {
          for (let times = 0; times < 2000; times++) unknown.value("market", "status", long)
          unknown.field("market", 'a\n"b\u0000\u{1f600}')
          unknown.frameType("")
        })
      )
      const short = "x".repeat(64)
      assert.deepStrictEqual([...counts].sort(), [
        ["", 1],
        ['market.a?"b???', 1],
        [`market.status=${short}`, 2000]
      ])
      assert.strictEqual(logged.length, 3)
      assert.include(samples, 'kalshi_unknown_fields{payload="market",field="a?\\"b???"} 1')
    })
  )

  it.effect("counts together what is too much to be named: of one payload, and of all", () =>
    Effect.gen(function* () {
      const { counts, logged, samples } = yield* observed(({ unknown }) =>
        Effect.sync(() => {
          for (const payload of ["a", "b", "c", "d", "e", "f"])
            for (let name = 0; name < 1000; name++) unknown.field(payload, `n${name}`)
          unknown.value("market", "status", "napping")
        })
      )
      const named = (payload: string) => [...counts.keys()].filter((key) => key.startsWith(`${payload}.n`)).length
      assert.deepStrictEqual(["a", "b", "c", "d", "e", "f"].map(named), [100, 100, 100, 100, 96, 0])
      assert.strictEqual(counts.get("a.n99"), 1)
      assert.strictEqual(counts.get("a.(others)"), 900)
      assert.strictEqual(counts.get("f.(others)"), 1000)
      assert.strictEqual(counts.get("market.status=napping"), 1)
      assert.strictEqual(samples.length, 496 + 6 + 1)
      assert.strictEqual(logged.length, 496 + 6 + 1)
    })
  )

  const Name = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 399 }))
  const Found = Schema.Struct({
    kind: Schema.Literals(["field", "value", "frameType"]),
    group: Schema.Literals(["a", "b", "c", "d", "e", "f", "g", "h"]),
    from: Name,
    names: Name
  })

  it.effect.prop(
    "loses no occurrence, names what came first, and keeps the names few whatever comes",
    [Schema.Array(Found)],
    ([finds]) =>
      Effect.gen(function* () {
        let told = 0
        const { counts, logged, samples } = yield* observed(({ unknown }) =>
          Effect.sync(() => {
            for (const { from, group, kind, names } of finds)
              for (let name = from; name < from + names; name++) {
                told++
                if (kind === "field") unknown.field(group, `n${name}`)
                else if (kind === "value") unknown.value(group, "field", `n${name}`)
                else unknown.frameType(`n${name}`)
              }
          })
        )
        const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
        assert.strictEqual(total, told)
        assert.strictEqual(logged.length, counts.size)
        const shown = samples.map((line) => Number(line.slice(line.lastIndexOf(" "))))
        assert.strictEqual(
          shown.reduce((sum, count) => sum + count, 0),
          told
        )
        assert.isAtMost(counts.size, 500 + 8 + 500 + 8 + 101)
        for (const { from, group, kind, names } of finds.slice(0, 1))
          if (names > 0)
            assert.isTrue(
              counts.has(
                kind === "field" ? `${group}.n${from}` : kind === "value" ? `${group}.field=n${from}` : `n${from}`
              )
            )
      })
  )
})
