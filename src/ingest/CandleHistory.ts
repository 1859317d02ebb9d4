import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { SqlError } from "effect/sql/SqlError"
import { KalshiRest } from "../kalshi/KalshiRest.ts"
import { KalshiRestError } from "../kalshi/KalshiRestError.ts"
import type { Candle } from "../market/Candle.ts"
import { endAtOrAfter, endAtOrBefore, lengthOf } from "../market/CandlePeriod.ts"
import { toMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import * as Setting from "../runtime/Setting.ts"
import type { SettingError } from "../runtime/SettingError.ts"
import { type CandleSpan, Candles } from "../store/Candles.ts"
import { Catalog } from "../store/Catalog.ts"
import type { Provenance } from "../store/Provenance.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { isData } from "../store/SqlState.ts"
import { type CandleCall, type CandleRequest, exchangeLimits, plan, tickersOf } from "./CandlePlan.ts"
import * as IngestConfig from "./IngestConfig.ts"

const requested = Metric.counter("candle_requests", {
  description: "Calls for candles by kind and outcome",
  incremental: true
})
const stored = Metric.counter("candles_stored", { description: "Candles that were new", incremental: true })
const revisions = Metric.counter("candles_revised", {
  description: "Stored candles that a later read told differently",
  incremental: true
})

/** What a pull came to. */
export interface CandlePull {
  /** Calls to the exchange, the failed ones and the one for the cutoff included. */
  readonly calls: number
  /** Calls that failed: what they asked for is still missing. */
  readonly failed: number
  /** Why the first of them did. */
  readonly problem: string | undefined
  readonly added: number
  readonly revised: number
  /** Markets of which neither tier of the exchange has candles, as it says. */
  readonly unknown: ReadonlyArray<string>
}

export const nothingPulled: CandlePull = { calls: 0, failed: 0, problem: undefined, added: 0, revised: 0, unknown: [] }

export const bothPulls = (a: CandlePull, b: CandlePull): CandlePull => ({
  calls: a.calls + b.calls,
  failed: a.failed + b.failed,
  problem: a.problem ?? b.problem,
  added: a.added + b.added,
  revised: a.revised + b.revised,
  unknown: [...a.unknown, ...b.unknown]
})

interface Outcome extends CandlePull {
  /** Markets that this tier does not know. */
  readonly absent: ReadonlySet<string>
}

/** Calls of one pull on their way at once. */
const callsAtOnce = 6

/**
 * Pulls candles from the exchange and stores them, and remembers what was asked for. Asking again for what is stored costs nothing; a pull
 * that was cut short anywhere leaves only complete answers behind.
 */
export class CandleHistory extends Context.Service<
  CandleHistory,
  {
    /**
     * Pulls what of these ranges was not checked yet; `force` reads all of it again. A call that fails does not stop the others.
     * What is not over yet is left out; what has not settled is stored, and asked for again another time.
     */
    pull(
      requests: ReadonlyArray<CandleRequest>,
      provenance: Provenance,
      options?: { readonly force?: boolean }
    ): Effect.Effect<CandlePull, SqlError>
    /** What of these ranges is over and was not checked yet. */
    missing(requests: ReadonlyArray<CandleRequest>): Effect.Effect<ReadonlyArray<CandleRequest>, SqlError>
  }
>()("kalshi-ingestor/ingest/CandleHistory") {
  static readonly layer: Layer.Layer<CandleHistory, SettingError, KalshiRest | Candles | Catalog | ExchangeTime> =
    Layer.effect(
      CandleHistory,
      Effect.gen(function* () {
        const rest = yield* KalshiRest
        const candles = yield* Candles
        const catalog = yield* Catalog
        const time = yield* ExchangeTime
        const config = yield* Setting.read(IngestConfig.candles)
        const limits = { ...exchangeLimits, hours: config.lookbackHours }
        const turn = yield* Semaphore.make(1)
        let nextCallAt = 0

        const paced = Effect.gen(function* () {
          if (config.candleIntervalSeconds === 0) return
          const now = yield* Clock.currentTimeMillis
          const wait = Math.max(0, nextCallAt - now)
          nextCallAt = now + wait + config.candleIntervalSeconds * 1000
          yield* Effect.sleep(wait)
        }).pipe(turn.withPermit)

        /** Ranges on the grid of periods, as far as they are over. */
        const over = Effect.fnUntraced(function* (requests: ReadonlyArray<CandleRequest>) {
          const now = yield* time.now
          return requests.flatMap((request): ReadonlyArray<CandleRequest> => {
            const fromMillis = endAtOrBefore(request.periodMinutes, request.fromMillis)
            const toMillis = Math.min(
              endAtOrAfter(request.periodMinutes, request.toMillis),
              endAtOrBefore(request.periodMinutes, now)
            )
            return request.fromMillis < request.toMillis && fromMillis < toMillis
              ? [{ ...request, fromMillis, toMillis }]
              : []
          })
        })

        const missing = Effect.fn("CandleHistory.missing")(function* (requests: ReadonlyArray<CandleRequest>) {
          const seriesOf = new Map(requests.map(({ seriesTicker, ticker }) => [ticker, seriesTicker]))
          const holes = yield* candles.missing(yield* over(requests))
          return holes.map((hole): CandleRequest => ({ ...hole, seriesTicker: seriesOf.get(hole.ticker) }))
        })

        const ask = Effect.fnUntraced(function* (call: CandleCall) {
          const range = {
            startSeconds: call.fromMillis / 1000 + 1,
            endSeconds: call.toMillis / 1000,
            interval: call.interval
          }
          if (call._tag === "Batch") return yield* rest.batchCandles(call.tickers, range)
          const answer =
            call._tag === "Single"
              ? rest.candles(call.seriesTicker, call.ticker, range)
              : rest.historicalCandles(call.ticker, range)
          return yield* answer.pipe(
            Effect.map((found) => new Map([[call.ticker, found]])),
            Effect.catchIf(
              ({ reason }) => reason._tag === "NotFound",
              () => Effect.succeed(new Map<string, ReadonlyArray<Candle>>())
            )
          )
        })

        const save = Effect.fnUntraced(function* (
          call: CandleCall,
          found: ReadonlyMap<string, ReadonlyArray<Candle>>,
          read: { readonly wallMillis: number; readonly settledMillis: number },
          provenance: Provenance
        ) {
          const known = tickersOf(call).filter((ticker) => found.has(ticker))
          const told = known.flatMap((ticker) => found.get(ticker)!)
          const astray = told.find(({ endSeconds }) => isAstray(call, endSeconds))
          if (astray !== undefined)
            return yield* new KalshiRestError({
              route: routes[call._tag],
              reason: { _tag: "Malformed", issue: "candlesticks.end_period_ts is outside of what was asked for" }
            })
          const toMillis = Math.min(call.toMillis, endAtOrBefore(call.interval, read.settledMillis))
          const counts = yield* candles
            .store({
              candles: told,
              checked: known.map(
                (ticker): CandleSpan => ({
                  ticker,
                  periodMinutes: call.interval,
                  fromMillis: call.fromMillis,
                  toMillis
                })
              ),
              provenance,
              readAtMillis: read.wallMillis
            })
            .pipe(untilDatabaseAnswers)
          yield* Metric.update(stored, counts.added)
          yield* Metric.update(revisions, counts.revised)
          return counts
        })

        const make = Effect.fnUntraced(function* (call: CandleCall, provenance: Provenance) {
          yield* paced
          const read = {
            wallMillis: yield* Clock.currentTimeMillis,
            settledMillis: (yield* time.now) - config.candleSettleSeconds * 1000
          }
          const found = yield* ask(call)
          const counts = yield* save(call, found, read, provenance)
          const absent = new Set(tickersOf(call).filter((ticker) => !found.has(ticker)))
          return { ...nothingPulled, ...counts, calls: 1, absent }
        })

        const failure = (problem: string): Outcome => ({
          ...nothingPulled,
          calls: 1,
          failed: 1,
          problem,
          absent: new Set<string>()
        })

        const attempt = (call: CandleCall, provenance: Provenance): Effect.Effect<Outcome, SqlError> =>
          Effect.result(make(call, provenance)).pipe(
            Effect.flatMap((result): Effect.Effect<Outcome, SqlError> => {
              if (Result.isSuccess(result)) return Effect.succeed(result.success)
              const error = result.failure
              if (error._tag === "KalshiRestError") return Effect.succeed(failure(error.message))
              return isData(error) ? Effect.succeed(failure("the database refuses its values")) : Effect.fail(error)
            }),
            Effect.tap(({ absent, failed }) =>
              Metric.update(
                Metric.withAttributes(requested, {
                  kind: call._tag.toLowerCase(),
                  outcome: failed > 0 ? "failed" : absent.size > 0 ? "absent" : "ok"
                }),
                1
              )
            )
          )

        const run = Effect.fnUntraced(function* (calls: ReadonlyArray<CandleCall>, provenance: Provenance) {
          const outcomes = yield* Effect.forEach(calls, (call) => attempt(call, provenance), {
            concurrency: callsAtOnce
          })
          return {
            pulled: outcomes.reduce<CandlePull>(bothPulls, nothingPulled),
            absent: new Set(outcomes.flatMap(({ absent }) => [...absent]))
          }
        })

        const pull = Effect.fn("CandleHistory.pull")(function* (
          requests: ReadonlyArray<CandleRequest>,
          provenance: Provenance,
          options: { readonly force?: boolean } = {}
        ) {
          const wanted = yield* untilDatabaseAnswers(options.force === true ? over(requests) : missing(requests))
          if (wanted.length === 0) return nothingPulled
          const cutoff = yield* Effect.result(rest.historicalCutoff)
          if (Result.isFailure(cutoff))
            return { ...nothingPulled, calls: 1, failed: 1, problem: cutoff.failure.message }
          const archivedBefore = toMillis(cutoff.success.marketsSettled)
          const settled = yield* untilDatabaseAnswers(
            catalog.settledMillis([...new Set(wanted.map(({ ticker }) => ticker))])
          )
          const isArchived = (ticker: string) => (settled.get(ticker) ?? Number.POSITIVE_INFINITY) < archivedBefore
          const first = yield* run(plan(wanted, isArchived, limits), provenance)
          // The cutoff jumps, and our settlement times may lack: what one tier does not know is asked of the other.
          const others = wanted.filter(({ ticker }) => first.absent.has(ticker))
          const second = yield* run(
            plan(others, (ticker) => !isArchived(ticker), limits),
            provenance
          )
          const pulled = bothPulls(
            { ...first.pulled, calls: first.pulled.calls + 1 },
            { ...second.pulled, unknown: [...second.absent] }
          )
          if (pulled.failed > 0)
            yield* Effect.logError("candles could not be read, their ranges stay missing", {
              calls: pulled.calls,
              failed: pulled.failed,
              reason: pulled.problem
            })
          return pulled
        })

        return CandleHistory.of({ pull, missing })
      })
    )
}

const routes: Readonly<Record<CandleCall["_tag"], string>> = {
  Batch: "GET /markets/candlesticks",
  Single: "GET /series/{series}/markets/{ticker}/candlesticks",
  Historical: "GET /historical/markets/{ticker}/candlesticks"
}

/** A period more on either side is tolerated; anything else is not an answer to what was asked. */
const isAstray = ({ fromMillis, interval, toMillis }: CandleCall, endSeconds: number): boolean =>
  endSeconds * 1000 < fromMillis - lengthOf(interval) || endSeconds * 1000 > toMillis + lengthOf(interval)
