import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import { leastDifference } from "../market/BookDifference.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { type CheckKind, type CheckOutcome, ConsistencyChecks } from "../store/ConsistencyChecks.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { TradeWindows } from "../store/TradeWindows.ts"
import { AccountCheck } from "./AccountCheck.ts"
import { CandleHistory } from "./CandleHistory.ts"
import * as IngestConfig from "./IngestConfig.ts"

const compared = (what: CheckKind) =>
  Metric.counter("consistency_compared", {
    description: "Candles and books compared with the exchange's",
    incremental: true,
    attributes: { what }
  })
const mismatched = (what: CheckKind) =>
  Metric.counter("consistency_mismatched", {
    description: "Candles and books that are not what the exchange says",
    incremental: true,
    attributes: { what }
  })
const rate = (what: CheckKind) =>
  Metric.gauge("consistency_mismatch_rate", {
    description: "Share of the last comparison that was not what the exchange says",
    attributes: { what }
  })

const kinds: ReadonlyArray<CheckKind> = ["candle_trades", "candle_quotes", "book"]

/** How far back hours are drawn from. */
const reachMillis = 48 * 3_600_000
/** An answer may be this old when it comes; the same for what is recorded, which is waited for. On our clock. */
const staleMillis = 2_000
const storedWithin = "15 seconds"

/**
 * Compares a sample of what was recorded with what the exchange says: one-minute candles rebuilt from complete trades and from ticks
 * with the exchange's candles, and books with its order books. What differs is kept and counted, never changed.
 */
export const Consistency = Layer.effectDiscard(
  Effect.gen(function* () {
    const config = yield* Setting.read(IngestConfig.completeness)
    if (config.consistencySeconds === 0) return
    const loops = yield* Loops
    const health = yield* Health
    const account = yield* AccountCheck
    const rest = yield* KalshiRest
    const time = yield* ExchangeTime
    const checks = yield* ConsistencyChecks
    const candles = yield* CandleHistory
    const windows = yield* TradeWindows
    const progress = { completedAt: yield* Clock.currentTimeMillis, detail: "no pass has completed yet" }

    const compareCandles = Effect.gen(function* () {
      const hours = yield* checks.sampleHours((yield* time.now) - reachMillis, config.consistencyMarkets)
      const requests = hours.map(({ fromMillis, seriesTicker, ticker, toMillis }) => ({
        ticker,
        seriesTicker,
        periodMinutes: 1 as const,
        fromMillis,
        toMillis
      }))
      yield* candles.pull(requests, "backfill")
      const unread = new Set(
        (yield* candles.missing(requests)).map(
          ({ fromMillis, ticker }) => `${ticker} ${Math.floor(fromMillis / 3_600_000)}`
        )
      )
      const outcomes: Array<CheckOutcome> = []
      for (const hour of hours) {
        if (unread.has(`${hour.ticker} ${Math.floor(hour.fromMillis / 3_600_000)}`)) continue
        if (yield* windows.isComplete(hour.ticker, hour.fromMillis, hour.toMillis))
          outcomes.push(yield* checks.compareCandles("candle_trades", hour))
        if (hour.isLive) outcomes.push(yield* checks.compareCandles("candle_quotes", hour))
      }
      return outcomes
    })

    const compareBooks = Effect.gen(function* () {
      const tickers = yield* checks.sampleBooks((yield* time.now) - reachMillis, config.consistencyMarkets)
      if (tickers.length === 0) return []
      const fromMillis = time.fromWall((yield* Clock.currentTimeMillis) - staleMillis)
      const books = yield* rest.orderbooks(tickers)
      const toMillis = yield* time.now
      const stored = yield* checks
        .storedUntilMillis(tickers)
        .pipe(
          Effect.repeat({ schedule: Schedule.spaced("250 millis"), until: (at) => at > toMillis }),
          Effect.timeoutOption(storedWithin)
        )
      if (Option.isNone(stored)) return []
      const outcomes: Array<CheckOutcome> = []
      for (const book of books) {
        const recorded = yield* checks.recordedBook(book.ticker, fromMillis, toMillis)
        if (recorded === undefined) continue
        const worst = leastDifference(recorded, recorded.changes, book)
        outcomes.push({
          kind: "book",
          ticker: book.ticker,
          fromMillis,
          toMillis,
          compared: 1,
          mismatched: worst === undefined ? 0 : 1,
          ambiguous: 0,
          worst,
          detail: worst === undefined ? null : { theirs: { yes: book.yes, no: book.no }, ours: recorded }
        })
      }
      return outcomes
    })

    const pass = Effect.gen(function* () {
      const outcomes = [...(yield* compareCandles), ...(yield* compareBooks)]
      yield* checks.record(outcomes)
      const said: Array<string> = []
      for (const kind of kinds) {
        const of = outcomes.filter((outcome) => outcome.kind === kind)
        const all = of.reduce((sum, outcome) => sum + outcome.compared, 0)
        const wrong = of.reduce((sum, outcome) => sum + outcome.mismatched, 0)
        yield* Metric.update(compared(kind), all)
        yield* Metric.update(mismatched(kind), wrong)
        if (all === 0) continue
        yield* Metric.update(rate(kind), wrong / all)
        said.push(`${kind} ${wrong} of ${all} differ`)
      }
      progress.completedAt = yield* Clock.currentTimeMillis
      progress.detail = said.length === 0 ? "nothing to compare yet" : said.join(", ")
      if (outcomes.some((outcome) => outcome.mismatched > 0))
        yield* Effect.logWarning("what was recorded is not all that the exchange says", { found: progress.detail })
    })

    yield* health.register(
      "consistency",
      Effect.map(Clock.currentTimeMillis, (now) => {
        const ageSeconds = (now - progress.completedAt) / 1000
        return { ok: ageSeconds < Math.max(2 * config.consistencySeconds, 3600), detail: progress.detail, ageSeconds }
      })
    )
    yield* loops.cycle("consistency", {
      after: account.passed,
      pass: untilDatabaseAnswers(pass).pipe(
        Effect.catchTag("KalshiRestError", (error) =>
          Effect.logError("comparison with the exchange failed", { reason: error.message })
        )
      ),
      every: `${config.consistencySeconds} seconds`
    })
  })
)
