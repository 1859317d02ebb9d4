import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import type { KalshiRestError } from "../kalshi/KalshiRestError.ts"
import { endAtOrAfter, endAtOrBefore } from "../market/CandlePeriod.ts"
import type { NotOurs } from "../runtime/Guardrails.ts"
import type { GappedMarket } from "../store/GapRepairs.ts"
import { CandleHistory } from "./CandleHistory.ts"
import type { CandleRequest } from "./CandlePlan.ts"
import { TradeHistory } from "./TradeHistory.ts"

/** What the live feed missed of some markets, at least one, and what of it is asked for. */
export interface Hole {
  readonly markets: ReadonlyArray<GappedMarket>
  readonly candles: boolean
  readonly trades: boolean
}

export interface HolePulled {
  /** What failed. */
  readonly problem: string | undefined
  /** Markets of which the exchange knows no candles: more than was read of them will not come. */
  readonly unknown: ReadonlySet<string>
}

/** Up to this many markets are asked for their trades one by one; the list of all markets is cheaper for more. */
const marketsByName = 3

/** The whole minutes that a span touches. */
export const candleRequests = (markets: ReadonlyArray<GappedMarket>): ReadonlyArray<CandleRequest> =>
  markets.flatMap(({ fromMillis, seriesTicker, ticker, toMillis, withoutCandles }) =>
    withoutCandles
      ? []
      : [
          {
            ticker,
            seriesTicker,
            periodMinutes: 1 as const,
            fromMillis: endAtOrBefore(1, fromMillis),
            toMillis: endAtOrAfter(1, toMillis)
          }
        ]
  )

/** The whole seconds that a span touches, epoch milliseconds: how trades are asked for. */
export const wholeSeconds = ({ fromMillis, toMillis }: { readonly fromMillis: number; readonly toMillis: number }) => ({
  fromMillis: Math.floor(fromMillis / 1000) * 1000,
  toMillis: Math.ceil(toMillis / 1000) * 1000
})

/** The span of all markets of a hole together. */
export const spanOf = (markets: ReadonlyArray<GappedMarket>) => ({
  fromMillis: markets.reduce((first, { fromMillis }) => Math.min(first, fromMillis), Number.POSITIVE_INFINITY),
  toMillis: markets.reduce((last, { toMillis }) => Math.max(last, toMillis), Number.NEGATIVE_INFINITY)
})

/** Brings the candles and trades of a hole, with provenance `repaired`. What is here already is not asked for again. */
export class GapPull extends Context.Service<
  GapPull,
  {
    /** Pulls them, or has workers pull them. Whether all of it is here afterwards is for the caller to see. */
    pull(holes: ReadonlyArray<Hole>): Effect.Effect<HolePulled, KalshiRestError | NotOurs | SqlError>
  }
>()("kalshi-ingestor/ingest/GapPull") {
  static readonly layer = Layer.effect(
    GapPull,
    Effect.gen(function* () {
      const candles = yield* CandleHistory
      const trades = yield* TradeHistory

      const readTrades = Effect.fnUntraced(function* (markets: ReadonlyArray<GappedMarket>) {
        const ranges =
          markets.length > marketsByName
            ? [wholeSeconds(spanOf(markets))]
            : markets.map((market) => ({ ...wholeSeconds(market), ticker: market.ticker }))
        const read = yield* Effect.forEach(ranges, (range) => trades.readRange(range, "repaired"))
        return read.find(({ cause }) => cause !== undefined)?.cause
      })

      return GapPull.of({
        pull: Effect.fn("GapPull.pull")(function* (holes) {
          const requests = holes.flatMap((hole) => (hole.candles ? candleRequests(hole.markets) : []))
          const pulled = yield* candles.pull(requests, "repaired")
          const refused = yield* Effect.forEach(holes, ({ markets, trades: wanted }) =>
            wanted ? readTrades(markets) : Effect.undefined
          )
          const problems = [
            pulled.failed > 0 ? (pulled.problem ?? "candles could not be read") : undefined,
            ...refused
          ].filter((problem) => problem !== undefined)
          return {
            problem: problems.length === 0 ? undefined : problems.join("; "),
            unknown: new Set(pulled.unknown)
          }
        })
      })
    })
  )
}
