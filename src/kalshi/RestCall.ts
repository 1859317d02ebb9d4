import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import { Drift } from "./Drift.ts"
import { KalshiConfig } from "./KalshiConfig.ts"
import { KalshiHttp, type Route } from "./KalshiHttp.ts"
import { KalshiRestError } from "./KalshiRestError.ts"
import { callTokens, RateLimit } from "./RateLimit.ts"
import type { Decode } from "./RestWire.ts"

/** A REST call within the account's budget: repeated when it fails in passing, paused when the exchange is down. */
export class RestCall extends Context.Service<
  RestCall,
  {
    readonly get: <A>(route: Route, decode: Decode<A>) => Effect.Effect<A, KalshiRestError>
  }
>()("kalshi-ingestor/kalshi/RestCall") {
  static readonly layerNoDeps = Layer.effect(
    RestCall,
    Effect.gen(function* () {
      const config = yield* KalshiConfig
      const http = yield* KalshiHttp
      const rateLimit = yield* RateLimit
      const drift = yield* Drift
      const breaker = yield* CircuitBreaker.make({
        tripPolicy: CircuitBreaker.consecutive(config.failureThreshold),
        openDuration: Duration.seconds(config.circuitBreakerSeconds)
      })

      const attempt = (route: Route) =>
        rateLimit.acquire(callTokens).pipe(
          Effect.andThen(http.get(route)),
          Effect.tapError((error) => count(route, error.reason._tag)),
          Effect.tap(() => count(route, "ok")),
          breaker.execute({ key: "rest", classify }),
          Effect.catchTag("CircuitBreakerError", (error) =>
            Effect.fail(
              new KalshiRestError({
                route: route.template,
                reason: {
                  _tag: "CircuitOpen",
                  retryAfterSeconds:
                    error.reason._tag === "CircuitOpen" ? Duration.toSeconds(error.reason.retryAfter) : 1
                }
              })
            )
          )
        )

      const persist = Effect.fnUntraced(function* (route: Route) {
        let refusals = 0
        let failures = 0
        while (true) {
          const result = yield* Effect.result(attempt(route))
          if (Result.isSuccess(result)) return result.success
          const error = result.failure
          if (error.reason._tag === "RateLimited" && refusals < maxRefusals)
            yield* pause(Math.max(error.reason.retryAfterSeconds ?? 0, 0.1 * 2 ** refusals++), 10)
          else if (error.outage && failures < config.retries) yield* pause(0.5 * 2 ** failures++, 30)
          else return yield* error
        }
      })

      return RestCall.of({
        get: Effect.fn("RestCall.get")(
          function* (route, decode) {
            yield* Effect.annotateCurrentSpan({ route: route.template })
            const decoded = decode(yield* persist(route), drift.unknown)
            return yield* Result.isSuccess(decoded)
              ? Effect.succeed(decoded.success)
              : Effect.fail(
                  new KalshiRestError({
                    route: route.template,
                    reason: { _tag: "Malformed", issue: decoded.failure }
                  })
                )
          },
          (effect, route) =>
            effect.pipe(Effect.annotateSpans({ route: route.template }), Effect.annotateLogs({ part: "http" }))
        )
      })
    })
  )

  static readonly layer = this.layerNoDeps.pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
}

const maxRefusals = 8

/** Between half of the given time and all of it. */
const pause = (seconds: number, mostSeconds: number) =>
  Effect.flatMap(Random.next, (chance) =>
    Effect.sleep(Duration.seconds(Math.min(seconds, mostSeconds) * (0.5 + chance / 2)))
  )

const classify = <A>(exit: Exit.Exit<A, KalshiRestError>): CircuitBreaker.Outcome => {
  if (exit._tag === "Success") return CircuitBreaker.success
  const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
  if (error === undefined) return CircuitBreaker.ignored
  if (error.outage) return CircuitBreaker.failure()
  return error.reason._tag === "RateLimited" ? CircuitBreaker.ignored : CircuitBreaker.success
}

const requests = Metric.counter("kalshi_rest_requests", {
  description: "REST calls to the exchange by route and outcome",
  incremental: true
})

const count = (route: Route, outcome: string) =>
  Effect.andThen(
    Metric.update(Metric.withAttributes(requests, { route: route.template, outcome }), 1),
    Effect.logDebug("REST call", { route: route.template, outcome })
  )
