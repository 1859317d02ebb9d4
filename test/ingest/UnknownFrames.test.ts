import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { TestDatabase } from "../support/Database.ts"
import { created, entry, lifecycle, start, ticker } from "./Frames.ts"
import { directory, record, stored } from "./Recorder.ts"

const numbered = (seq: number, raw: string) => raw.replace('"sid":2', `"sid":2,"seq":${seq}`)

const trade = (seq: number, side: string) =>
  JSON.stringify({
    type: "trade",
    sid: 3,
    seq,
    msg: {
      trade_id: `072206ce-5001-aeed-d03d-1f053dfa04d${seq}`,
      market_ticker: "M-1",
      yes_price_dollars: "0.9900",
      no_price_dollars: "0.0100",
      count_fp: "93.00",
      taker_outcome_side: side,
      is_block_trade: false,
      ts_ms: start + seq
    }
  })

const weather = (seq: number) => JSON.stringify({ type: "market_weather", sid: 3, seq, msg: { mood: "calm" } })

const unknownSamples = Effect.map(PrometheusMetrics.format(), (metrics) =>
  metrics.split("\n").filter((line) => line.startsWith("kalshi_unknown"))
)

describe("frames with what we do not know", () => {
  it.live("are stored as they came, counted once though the batch is read again and again, and are no gap", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const writer = yield* record(at)
      const sql = yield* PgClient.PgClient
      yield* writer.journal.append(
        [
          JSON.stringify({ type: "subscribed", id: 1, msg: { channel: "market_lifecycle_v2", sid: 2 } }),
          JSON.stringify({ type: "subscribed", id: 2, msg: { channel: "trade", sid: 3 } }),
          numbered(1, created("M-1", "KXBTCD-1", start, 1, { strike_type: "round", mood: "calm" })),
          numbered(2, lifecycle("M-1", "vanished", { result: "draw" })),
          trade(1, "yes"),
          weather(2),
          trade(3, "both"),
          ticker("M-1", start, { mood: "calm" }),
          ticker("nul\u0000", start + 1, { mood: "grim" })
        ].map((raw, n) => entry("frame", start + n, raw))
      )
      yield* stored(writer.journal)
      assert.deepStrictEqual(
        yield* sql`select event_type, result, raw->>'event_type' as said from lifecycle_events order by id`,
        [
          { event_type: "created", result: null, said: "created" },
          { event_type: "vanished", result: "draw", said: "vanished" }
        ]
      )
      assert.deepStrictEqual(yield* sql`select ticker, status, result, strike_type from markets`, [
        { ticker: "M-1", status: "initialized", result: "draw", strike_type: "round" }
      ])
      assert.deepStrictEqual(yield* sql`select count::text, taker_side from market_trades order by ts`, [
        { count: "93.00", taker_side: "yes" },
        { count: "93.00", taker_side: null }
      ])
      assert.deepStrictEqual(yield* sql`select ticker from market_ticks`, [{ ticker: "M-1" }])
      assert.deepStrictEqual(yield* sql`select cause from capture_gaps`, [])
      assert.strictEqual((yield* sql`select from quarantine`).length, 1)
      assert.deepStrictEqual((yield* unknownSamples).sort(), [
        'kalshi_unknown_fields{payload="market_lifecycle_v2.additional_metadata",field="mood"} 1',
        'kalshi_unknown_fields{payload="ticker",field="mood"} 2',
        'kalshi_unknown_types{type="market_weather"} 1',
        'kalshi_unknown_values{payload="market_lifecycle_v2",field="event_type",value="vanished"} 1',
        'kalshi_unknown_values{payload="market_lifecycle_v2",field="result",value="draw"} 1',
        'kalshi_unknown_values{payload="market_lifecycle_v2.additional_metadata",field="strike_type",value="round"} 1',
        'kalshi_unknown_values{payload="trade",field="taker_outcome_side",value="both"} 1'
      ])
      yield* writer.stop
    }).pipe(Effect.provide(TestDatabase.as("ws")), Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
