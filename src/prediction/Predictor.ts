import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health, thresholds as Thresholds } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { ForecastInputs, type ForecastMarket } from "../store/ForecastInputs.ts"
import { type ForecastRow, ForecastRuns, type RunRow } from "../store/ForecastRuns.ts"
import { type Claim, ForecastSchedule, type Lane } from "../store/ForecastSchedule.ts"
import { thisHost } from "../store/OwnerLock.ts"
import { isData, isTransient } from "../store/SqlState.ts"
import { type Forecast, longestRationale, problemOf } from "./Forecast.ts"
import {
  emptyNotes,
  type ForecastRequest,
  failed,
  type Handler,
  type HandlerError,
  Handlers,
  type RunNotes
} from "./Handler.ts"
import type { PredictionConfig } from "./PredictionConfig.ts"
import { Retrieval } from "./Retrieval.ts"

const runs = Metric.counter("prediction_runs", {
  description: "Forecasts of events, by handler and outcome",
  incremental: true
})
const stored = Metric.counter("predictions_stored", {
  description: "Forecasts of markets stored, by handler",
  incremental: true
})

/** Beyond the longest run, how long a claim lasts: whoever holds it may be gone. */
const graceSeconds = 30
const samples = 60
const hour = 3_600_000

/** The name under which a handler's runs are kept, and by which predictors share its work. */
export const agentOf = (config: Pick<PredictionConfig, "agentName" | "handlers">, handler: Handler): string => {
  const own = handler.model === undefined ? handler.name : `${handler.name}:${handler.model}`
  if (config.agentName === undefined) return own
  return config.handlers.length === 1 ? config.agentName : `${config.agentName}/${own}`
}

const intervalsOf = (config: PredictionConfig): ReadonlyMap<string, number> =>
  new Map(
    config.periods.map((period) => [
      period,
      60 * (period === "hour" ? config.hourMinutes : period === "day" ? config.dayMinutes : config.otherMinutes)
    ])
  )

/**
 * Forecasts events when they are due, one loop a handler: claims as many as it has hands for, whoever would be late first. A run is
 * stored with its forecasts or with its failure, by the holder of the claim alone. A handler that keeps failing rests.
 */
export const Predictor = (config: PredictionConfig) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const loops = yield* Loops
      const health = yield* Health
      const time = yield* ExchangeTime
      const schedule = yield* ForecastSchedule
      const breaker = yield* CircuitBreaker.make({
        tripPolicy: CircuitBreaker.consecutive(config.failureThreshold),
        openDuration: Duration.seconds(config.restSeconds)
      })
      const predictor = `${thisHost}:${process.pid}:${(yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)}`
      const forecast = yield* forecaster(config, predictor, breaker)
      const { staleSeconds: wanted } = yield* Setting.read({ staleSeconds: Thresholds.predictor })
      const poll = Duration.millis(Math.max(50, time.toWallSpan(config.pollSeconds * 1000)))

      const staleSeconds = wanted ?? Math.max(60, 3 * Duration.toSeconds(poll))

      for (const handler of yield* Handlers) {
        const agent = agentOf(config, handler)
        const lane: Lane = { agent, intervals: intervalsOf(config) }
        const work = yield* FiberSet.make<void, unknown>()
        const freed = yield* Queue.sliding<void>(1)
        const seen = { at: yield* Clock.currentTimeMillis, problem: "" }
        let busy = 0

        const begin = (claim: Claim) =>
          Effect.suspend(() => {
            busy += 1
            return forecast(handler, claim).pipe(
              Effect.ensuring(
                Effect.suspend(() => {
                  busy -= 1
                  return Queue.offer(freed, undefined)
                })
              ),
              FiberSet.run(work)
            )
          })

        let isHeld = false
        const hold = (held: boolean) =>
          Effect.suspend(() => {
            isHeld = held
            return Queue.offer(freed, undefined)
          })
        const look = Effect.gen(function* () {
          const state = yield* breaker.state(agent)
          const hands = Math.min(config.maxEvents, (state._tag === "Closed" ? config.concurrency : 1) - busy)
          if (isHeld || state._tag === "Open" || hands <= 0 || !(yield* handler.ready)) return false
          const now = yield* time.now
          const claims = yield* schedule.claim(lane, predictor, now, config.timeoutSeconds + graceSeconds, hands)
          yield* Effect.forEach(claims, begin, { discard: true })
          seen.at = yield* Clock.currentTimeMillis
          seen.problem = ""
          return claims.length === hands
        }).pipe(
          Effect.catchTag("SqlError", (error) => {
            if (!isTransient(error)) return Effect.fail(error)
            seen.problem = "the database does not answer"
            return Effect.as(Effect.logWarning("forecasts wait for the database", { agent }), false)
          })
        )

        const loop = look.pipe(
          Effect.flatMap((more) => (more ? Queue.take(freed) : Effect.race(Effect.sleep(poll), Queue.take(freed)))),
          Effect.forever,
          Effect.raceFirst(FiberSet.join(work))
        )
        yield* health.register(
          `predictor ${agent}`,
          Effect.gen(function* () {
            const state = yield* Effect.orElseSucceed(breaker.state(agent), () => undefined)
            const due = yield* Effect.orElseSucceed(schedule.state(lane, yield* time.now), () => undefined)
            const ageSeconds = ((yield* Clock.currentTimeMillis) - seen.at) / 1000
            const resting = state?._tag === "Open"
            const ready = yield* handler.ready
            return {
              ok: !resting && seen.problem === "" && (busy > 0 || ageSeconds < staleSeconds),
              detail: resting
                ? "keeps failing and rests"
                : seen.problem ||
                  `${ready ? "" : "the day's budget is used up, "}${due?.eligible ?? "?"} events, ${due?.late ?? "?"} late, ${busy} in work`,
              ageSeconds
            }
          })
        )
        yield* loops.run(`predictor ${agent}`, loop, {
          pause: hold(true),
          resume: hold(false)
        })
      }
    })
  ).pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))

