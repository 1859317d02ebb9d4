import { tickerDate, toEastern } from "./Calendar.ts"
import type { EventSpec } from "./Catalog.ts"
import { burstSeries } from "./SeriesSpec.ts"

const marketsPerEvent = 10
const hour = 3_600_000

/** When the exchange told of a burst's market, in exchange and wall milliseconds. */
export interface BurstStamp {
  readonly market_ticker: string
  created_ms?: number
  created_wall_ms?: number
  activated_ms?: number
  activated_wall_ms?: number
  first_tick_ms?: number
  first_tick_wall_ms?: number
}

type Stage = "created" | "activated" | "first_tick"

/** Many new hourly markets at once, and when each of them came, opened and ticked first. */
export class Bursts {
  readonly #wallMillis: () => number
  readonly #stamps = new Map<string, BurstStamp>()
  #serial = 0

  constructor(wallMillis: () => number) {
    this.#wallMillis = wallMillis
  }

  get stamps(): ReadonlyArray<BurstStamp> {
    return [...this.#stamps.values()]
  }

  /** Events whose creation is spread over `withinMs` from now; each opens `leadMs` after its creation, for an hour. */
  plan(markets: number, now: number, withinMs: number, leadMs: number): ReadonlyArray<EventSpec> {
    const count = Math.ceil(markets / marketsPerEvent)
    return Array.from({ length: count }, (_, i): EventSpec => {
      const createdMs = now + 1 + Math.floor((i / count) * withinMs)
      const openMs = createdMs + leadMs
      const parts = toEastern(openMs + hour)
      return {
        order: 0,
        ticker: `${burstSeries.ticker}-${tickerDate(parts)}${String(parts.hour).padStart(2, "0")}N${++this.#serial}`,
        series: {
          ...burstSeries,
          strikeCount: Math.min(marketsPerEvent, markets - i * marketsPerEvent)
        },
        createdMs,
        openMs,
        closeMs: openMs + hour,
        determineDelay: 30_000,
        strikePeriod: "hour",
        title: "XRP price above/below?",
        subTitle: "",
        exclusive: false,
        feeOverride: undefined,
        markets: []
      }
    })
  }

  /** Only the first of a kind counts, and only of a burst's markets. */
  note(stage: Stage, event: EventSpec, ticker: string, exchangeMs: number): void {
    if (event.series.ticker !== burstSeries.ticker) return
    const stamp = this.#stamps.get(ticker) ?? { market_ticker: ticker }
    this.#stamps.set(ticker, stamp)
    stamp[`${stage}_ms`] ??= exchangeMs
    stamp[`${stage}_wall_ms`] ??= this.#wallMillis()
  }
}
