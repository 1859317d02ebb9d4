import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import type { KalshiRestError } from "../kalshi/KalshiRestError.ts"
import type { NotOurs } from "../runtime/Guardrails.ts"
import { GapRepairs } from "../store/GapRepairs.ts"
import { MarketSelection, type Selection } from "../store/MarketSelection.ts"
import { GapPull } from "./GapPull.ts"

/** How far a pull has come, in markets. */
export interface PullProgress {
  readonly done: number
  readonly total: number
  readonly problem: string | undefined
}

const marketsAtOnce = 100

/** The pulls of history, on request. */
export class HistoryControl extends Context.Service<
  HistoryControl,
  {
    /**
     * Brings the one-minute candles and the trades of markets within a span of exchange time, what is here already left alone; or, where
     * the queue is on, has workers bring them. The first element tells how many markets there are.
     */
    backfill(
      selection: Selection,
      span: { readonly fromMillis: number; readonly toMillis: number }
    ): Stream.Stream<PullProgress, KalshiRestError | NotOurs | SqlError>
  }
>()("kalshi-ingestor/ingest/HistoryControl") {
  static readonly layer = Layer.effect(
    HistoryControl,
    Effect.gen(function* () {
      const pulls = yield* GapPull
      const repairs = yield* GapRepairs
      const selected = yield* MarketSelection

      return HistoryControl.of({
        backfill: (selection, span) =>
          Stream.unwrap(
            Effect.gen(function* () {
              const tickers = yield* selected.tickers(selection, span)
              const markets = yield* repairs.within(tickers, span)
              const total = markets.length
              const chunks = Array.from({ length: Math.ceil(total / marketsAtOnce) }, (_, at) =>
                markets.slice(at * marketsAtOnce, (at + 1) * marketsAtOnce)
              )
              let done = 0
              const candles = Stream.fromIterable(chunks).pipe(
                Stream.mapEffect((some) =>
                  Effect.map(pulls.pull([{ markets: some, candles: true, trades: false }]), ({ problem }) => {
                    done += some.length
                    return { done: Math.min(done, total - 1), total, problem }
                  })
                )
              )
              const trades = Stream.fromEffect(
                Effect.map(pulls.pull([{ markets, candles: false, trades: true }]), ({ problem }) => ({
                  done: total,
                  total,
                  problem
                }))
              )
              const started = Stream.succeed<PullProgress>({ done: 0, total, problem: undefined })
              return total === 0 ? started : Stream.concat(started, Stream.concat(candles, trades))
            })
          )
      })
    })
  ).pipe(Layer.provide(MarketSelection.layer))
}
