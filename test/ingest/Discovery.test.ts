import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import type * as SqlClient from "effect/sql/SqlClient"
import { AccountCheck } from "../../src/ingest/AccountCheck.ts"
import { Discovery } from "../../src/ingest/Discovery.ts"
import { EventIntake } from "../../src/ingest/EventIntake.ts"
import { LifecycleResumed } from "../../src/ingest/LifecycleResumed.ts"
import { Credentials } from "../../src/kalshi/Credentials.ts"
import { Drift } from "../../src/kalshi/Drift.ts"
import { KalshiConfig } from "../../src/kalshi/KalshiConfig.ts"
import { KalshiHttp } from "../../src/kalshi/KalshiHttp.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import { KalshiRestError } from "../../src/kalshi/KalshiRestError.ts"
import { RateLimit } from "../../src/kalshi/RateLimit.ts"
import { RestCall } from "../../src/kalshi/RestCall.ts"
import { Signer } from "../../src/kalshi/Signer.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { ActiveMarkets } from "../../src/store/ActiveMarkets.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { IngestState } from "../../src/store/IngestState.ts"
import { MarketCompletion } from "../../src/store/MarketCompletion.ts"
import { type Acting, TestDatabase } from "../support/Database.ts"

const startMs = Date.parse("2026-08-24T15:50:00Z")

/** Refuses the n-th page of events, counted from 1, as a malformed answer; 0 refuses none. Counts all calls. */
const faulty = Effect.fnUntraced(function* () {
  const refused = yield* Ref.make(0)
  const asked: Array<string> = []
  const layer = Layer.effect(
    KalshiHttp,
    Effect.map(KalshiHttp, (http) =>
      KalshiHttp.of({
        get: (route) =>
          Effect.flatMap(Ref.get(refused), (nth) => {
            asked.push(route.path)
            const pages = asked.filter((path) => path === "/events").length
            return route.path === "/events" && pages === nth
              ? Effect.fail(
                  new KalshiRestError({ route: "GET /events", reason: { _tag: "Malformed", issue: "cut off" } })
                )
              : http.get(route)
          })
      })
    )
  ).pipe(Layer.provide(KalshiHttp.layer))
  return { asked, layer, refused }
})

const discovering = Effect.fnUntraced(function* (
  http: Effect.Success<ReturnType<typeof faulty>>,
  settings: Readonly<Record<string, string>> = {}
) {
  const { clock, restUrl } = yield* Simulator
  const environment = ConfigProvider.layer(
    ConfigProvider.fromUnknown({
      KALSHI_REST_URL: restUrl,
      KALSHI_REST_RATE_LIMIT_BACKEND: "memory",
      KALSHI_REST_RATE_PER_SEC: "1000",
      DISCOVERY_SECONDS: "0.3",
      ...settings
    })
  )
  const time = ExchangeTime.layerLinear({
    wallMillis: clock.wallMs,
    exchangeMillis: clock.exchangeMs,
    speed: 0.001,
    simulated: true
  })
  const venue = KalshiRest.layerNoDeps.pipe(
    Layer.provide(RestCall.layer),
    Layer.provide(RateLimit.layerMemory),
    Layer.provide(http.layer),
    Layer.provideMerge(Signer.layer),
    Layer.provide(Credentials.layer),
    Layer.provide([KalshiConfig.layer, Drift.layer])
  )
  return Discovery.pipe(
    Layer.provide([
      AccountCheck.layer,
      LifecycleResumed.layer,
      EventIntake.layer.pipe(Layer.provide(MarketCompletion.layer))
    ]),
    Layer.provide([venue, Catalog.layer, ActiveMarkets.layer, IngestState.layer, time, Health.layer]),
    Layer.provide(Loops.layer),
    Layer.provide(environment),
    Layer.provide(TestDatabase.actingClient)
  )
})

const state = PgClient.PgClient.use((sql) =>
  Effect.map(sql<{ key: string; value: string }>`select key, value from ingest_state`, (rows) =>
    Object.fromEntries(rows.map(({ key, value }) => [key, value]))
  )
)
const until = <A, E, R>(look: Effect.Effect<A, E, R>, done: (found: A) => boolean) =>
  look.pipe(Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: done }), Effect.timeout("15 seconds"))

