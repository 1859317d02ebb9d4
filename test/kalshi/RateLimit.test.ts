import * as Crypto from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import { Credentials } from "../../src/kalshi/Credentials.ts"
import { KalshiHttp } from "../../src/kalshi/KalshiHttp.ts"
import { KalshiRestError } from "../../src/kalshi/KalshiRestError.ts"
import { RateLimit } from "../../src/kalshi/RateLimit.ts"
import { TestDatabase } from "../support/Database.ts"
import { configOf } from "./Fakes.ts"

const accountOf = (refill_rate: number, bucket_capacity: number) =>
  Layer.succeed(KalshiHttp, {
    get: () => Effect.succeed({ usage_tier: "basic", read: { refill_rate, bucket_capacity }, grants: [] })
  })
const account = accountOf(1000, 100)
const refusing = Layer.succeed(KalshiHttp, {
  get: ({ template }) => Effect.fail(new KalshiRestError({ route: template, reason: { _tag: "NotFound" } }))
})
const { privateKey } = Crypto.generateKeyPairSync("ed25519")
const keyed = Layer.sync(Credentials, () =>
  Credentials.holding(Option.some({ keyId: "key-1", privateKey, algorithm: "ed25519" }))
)
const depsOf = (http: Layer.Layer<KalshiHttp>) => Layer.mergeAll(http, keyed, configOf({}))
const deps = depsOf(account)

const elapsed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    yield* effect
    return (yield* Clock.currentTimeMillis) - start
  })

const conformance = (name: string, layer: (http: Layer.Layer<KalshiHttp>) => Layer.Layer<RateLimit, unknown>) =>
  describe(name, () => {
    it.live("lets a burst through at once and then the rate", () =>
      Effect.gen(function* () {
        const { acquire, limits } = yield* RateLimit
        assert.deepStrictEqual(yield* limits, { refillRate: 190, capacity: 190 })
        const whole = yield* elapsed(
          Effect.gen(function* () {
            const burst = yield* elapsed(Effect.repeat(acquire(10), { times: 18 }))
            assert.isBelow(burst, 900)
            yield* Effect.replicateEffect(acquire(10), 12, { concurrency: "unbounded", discard: true })
          })
        )
        assert.isAtLeast(whole, 620)
      }).pipe(Effect.provide(Layer.fresh(layer(accountOf(200, 200)))))
    )

    it.live("never holds more than its capacity", () =>
      Effect.gen(function* () {
        const { acquire } = yield* RateLimit
        yield* acquire(90)
        yield* Effect.sleep("250 millis")
        assert.isAtLeast(yield* elapsed(Effect.andThen(acquire(95), acquire(95))), 90)
      }).pipe(Effect.provide(Layer.fresh(layer(account))))
    )
  })

conformance("RateLimit in memory", (http) => RateLimit.layerMemory.pipe(Layer.provide(depsOf(http))))
conformance("RateLimit in Postgres", (http) =>
  RateLimit.layerPostgres.pipe(Layer.provide(depsOf(http)), Layer.provide(TestDatabase.layer))
)

describe("RateLimit", () => {
  it.live("is one budget for all processes on a database, and names no key in it", () =>
    Effect.gen(function* () {
      const process = RateLimit.layerPostgres.pipe(Layer.provide(deps))
      const spend = Effect.provide(
        RateLimit.use(({ acquire }) => Effect.repeat(acquire(10), { times: 14 })),
        Layer.fresh(process)
      )
      const wait = yield* elapsed(Effect.all([spend, spend, spend], { concurrency: "unbounded" }))
      assert.isAtLeast(wait, 300)
      const sql = yield* SqlClient.SqlClient
      const rows = yield* sql<{ readonly key: string }>`select key from rate_limit_buckets`
      assert.strictEqual(rows.length, 1)
      assert.notInclude(rows[0]!.key, "key-1")
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("goes on alone while the database cannot count", () =>
    Effect.gen(function* () {
      const wait = yield* elapsed(RateLimit.use(({ acquire }) => Effect.repeat(acquire(10), { times: 19 })))
      assert.isAtLeast(wait, 80)
    }).pipe(Effect.provide(RateLimit.layerPostgres.pipe(Layer.provide(deps), Layer.provide(TestDatabase.layerEmpty))))
  )

  const sized = (environment: Record<string, string>, credentials: Layer.Layer<Credentials>, http = account) =>
    Effect.provide(
      RateLimit.use(({ limits }) => limits),
      RateLimit.layerMemory.pipe(Layer.provide(Layer.mergeAll(http, credentials, configOf(environment))))
    )

  it.effect("is sized by the settings, else by the account, else by the smallest account", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sized({ KALSHI_REST_RATE_PER_SEC: "2" }, keyed), { refillRate: 20, capacity: 20 })
      assert.deepStrictEqual(yield* sized({ KALSHI_REST_BURST: "5" }, keyed), { refillRate: 950, capacity: 50 })
      assert.deepStrictEqual(yield* sized({}, Credentials.layerNone), { refillRate: 190, capacity: 190 })
      assert.deepStrictEqual(yield* sized({}, keyed, refusing), { refillRate: 190, capacity: 190 })
    })
  )
})
