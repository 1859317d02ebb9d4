import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import { fromMillis, toMillis } from "../market/Timestamp.ts"
import type { Trade } from "../market/Trade.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { Catalog } from "../store/Catalog.ts"
import { MarketKeys } from "../store/MarketKeys.ts"
import { Partitions } from "../store/Partitions.ts"
import { isData, sqlState } from "../store/SqlState.ts"
import { type StoredTrade, Trades } from "../store/Trades.ts"
import { TradeWindows } from "../store/TradeWindows.ts"
import { AccountCheck } from "./AccountCheck.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { untilDatabaseAnswers } from "./Retry.ts"

const reconciled = Metric.counter("trades_reconciled", {
  description: "Trades of known markets in the exchange's list that were compared with the stored ones",
  incremental: true
})
const repaired = Metric.counter("trades_repaired", {
  description: "Trades that only the exchange's list brought",
  incremental: true
})

const usualSeconds = 300
const longestMillis = 15 * 60_000
const dayMillis = 86_400_000

const wholeSecond = (millis: number) => Math.floor(millis / 1000) * 1000

interface Window {
  readonly fromMillis: number
  readonly toMillis: number
}

interface Outcome {
  readonly stored: number
  readonly refused: number
}

/**
 * Compares the stored trades with the exchange's own list, window after window without a seam, and stores what is missing. The list
 * is read for all markets at once: what that costs does not depend on how many are recorded. A window is entered in
 * the ledger only after every page of it was read and stored.
 */
export const TradeReconcile = Layer.effectDiscard(
  Effect.gen(function* () {
    const config = yield* Setting.read(IngestConfig.tradeReconcile)
    const everySeconds = config.tradeEverySeconds ?? usualSeconds
    if (everySeconds === 0) return
    const loops = yield* Loops
    const health = yield* Health
    const account = yield* AccountCheck
    const rest = yield* KalshiRest
    const catalog = yield* Catalog
    const keys = yield* MarketKeys
    const partitions = yield* Partitions
    const trades = yield* Trades
    const windows = yield* TradeWindows
    const time = yield* ExchangeTime
    const startedAt = yield* time.now
    const progress = { completedAt: yield* Clock.currentTimeMillis, detail: "no pass has completed yet", idle: false }

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

    const check = Effect.fn("TradeReconcile.check")(function* (window: Window) {
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
        const outcome = yield* insert(
          kept.map((trade) => ({ ...trade, receivedMillis: undefined, provenance: "repaired" }))
        )
        for (const { tradeId } of kept) seen.add(tradeId)
        missing += outcome.stored
        refused += outcome.refused
      })
      // Whole seconds, perhaps inclusive: a second more on either side costs nothing and leaves no seam.
      const query = { minSeconds: window.fromMillis / 1000 - 1, maxSeconds: window.toMillis / 1000 }
      yield* Stream.runForEach(rest.tradePages(query), compare)
      // Read after the live tier: the cutoff only moves forward, so what the live tier had lost by then is in the other.
      const cutoff = yield* rest.historicalCutoff
      if (toMillis(cutoff.tradesCreated) > window.fromMillis)
        yield* Stream.runForEach(rest.historicalTradePages(query), compare)
      yield* untilDatabaseAnswers(
        windows.record({
          ...window,
          checkedAt,
          seenRest: seen.size,
          cause: refused === 0 ? undefined : `${refused} trades refused by the database`
        })
      )
      yield* Metric.update(reconciled, seen.size)
      yield* Metric.update(repaired, missing)
      if (missing > 0)
        yield* Effect.logInfo("missing trades stored", {
          missing,
          from: fromMillis(window.fromMillis),
          to: fromMillis(window.toMillis)
        })
    })

    /** From the end of the last window; at first from the oldest trade recorded live, or from the start of this process. */
    const nextWindow = Effect.fnUntraced(function* (horizonMillis: number) {
      const checkedUntil = yield* windows.checkedUntilMillis
      const from = Option.isSome(checkedUntil)
        ? checkedUntil.value
        : wholeSecond(Option.getOrElse(yield* trades.firstLiveMillis, () => startedAt))
      const to = Math.min(horizonMillis, from + longestMillis)
      return from < to ? Option.some<Window>({ fromMillis: from, toMillis: to }) : Option.none()
    })

    const isWanted = Effect.gen(function* () {
      return config.tradeEverySeconds !== undefined || (yield* trades.hasLiveSince((yield* time.now) - dayMillis))
    })

    const pass = Effect.gen(function* () {
      progress.idle = !(yield* untilDatabaseAnswers(isWanted))
      if (progress.idle) {
        progress.completedAt = yield* Clock.currentTimeMillis
        return
      }
      const horizon = wholeSecond(time.fromWall((yield* Clock.currentTimeMillis) - config.tradeLagSeconds * 1000))
      while (true) {
        const window = yield* untilDatabaseAnswers(nextWindow(horizon))
        if (Option.isNone(window)) break
        yield* check(window.value)
        progress.completedAt = yield* Clock.currentTimeMillis
      }
      progress.completedAt = yield* Clock.currentTimeMillis
      progress.detail = "last pass complete"
    })

    yield* health.register(
      "trades",
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (progress.idle) return { ok: true, detail: "trades are not recorded live" }
        const ageSeconds = (now - progress.completedAt) / 1000
        return { ok: ageSeconds < Math.max(2 * everySeconds, 600), detail: progress.detail, ageSeconds }
      })
    )
    yield* loops.run(
      "trade-reconcile",
      Effect.andThen(
        account.passed,
        pass.pipe(
          Effect.catchTag("KalshiRestError", (error) => {
            progress.detail = error.message
            return Effect.logError("comparison of trades failed, its window stays open", { reason: error.message })
          }),
          Effect.repeat(Schedule.spaced(`${everySeconds} seconds`))
        )
      )
    )
  })
)
