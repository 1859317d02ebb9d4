import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import type { KalshiRestError } from "../kalshi/KalshiRestError.ts"
import { fromMillis, toMillis } from "../market/Timestamp.ts"
import type { Trade } from "../market/Trade.ts"
import { Catalog } from "../store/Catalog.ts"
import { MarketKeys } from "../store/MarketKeys.ts"
import { Partitions } from "../store/Partitions.ts"
import type { Provenance } from "../store/Provenance.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { isData, sqlState } from "../store/SqlState.ts"
import { type StoredTrade, Trades } from "../store/Trades.ts"
import { TradeWindows, type WindowKind } from "../store/TradeWindows.ts"

const reconciled = Metric.counter("trades_reconciled", {
  description: "Trades of known markets in the exchange's list that were compared with the stored ones",
  incremental: true
})
const repaired = Metric.counter("trades_repaired", {
  description: "Trades that only the exchange's list brought",
  incremental: true
})

/** What is read at once: longer ranges are read window after window. */
export const longestWindowMillis = 15 * 60_000

/** Whole seconds, epoch milliseconds: the start inclusive, the end exclusive. Without a ticker: all known markets. */
export interface TradeRange {
  readonly ticker?: string | undefined
  readonly fromMillis: number
  readonly toMillis: number
}

export interface TradesRead {
  /** Trades of known markets in the exchange's list. */
  readonly seen: number
  /** Those that were not stored before. */
  readonly missing: number
  /** Why what is stored is not complete all the same. */
  readonly cause: string | undefined
}

interface Outcome {
  readonly stored: number
  readonly refused: number
}

/**
 * The exchange's own list of trades, live and historical tier: what is not stored is stored, and a window enters the ledger only
 * after every page of it was read and stored.
 */
export class TradeHistory extends Context.Service<
  TradeHistory,
  {
    /** Reads one window. Reading it again changes nothing but what was missing. */
    readonly readWindow: (
      range: TradeRange,
      kind: WindowKind,
      provenance: Provenance
    ) => Effect.Effect<TradesRead, KalshiRestError | SqlError>
    /**
     * Reads a range in windows of at most 15 minutes, oldest first, leaving out what the ledger knows to be complete for the market.
     * A failure keeps the windows before it.
     */
    readonly readRange: (
      range: TradeRange,
      provenance: Provenance
    ) => Effect.Effect<TradesRead, KalshiRestError | SqlError>
  }
>()("kalshi-ingestor/ingest/TradeHistory") {
  static readonly layer = Layer.effect(
    TradeHistory,
    Effect.gen(function* () {
      const rest = yield* KalshiRest
      const catalog = yield* Catalog
      const keys = yield* MarketKeys
      const partitions = yield* Partitions
      const trades = yield* Trades
      const windows = yield* TradeWindows

      /** What the database refuses for its values is split until the refused trade stands alone and is left out. */
      const insert = (rows: ReadonlyArray<StoredTrade>): Effect.Effect<Outcome, SqlError> =>
        untilDatabaseAnswers(trades.insert(rows)).pipe(
          Effect.map((stored): Outcome => ({ stored, refused: 0 })),
          Effect.catchTag("SqlError", (error) => {
            if (!isData(error)) return Effect.fail(error)
            if (rows.length === 1)
              return Effect.as(
                Effect.logError("trade refused by the database", {
                  ticker: rows[0]!.ticker,
                  tradeId: rows[0]!.tradeId,
                  sqlState: sqlState(error)
                }),
                { stored: 0, refused: 1 }
              )
            const middle = Math.floor(rows.length / 2)
            return Effect.zipWith(insert(rows.slice(0, middle)), insert(rows.slice(middle)), (a, b) => ({
              stored: a.stored + b.stored,
              refused: a.refused + b.refused
            }))
          })
        )

      const prepare = Effect.fnUntraced(function* (page: ReadonlyArray<Trade>) {
        const known = yield* catalog.knownMarkets([...new Set(page.map(({ ticker }) => ticker))])
        yield* keys.register(known)
        yield* partitions.ensureDays(
          "trades",
          new Set(page.map(({ createdTime }) => Partitions.dayOf(toMillis(createdTime))))
        )
        return page.filter(({ ticker }) => known.has(ticker))
      })

      const readWindow = Effect.fn("TradeHistory.readWindow")(function* (
        window: TradeRange,
        kind: WindowKind,
        provenance: Provenance
      ) {
        const checkedAt = yield* untilDatabaseAnswers(windows.clock)
        const seen = new Set<string>()
        let missing = 0
        let refused = 0
        const compare = Effect.fnUntraced(function* (page: ReadonlyArray<Trade>) {
          const within = page.filter(({ createdTime, tradeId }) => {
            const at = toMillis(createdTime)
            return at >= window.fromMillis && at < window.toMillis && !seen.has(tradeId)
          })
          const kept = yield* untilDatabaseAnswers(prepare(within))
          const outcome = yield* insert(kept.map((trade) => ({ ...trade, receivedMillis: undefined, provenance })))
          for (const { tradeId } of kept) seen.add(tradeId)
          missing += outcome.stored
          refused += outcome.refused
        })
        // Whole seconds, perhaps inclusive: a second more on either side costs nothing and leaves no seam.
        const query = {
          ...(window.ticker === undefined ? {} : { ticker: window.ticker }),
          minSeconds: window.fromMillis / 1000 - 1,
          maxSeconds: window.toMillis / 1000
        }
        yield* Stream.runForEach(rest.tradePages(query), compare)
        // Read after the live tier: the cutoff only moves forward, so what the live tier had lost by then is in the other.
        const cutoff = yield* rest.historicalCutoff
        if (toMillis(cutoff.tradesCreated) > window.fromMillis)
          yield* Stream.runForEach(rest.historicalTradePages(query), compare)
        const cause = refused === 0 ? undefined : `${refused} trades refused by the database`
        yield* untilDatabaseAnswers(windows.record({ ...window, kind, checkedAt, seenRest: seen.size, cause }))
        yield* Metric.update(reconciled, seen.size)
        yield* Metric.update(repaired, missing)
        if (missing > 0)
          yield* Effect.logInfo("missing trades stored", {
            missing,
            from: fromMillis(window.fromMillis),
            to: fromMillis(window.toMillis)
          })
        return { seen: seen.size, missing, cause }
      })

      const isRead = ({ fromMillis, ticker, toMillis }: TradeRange) =>
        untilDatabaseAnswers(
          ticker === undefined
            ? windows.isCompleteForAll(fromMillis, toMillis)
            : windows.isComplete(ticker, fromMillis, toMillis)
        )

      const readRange = Effect.fn("TradeHistory.readRange")(function* (range: TradeRange, provenance: Provenance) {
        let seen = 0
        let missing = 0
        let cause: string | undefined
        for (let from = range.fromMillis; from < range.toMillis; from += longestWindowMillis) {
          const window = {
            ticker: range.ticker,
            fromMillis: from,
            toMillis: Math.min(range.toMillis, from + longestWindowMillis)
          }
          if (yield* isRead(window)) continue
          const read = yield* readWindow(window, "range", provenance)
          seen += read.seen
          missing += read.missing
          cause ??= read.cause
        }
        return { seen, missing, cause }
      })

      return TradeHistory.of({ readWindow, readRange })
    })
  )
}