/** One claimed event, from its inputs to its stored run. */
const forecaster = Effect.fnUntraced(function* (
  config: PredictionConfig,
  predictor: string,
  breaker: CircuitBreaker.CircuitBreaker
) {
  const time = yield* ExchangeTime
  const inputs = yield* ForecastInputs
  const schedule = yield* ForecastSchedule
  const records = yield* ForecastRuns
  const retrieval = yield* Retrieval

  const requestOf = Effect.fnUntraced(function* (claim: Claim, at: number) {
    const event = yield* inputs.event(claim.eventTicker)
    const markets = yield* inputs.markets(claim.eventTicker, at, config.maxMarkets)
    if (event === undefined || markets.length === 0) return undefined
    const words = [
      event.title,
      event.subTitle,
      event.category,
      ...markets.slice(0, 5).map(({ yesSubTitle }) => yesSubTitle)
    ]
    const subject = words.filter((word) => word !== null && word !== "").join(" ")
    const from = at - (event.strikePeriod === "hour" ? hour : 24 * hour)
    const request: ForecastRequest = {
      at,
      event,
      markets,
      documents: config.contextDocs === 0 ? Effect.succeed([]) : retrieval.search(subject, at, config.contextDocs),
      history: (tickers) =>
        Effect.mapError(inputs.history(tickers, from, at, samples), () => failed("the markets' past could not be read"))
    }
    return request
  })

  const predict = (handler: Handler, request: ForecastRequest, notes: RunNotes, agent: string) =>
    handler.predict(request, notes).pipe(
      Effect.flatMap((forecasts) => {
        const problem = problemOf(forecasts, new Set(request.markets.map(({ ticker }) => ticker)))
        return problem === undefined ? Effect.succeed(forecasts) : Effect.fail(failed(problem))
      }),
      Effect.timeoutOrElse({
        duration: Duration.seconds(config.timeoutSeconds),
        orElse: () => Effect.fail(failed(`it took longer than ${config.timeoutSeconds} s`))
      }),
      Effect.catchDefect((defect) =>
        Effect.andThen(
          Effect.logError("handler died", Cause.die(defect)),
          Effect.fail(failed("the handler died; see its log"))
        )
      ),
      breaker.execute({ key: agent, classify })
    )

  const runOf = Effect.fnUntraced(function* (
    handler: Handler,
    request: ForecastRequest,
    notes: RunNotes,
    began: number
  ) {
    const run: Omit<RunRow, "failure"> = {
      agentName: agentOf(config, handler),
      handler: handler.name,
      modelName: handler.model,
      predictor,
      at: request.at,
      finishedAt: yield* time.now,
      durationMillis: (yield* Clock.currentTimeMillis) - began,
      prompt: notes.prompt,
      promptHash: notes.promptHash,
      documents: notes.documents,
      parameters: notes.parameters,
      markets: request.markets.length,
      calls: notes.calls,
      inputTokens: notes.inputTokens,
      outputTokens: notes.outputTokens,
      costDollars: notes.costDollars
    }
    return run
  })

  const forecast = Effect.fn("Predictor.forecast")(function* (handler: Handler, claim: Claim) {
    const at = yield* time.now
    const began = yield* Clock.currentTimeMillis
    const regular = at + claim.intervalSeconds * 1000
    const sooner = at + Math.min(1, 2 ** claim.attempts / 4) * claim.intervalSeconds * 1000
    const request = yield* requestOf(claim, at)
    if (request === undefined) return yield* schedule.finish(claim, regular, false)
    const notes = emptyNotes()
    const result = yield* Effect.result(predict(handler, request, notes, claim.agent))
    const run = yield* runOf(handler, request, notes, began)
    const save = (failure: string | undefined, nextDue: number, rows: ReadonlyArray<ForecastRow>) =>
      records.save(claim, nextDue, { ...run, failure }, rows)
    if (Result.isFailure(result)) {
      const error = result.failure
      if (error._tag === "CircuitBreakerError") return yield* schedule.finish(claim, claim.dueAt, false)
      yield* Effect.logWarning("forecast failed", { event: claim.eventTicker, problem: error.problem })
      yield* save(error.problem, error.kind === "budget" ? regular : sooner, [])
      return yield* count(handler, "failed", 0)
    }
    const saved = yield* save(undefined, regular, rowsOf(request.markets, result.success)).pipe(
      Effect.catchTag("SqlError", (error) =>
        isData(error) ? save("the database refused what the handler said", sooner, []) : Effect.fail(error)
      )
    )
    yield* count(handler, saved.outcome, saved.stored)
    return yield* Effect.logDebug("forecast", {
      event: claim.eventTicker,
      outcome: saved.outcome,
      stored: saved.stored
    })
  })

  return (handler: Handler, claim: Claim) =>
    forecast(handler, claim).pipe(
      Effect.catchTags({
        ClaimLost: () => Effect.logWarning("somebody else has taken the event meanwhile", { event: claim.eventTicker }),
        SqlError: (error) =>
          isTransient(error)
            ? Effect.logWarning("a forecast could not be stored, the event is due again when its claim ends", {
                event: claim.eventTicker
              })
            : Effect.fail(error)
      }),
      Effect.onInterrupt(() => Effect.ignore(schedule.finish(claim, claim.dueAt, false))),
      Effect.annotateLogs({ agent: claim.agent }),
      Effect.asVoid
    )
})

