import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { Trades } from "../store/Trades.ts"
import { TradeWindows } from "../store/TradeWindows.ts"
import { AccountCheck } from "./AccountCheck.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { longestWindowMillis, TradeHistory } from "./TradeHistory.ts"

const usualSeconds = 300
const dayMillis = 86_400_000

const wholeSecond = (millis: number) => Math.floor(millis / 1000) * 1000

interface Window {
  readonly fromMillis: number
  readonly toMillis: number
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
    const history = yield* TradeHistory
    const trades = yield* Trades
    const windows = yield* TradeWindows
    const time = yield* ExchangeTime
    const startedAt = yield* time.now
    const progress = { completedAt: yield* Clock.currentTimeMillis, detail: "no pass has completed yet", idle: false }

    /** From the end of the last window; at first from the oldest trade recorded live, or from the start of this process. */
    const nextWindow = Effect.fnUntraced(function* (horizonMillis: number) {
      const checkedUntil = yield* windows.checkedUntilMillis
      const from = Option.isSome(checkedUntil)
        ? checkedUntil.value
        : wholeSecond(Option.getOrElse(yield* trades.firstLiveMillis, () => startedAt))
      const to = Math.min(horizonMillis, from + longestWindowMillis)
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
        yield* history.readWindow(window.value, "reconcile", "repaired")
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
    yield* loops.cycle("trade-reconcile", {
      after: account.passed,
      pass: pass.pipe(
        Effect.catchTag("KalshiRestError", (error) => {
          progress.detail = error.message
          return Effect.logError("comparison of trades failed, its window stays open", { reason: error.message })
        })
      ),
      every: `${everySeconds} seconds`
    })
  })
)
