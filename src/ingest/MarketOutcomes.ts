import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import { finalStatuses, type Market } from "../market/Market.ts"
import { fromMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import type { NotOurs } from "../runtime/Guardrails.ts"
import { Catalog } from "../store/Catalog.ts"
import { MarketCompletion } from "../store/MarketCompletion.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"

const read = Metric.counter("market_outcomes_read", {
  description: "Closed markets that were asked for by name, by where they were found",
  incremental: true
})

/** Markets that one call may name. */
export const tickersPerCall = 100

export interface OutcomesRead {
  /** How many left the worklist because the exchange does not know them. */
  readonly ended: number
  /** Those that will not change any more. */
  readonly final: ReadonlyArray<string>
  /** Why the first call that failed did, for people. */
  readonly problem: string | undefined
}

export const nothingRead: OutcomesRead = { ended: 0, final: [], problem: undefined }

/** What became of markets, read by name. */
export class MarketOutcomes extends Context.Service<
  MarketOutcomes,
  {
    /**
     * Asks for markets in the live tier and then in the other one, `tickersPerCall` at a time, and stores what it is told. A call that
     * fails leaves the others alone.
     */
    read(tickers: ReadonlyArray<string>): Effect.Effect<OutcomesRead, NotOurs | SqlError>
  }
>()("kalshi-ingestor/ingest/MarketOutcomes") {
  static readonly layer = Layer.effect(
    MarketOutcomes,
    Effect.gen(function* () {
      const rest = yield* KalshiRest
      const catalog = yield* Catalog
      const completion = yield* MarketCompletion
      const time = yield* ExchangeTime

      const save = (markets: ReadonlyArray<Market>, readAtMillis: number) =>
        untilDatabaseAnswers(
          Effect.andThen(
            catalog.saveMarkets(markets, fromMillis(readAtMillis)),
            completion.seen(markets.map(({ ticker }) => ticker))
          )
        )

      const readSome = Effect.fnUntraced(
        function* (tickers: ReadonlyArray<string>) {
          const readAt = yield* time.now
          const live = (yield* Stream.runCollect(rest.marketPages({ tickers, multivariate: "include" }))).flat()
          yield* save(live, readAt)
          const found = new Set(live.map(({ ticker }) => ticker))
          const others = tickers.filter((ticker) => !found.has(ticker))
          const archived =
            others.length === 0
              ? []
              : (yield* Stream.runCollect(rest.historicalMarketPages({ tickers: others }))).flat()
          yield* save(archived, readAt)
          for (const { ticker } of archived) found.add(ticker)
          const gone = tickers.filter((ticker) => !found.has(ticker))
          const ended = yield* untilDatabaseAnswers(completion.missing(gone, "vanished", readAt))
          for (const [tier, count] of Object.entries({
            live: live.length,
            historical: archived.length,
            nowhere: gone.length
          }))
            if (count > 0) yield* Metric.update(Metric.withAttributes(read, { tier }), count)
          return {
            ended,
            final: [...live, ...archived].flatMap(({ status, ticker }) =>
              status !== undefined && finalStatuses.has(status) ? [ticker] : []
            ),
            problem: undefined
          }
        },
        Effect.catchTag("KalshiRestError", ({ message }) => Effect.succeed({ ...nothingRead, problem: message }))
      )

      return MarketOutcomes.of({
        read: Effect.fn("MarketOutcomes.read")(function* (tickers) {
          const all: Array<OutcomesRead> = []
          for (let at = 0; at < tickers.length; at += tickersPerCall)
            all.push(yield* readSome(tickers.slice(at, at + tickersPerCall)))
          return {
            ended: all.reduce((sum, { ended }) => sum + ended, 0),
            final: all.flatMap(({ final }) => final),
            problem: all.find(({ problem }) => problem !== undefined)?.problem
          }
        })
      })
    })
  )
}