const test = <A, E>(
  body: Effect.Effect<A, E, Acting | PgClient.PgClient | SqlClient.SqlClient | TestDatabase | Simulator>
) => body.pipe(Effect.provide(TestDatabase.as("rest").pipe(Layer.provideMerge(Simulator.layer({ speed: 0, startMs })))))

describe("discovery", () => {
  it.live("finds what opens and is open, of the wanted periods only, and then asks only for updates", () =>
    test(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const http = yield* faulty()
        yield* Layer.build(yield* discovering(http))
        yield* until(state, (found) => "discovery_updated_until" in found)
        const series = yield* sql<{
          s: string
        }>`select distinct split_part(event_ticker, '-', 1) as s from events order by 1`
        const names = series.map(({ s }) => s)
        for (const name of ["KXBTCD", "KXBTC", "KXETHD", "KXHIGHNY"]) assert.include(names, name)
        for (const name of ["KXFED", "KXBTC15M"]) assert.notInclude(names, name)
        const [counts] = yield* sql<{ active: number; waiting: number; listed: number; exact: number }>`
          select count(*) filter (where status = 'active')::int as active,
            count(*) filter (where status = 'initialized')::int as waiting,
            (select count(*)::int from active_markets) as listed,
            count(*) filter (where floor_strike <> trunc(floor_strike))::int as exact
          from markets`
        assert.isAbove(counts!.active, 100)
        assert.isAbove(counts!.waiting, 100)
        assert.strictEqual(counts!.listed, counts!.active)
        assert.isAbove(counts!.exact, 0)
        const first = http.asked.length
        yield* until(
          Effect.sync(() => http.asked.length),
          (n) => n >= first + 4
        )
        assert.deepStrictEqual([...new Set(http.asked.slice(first))].sort(), ["/events", "/series"])
      }).pipe(Effect.scoped)
    )
  )

  it.live("finds combos only when they are asked for", () =>
    test(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const http = yield* faulty()
        const combos = Effect.map(
          sql<{ n: number }>`select count(*)::int as n from active_markets where ticker like 'KXMVE%'`,
          (rows) => rows[0]!.n
        )
        yield* Effect.gen(function* () {
          yield* Layer.build(yield* discovering(http))
          yield* until(state, (found) => "discovery_updated_until" in found)
          assert.strictEqual(yield* combos, 0)
        }).pipe(Effect.scoped)
        yield* Layer.build(Layer.fresh(yield* discovering(http, { INCLUDE_MULTIVARIATE: "1" })))
        yield* until(combos, (n) => n >= 24)
        const [mixed] = yield* sql<{ n: number }>`
          select count(*)::int as n from markets where (ticker like 'KXMVE%') is distinct from (is_multivariate is true)`
        assert.strictEqual(mixed!.n, 0)
      }).pipe(Effect.scoped)
    )
  )

  it.live("does not move its watermark past a page that failed, and makes up for it", () =>
    test(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const http = yield* faulty()
        yield* Ref.set(http.refused, 2)
        yield* Layer.build(yield* discovering(http))
        yield* until(
          Effect.sync(() => http.asked.filter((path) => path === "/events").length),
          (n) => n >= 2
        )
        assert.notProperty(yield* state, "discovery_updated_until")
        assert.notProperty(yield* state, "discovery_full_at")
        yield* until(state, (found) => "discovery_full_at" in found)
        const [counts] = yield* sql<{ n: number }>`select count(*)::int as n from markets where status = 'active'`
        assert.isAbove(counts!.n, 100)
      }).pipe(Effect.scoped)
    )
  )

  it.live("asks for updates at once when the lifecycle feed is received again", () =>
    test(
      Effect.gen(function* () {
        const http = yield* faulty()
        yield* Layer.build(yield* discovering(http, { DISCOVERY_SECONDS: "3600" }))
        yield* until(state, (found) => "discovery_updated_until" in found)
        const passes = Effect.sync(() => http.asked.filter((path) => path === "/series").length)
        // Listening begins with a pass of its own: nobody knows what was said before.
        yield* until(passes, (n) => n === 2)
        yield* LifecycleResumed.tell
        yield* until(passes, (n) => n === 3)
      }).pipe(Effect.scoped)
    )
  )
})
