import * as Crypto from "node:crypto"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { type Credential, Credentials } from "./Credentials.ts"
import { KalshiConfig } from "./KalshiConfig.ts"
import { KalshiHttp } from "./KalshiHttp.ts"

/** A token bucket: tokens a second, and how many may pile up. */
export interface Limits {
  readonly refillRate: number
  readonly capacity: number
}

/** The tokens of every call that has no price of its own. */
export const callTokens = 10

/** The account's budget of REST calls. */
export class RateLimit extends Context.Service<
  RateLimit,
  {
    /** Takes tokens at once and returns when they would have been there: first come, first served. */
    readonly acquire: (tokens: number) => Effect.Effect<void>
    /** What the bucket is sized with: 95 % of what the account allows, or what the settings say. */
    readonly limits: Effect.Effect<Limits>
  }
>()("kalshi-ingestor/kalshi/RateLimit") {
  /** A bucket of this process alone. */
  static readonly layerMemory = Layer.effect(
    RateLimit,
    Effect.gen(function* () {
      const { current: limits } = yield* accountLimits
      const take = yield* memoryBucket
      return RateLimit.of({
        limits,
        acquire: Effect.fn("RateLimit.acquire")(function* (tokens: number) {
          yield* sleep(yield* take(tokens, yield* limits))
        })
      })
    })
  )

  /**
   * A bucket that all processes on one database share. It is kept by the database's clock and no lock is held while
   * waiting. While the database does not answer, this process counts for itself.
   */
  static readonly layerPostgres = Layer.effect(
    RateLimit,
    Effect.gen(function* () {
      const { current: limits } = yield* accountLimits
      const take = yield* postgresBucket
      const alone = yield* memoryBucket
      let unreachable = false
      const recovered = Effect.suspend(() => {
        unreachable = false
        return Effect.logInfo("the shared rate limit is back")
      })
      const lost = (error: SqlError) =>
        Effect.suspend(() => {
          unreachable = true
          return Effect.logWarning("the shared rate limit cannot be reached, this process counts alone", error.message)
        })
      return RateLimit.of({
        limits,
        acquire: Effect.fn("RateLimit.acquire")(function* (tokens: number) {
          const size = yield* limits
          const wait = yield* take(tokens, size).pipe(
            Effect.tap(() => (unreachable ? recovered : Effect.void)),
            Effect.catch((error) => Effect.andThen(unreachable ? Effect.void : lost(error), alone(tokens, size)))
          )
          yield* sleep(wait)
        })
      })
    })
  )

  /** The one that KALSHI_REST_RATE_LIMIT_BACKEND names. */
  static readonly layer = Layer.unwrap(
    Effect.map(KalshiConfig, ({ rateLimitBackend }) =>
      rateLimitBackend === "db" ? this.layerPostgres : this.layerMemory
    )
  ).pipe(Layer.provide(KalshiHttp.layer))
}

const tokensLeft = Metric.gauge("rate_limit_tokens", {
  description: "Tokens of the REST budget after this process's newest call; below 0 calls wait"
})
const tokensMost = Metric.gauge("rate_limit_capacity", {
  description: "Tokens that the REST budget holds at most; a call takes 10"
})
const waited = Metric.counter("rate_limit_waited_seconds", {
  description: "Seconds that calls of this process waited for the REST budget",
  incremental: true
})

const tell = (tokens: number, capacity: number) =>
  Effect.andThen(Metric.update(tokensLeft, tokens), Metric.update(tokensMost, capacity))

const sleep = (seconds: number) =>
  seconds > 0 ? Effect.andThen(Metric.update(waited, seconds), Effect.sleep(Duration.seconds(seconds))) : Effect.void

const memoryBucket = Effect.gen(function* () {
  const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e9)
  let refilledAt = yield* now
  let tokens: number | undefined
  return (wanted: number, { capacity, refillRate }: Limits) =>
    Effect.flatMap(now, (seconds) => {
      const before = tokens === undefined ? capacity : tokens + Math.max(0, seconds - refilledAt) * refillRate
      refilledAt = seconds
      tokens = Math.min(capacity, before) - wanted
      return Effect.as(tell(tokens, capacity), Math.max(0, -tokens) / refillRate)
    })
})

const postgresBucket = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const { current } = yield* Credentials
  return Effect.fnUntraced(function* (wanted: number, { capacity, refillRate }: Limits) {
    const key = bucketKey(yield* current)
    const rows = yield* sql<{ readonly tokens: number; readonly wait: number }>`
      insert into rate_limit_buckets as bucket (key, tokens, refilled_at, capacity, refill_rate)
      values (${key}, ${capacity}::float8 - ${wanted}::float8, clock_timestamp(), ${capacity}, ${refillRate})
      on conflict (key) do update set
        tokens = least(
          excluded.capacity,
          bucket.tokens
            + greatest(0, extract(epoch from clock_timestamp() - bucket.refilled_at)::float8) * excluded.refill_rate
        ) - ${wanted}::float8,
        refilled_at = greatest(bucket.refilled_at, clock_timestamp()),
        capacity = excluded.capacity,
        refill_rate = excluded.refill_rate
      returning tokens, greatest(0, -tokens) / refill_rate as wait`
    yield* tell(rows[0]?.tokens ?? 0, capacity)
    return rows[0]?.wait ?? 0
  })
})

/** Names the account without telling its key id. */
const bucketKey = Option.match({
  onNone: () => "read:anonymous",
  onSome: ({ keyId }: Credential) => `read:${Crypto.createHash("sha256").update(keyId).digest("hex").slice(0, 16)}`
})

const LimitsBody = Schema.Struct({
  read: Schema.Struct({
    refill_rate: Schema.Finite.check(Schema.isGreaterThan(0)),
    bucket_capacity: Schema.Finite.check(Schema.isGreaterThan(0))
  })
})
const decodeLimits = Schema.decodeUnknownEffect(LimitsBody)

const fallback: Limits = { refillRate: 200, capacity: 200 }
const margin = 0.95

const accountLimits = Effect.gen(function* () {
  const config = yield* KalshiConfig
  const { isConfigured } = yield* Credentials
  const http = yield* KalshiHttp
  const withSettings = (limits: Limits): Limits => {
    const refillRate = config.ratePerSecond > 0 ? config.ratePerSecond * callTokens : limits.refillRate * margin
    const capacity =
      config.burst > 0 ? config.burst * callTokens : config.ratePerSecond > 0 ? refillRate : limits.capacity * margin
    return { refillRate, capacity: Math.max(capacity, callTokens) }
  }
  if (!isConfigured || config.ratePerSecond > 0) return { current: Effect.succeed(withSettings(fallback)) }
  const read = http.get({ template: "GET /account/limits", path: "/account/limits" }).pipe(
    Effect.flatMap(decodeLimits),
    Effect.map(({ read }) => withSettings({ refillRate: read.refill_rate, capacity: read.bucket_capacity }))
  )
  const known = yield* Effect.cachedWithTTL(Effect.result(read), (exit) =>
    exit._tag === "Success" && exit.value._tag === "Success" ? "1 hour" : "1 minute"
  )
  return {
    current: Effect.map(known, (result) => (result._tag === "Success" ? result.success : withSettings(fallback)))
  }
})