const classify = <A>(exit: Exit.Exit<A, HandlerError>): CircuitBreaker.Outcome => {
  if (Exit.isSuccess(exit)) return CircuitBreaker.success
  const error = exit.cause.reasons.find(Cause.isFailReason)?.error
  return error === undefined || error.kind === "budget" ? CircuitBreaker.ignored : CircuitBreaker.failure()
}

const rowsOf = (
  markets: ReadonlyArray<ForecastMarket>,
  forecasts: ReadonlyArray<Forecast>
): ReadonlyArray<ForecastRow> => {
  const byTicker = new Map(markets.map((market) => [market.ticker, market]))
  return forecasts.flatMap(({ confidence, marketTicker, rationale, raw, yesProb }) => {
    const market = byTicker.get(marketTicker)
    return market === undefined
      ? []
      : [
          {
            market,
            yesProb,
            confidence,
            rationale: rationale?.replaceAll("\u0000", "").slice(0, longestRationale),
            raw
          }
        ]
  })
}

const count = Effect.fnUntraced(function* (handler: Handler, outcome: string, forecasts: number) {
  yield* Metric.update(Metric.withAttributes(runs, { handler: handler.name, outcome }), 1)
  yield* Metric.update(Metric.withAttributes(stored, { handler: handler.name }), forecasts)
})
