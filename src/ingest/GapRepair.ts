import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { type GappedMarket, GapRepairs, type OpenRepair } from "../store/GapRepairs.ts"
import { IngestState } from "../store/IngestState.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { TradeWindows } from "../store/TradeWindows.ts"
import { AccountCheck } from "./AccountCheck.ts"
import { CandleHistory } from "./CandleHistory.ts"
import { discoveredUntilKey } from "./Discovery.ts"
import { candleRequests, GapPull, type Hole, wholeSeconds } from "./GapPull.ts"
import * as IngestConfig from "./IngestConfig.ts"

const healedGaps = Metric.counter("gaps_repaired", {
  description: "Gaps of the live feed that were healed",
  incremental: true
})
const waitingGaps = Metric.gauge("gaps_waiting", {
  description: "Closed gaps of the live feed that are not healed yet"
})

/** What each feed's gap is healed by. Books of the past cannot be asked for: their gaps stay. */
const remedies: Readonly<Record<string, { readonly candles: boolean; readonly trades: boolean }>> = {
  all: { candles: true, trades: true },
  ticker: { candles: true, trades: true },
  trade: { candles: false, trades: true },
  market_lifecycle_v2: { candles: false, trades: false }
}
const feeds = Object.keys(remedies)

const gapsAtOnce = 20
const hoursAtOnce = 500
const minuteMillis = 60_000
const longestWaitSeconds = 6 * 3600

/** Why a gap is not healed: something failed, or the time has not come. */
interface Problem {
  readonly what: string
  readonly isFailure: boolean
}
const failed = (what: string): Problem => ({ what, isFailure: true })
const waits = (what: string): Problem => ({ what, isFailure: false })

/** Markets that miss the same span together: what is pulled for them is pulled at once. */
const alike = (markets: ReadonlyArray<GappedMarket>): ReadonlyArray<ReadonlyArray<GappedMarket>> => {
  const groups = new Map<string, Array<GappedMarket>>()
  for (const market of markets) {
    const span = `${market.fromMillis} ${market.toMillis}`
    const group = groups.get(span)
    if (group === undefined) groups.set(span, [market])
    else group.push(market)
  }
  return [...groups.values()]
}

/**
 * Heals the closed gaps of the ledger: one-minute candles of the markets that were open in them, and the trades. A gap is marked only
 * when all of it was read for every market that it concerns; until then it is tried again, ever more seldom. Hours of which a part is
 * missing though no gap says so, because a market was found late, are made up for by candles, too.
 */
