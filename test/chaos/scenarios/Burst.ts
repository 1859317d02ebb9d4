import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { BurstStamp } from "../../../src/simulator/Burst.ts"
import type { Scenario } from "../Scenario.ts"
import type { Stage } from "../Stage.ts"

/** The first stored tick of each new market: when it was stamped and received, exchange milliseconds. */
const firstTicks = (stage: Stage) =>
  stage
    .query<{ ticker: string; at: number }>(
      `select ticker, (extract(epoch from min(received_at)) * 1000)::float8 as at
      from market_ticks where ticker like 'KXXRPD-%' group by 1`
    )
    .pipe(Effect.map((rows) => new Map(rows.map(({ at, ticker }) => [ticker, at]))))

const ended = (stage: Stage) =>
  stage
    .query<{ n: number }>("select count(*)::int as n from lifecycle_events where event_type = 'settled'")
    .pipe(Effect.map((rows) => rows[0]?.n ?? 0))

const quantile = (sorted: ReadonlyArray<number>, q: number) =>
  Number((sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0).toFixed(2))

export const burst: Scenario = {
  name: "burst",
  about: "hundreds of hourly markets open within a minute while others close and settle",
  usual: { seed: 1, rate: 2_000, forSeconds: 60, times: 250 },
  short: { seed: 1, rate: 200, forSeconds: 3, times: 60 },
  act: Effect.fnUntraced(function* (stage) {
    const { forSeconds, times = 250 } = stage.play
    yield* stage.startWs()
    yield* stage.recording()
    const markets = yield* stage.query<{ ticker: string }>(
      "select ticker from active_markets order by close_time, ticker limit 20"
    )
    yield* stage.exchange.post("burst", { markets: times, withinSeconds: forSeconds, leadSeconds: 2 })
    // Some of the markets end in the middle of it: they close now, are determined and settle.
    const clock = yield* stage.exchange.json<{ exchangeTime: string }>("stats")
    const closing = Date.parse(clock.exchangeTime) + 1_000
    for (const { ticker } of markets)
      yield* stage.exchange.post(`markets/${ticker}/close-date`, {
        close_time: DateTime.formatIso(DateTime.makeUnsafe(closing))
      })
    const stamps = stage.exchange.json<ReadonlyArray<BurstStamp>>("burst")
    yield* stage.until(
      "every new market's first tick is stored",
      Effect.gen(function* () {
        const ticked = yield* firstTicks(stage)
        const opened = (yield* stamps).filter(({ activated_ms }) => activated_ms !== undefined)
        return opened.length === times && opened.every(({ market_ticker }) => ticked.has(market_ticker))
      }),
      forSeconds + 60
    )
    const left = yield* stage.query<{ n: number }>(
      `select count(*)::int as n from active_markets where ticker in (${markets.map(({ ticker }) => `'${ticker}'`).join(", ")})`
    )
    if (left[0]?.n !== 0) return yield* Effect.die(new Error(`${left[0]?.n} closed markets are still active`))
    const ticked = yield* firstTicks(stage)
    const waits = (yield* stamps)
      .map(({ activated_ms = 0, market_ticker }) => ((ticked.get(market_ticker) ?? 0) - activated_ms) / 1000)
      .sort((a, b) => a - b)
    const others = yield* stage.query<{ n: number }>("select count(*)::int as n from capture_gaps")
    if (others[0]?.n !== 0) return yield* Effect.die(new Error("markets that came or went made a gap"))
    return {
      markets: times,
      ended: markets.length,
      settled: yield* ended(stage),
      firstTickSeconds: { p50: quantile(waits, 0.5), p99: quantile(waits, 0.99), max: quantile(waits, 1) }
    }
  })
}