export const GapRepair = Layer.effectDiscard(
  Effect.gen(function* () {
    const { repairSeconds, tradeLagSeconds } = yield* Setting.read({
      ...IngestConfig.completeness,
      ...IngestConfig.tradeReconcile
    })
    if (repairSeconds === 0) return
    const loops = yield* Loops
    const health = yield* Health
    const account = yield* AccountCheck
    const time = yield* ExchangeTime
    const state = yield* IngestState
    const gaps = yield* GapRepairs
    const candles = yield* CandleHistory
    const pulls = yield* GapPull
    const windows = yield* TradeWindows
    const progress = { completedAt: yield* Clock.currentTimeMillis, detail: "no pass has completed yet" }

    /** What of a hole is not here; candles that the exchange does not know are not waited for. */
    const lacks = Effect.fnUntraced(function* (hole: Hole, unknown: ReadonlySet<string> = new Set()) {
      const missing = hole.candles ? yield* candles.missing(candleRequests(hole.markets)) : []
      const left = missing.filter(({ ticker }) => !unknown.has(ticker)).length
      if (left > 0) return `candles of ${left} ranges are missing, or may still change`
      if (hole.trades)
        for (const market of hole.markets) {
          const { fromMillis, toMillis } = wholeSeconds(market)
          if (!(yield* windows.isComplete(market.ticker, fromMillis, toMillis)))
            return `trades of ${market.ticker} are not complete`
        }
      return undefined
    })

    const fill = Effect.fnUntraced(function* (hole: Hole) {
      if (hole.markets.length === 0 || (yield* lacks(hole)) === undefined) return undefined
      const { problem, unknown } = yield* pulls.pull([hole])
      if (problem !== undefined) return failed(problem)
      const left = yield* lacks(hole, unknown)
      return left === undefined ? undefined : waits(left)
    })

    const fillHours = Effect.fnUntraced(function* (hours: ReadonlyArray<GappedMarket>) {
      const lacking = new Set((yield* candles.missing(candleRequests(hours))).map(({ ticker }) => ticker))
      const holes = alike(hours.filter(({ ticker }) => lacking.has(ticker))).map(
        (markets): Hole => ({ markets, candles: true, trades: false })
      )
      if (holes.length > 0) yield* pulls.pull(holes)
    })

    /** Until then every market that the exchange announced is known. */
    const discoveredUntil = Effect.map(
      state.get(discoveredUntilKey),
      Option.match({ onNone: () => 0, onSome: (seconds) => Number(seconds) * 1000 })
    )

    const heal = Effect.fn("GapRepair.heal")(function* (gap: OpenRepair) {
      const remedy = remedies[gap.feed]!
      const isDiscovered = (yield* discoveredUntil) > gap.toMillis
      const markets = gap.fromMillis < gap.toMillis ? yield* gaps.concerned(gap.gapId) : []
      const problems = [
        yield* fill({ markets, ...remedy }),
        isDiscovered ? undefined : waits("markets may be unknown until the next discovery pass")
      ].filter((problem) => problem !== undefined)
      if (problems.length > 0)
        return {
          what: problems.map(({ what }) => what).join("; "),
          isFailure: problems.some(({ isFailure }) => isFailure)
        }
      const by = [remedy.candles ? "candles" : undefined, remedy.trades ? "trades" : undefined, "discovery"]
      yield* gaps.healed(
        gap.gapId,
        markets.length > 0 || !(remedy.candles || remedy.trades)
          ? by.filter((name) => name !== undefined).join(",")
          : "nothing: no market was open"
      )
      yield* Metric.update(healedGaps, 1)
      yield* Effect.logInfo("a gap of the live feed is healed", {
        gap: gap.gapId,
        markets: markets.length,
        minutes: Math.round((gap.toMillis - gap.fromMillis) / minuteMillis)
      })
      return undefined
    })

    const attempt = Effect.fnUntraced(function* (gap: OpenRepair) {
      const problem = yield* heal(gap).pipe(
        Effect.catchTag("KalshiRestError", (error) => Effect.succeed(failed(error.message)))
      )
      if (problem === undefined) return
      const failures = gap.failures + (problem.isFailure ? 1 : 0)
      const seconds = problem.isFailure
        ? Math.min(repairSeconds * 2 ** Math.min(failures, 20), longestWaitSeconds)
        : repairSeconds
      yield* gaps.postpone(gap.gapId, { problem: problem.what, failures, seconds })
      if (problem.isFailure)
        yield* Effect.logWarning("a gap could not be healed", {
          gap: gap.gapId,
          reason: problem.what,
          againInSeconds: seconds
        })
    })

    const pass = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const due = yield* gaps.due(feeds, time.fromWall(now - tradeLagSeconds * 1000), gapsAtOnce)
      yield* Effect.forEach(due, (gap) => untilDatabaseAnswers(attempt(gap)), { discard: true })
      if (due.length < gapsAtOnce) yield* fillHours(yield* gaps.degradedHours(yield* time.now, hoursAtOnce))
      const waiting = yield* gaps.waiting(feeds)
      yield* Metric.update(waitingGaps, waiting)
      progress.completedAt = yield* Clock.currentTimeMillis
      progress.detail = waiting === 0 ? "no gap waits to be healed" : `${waiting} gaps wait to be healed`
      return due.length
    })

    yield* health.register(
      "repair",
      Effect.map(Clock.currentTimeMillis, (now) => {
        const ageSeconds = (now - progress.completedAt) / 1000
        return { ok: ageSeconds < Math.max(2 * repairSeconds, 3600), detail: progress.detail, ageSeconds }
      })
    )
    yield* loops.cycle("gap-repair", {
      after: account.passed,
      pass: untilDatabaseAnswers(pass).pipe(Effect.repeat({ while: (done) => done === gapsAtOnce })),
      every: `${repairSeconds} seconds`
    })
  })
)
