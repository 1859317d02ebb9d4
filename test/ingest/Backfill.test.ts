import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Backfill, backfillCursor, backfillForceFull } from "../../src/ingest/Backfill.ts"
import { KalshiRest } from "../../src/kalshi/KalshiRest.ts"
import type { Market } from "../../src/market/Market.ts"
import { toMillis } from "../../src/market/Timestamp.ts"
import { Random } from "../../src/simulator/Random.ts"
import { Simulator } from "../../src/simulator/Simulator.ts"
import { IngestState } from "../../src/store/IngestState.ts"
import { Acting, TestDatabase } from "../support/Database.ts"
import {
  freshWire,
  hour,
  isCandles,
  layerOf,
  malformed,
  minute,
  onePass,
  startMs,
  storedCandles,
  toldCandles,
  type Wire
} from "./History.ts"
import { proxy } from "./PostgresProxy.ts"

/** Reaches back four and a half hours: four hours of closed Solana markets, and the one that trades. */
const reach = { BACKFILL_FIRST_DAYS: "0.1875" }

const backfill = (settings: Readonly<Record<string, string>> = {}) =>
  onePass(
    "backfill",
    Backfill.pipe(
      Layer.provide(
        ConfigProvider.layer(ConfigProvider.fromUnknown({ ...reach, BACKFILL_SECONDS: "600", ...settings }))
      )
    )
  )

const solanaWire = () => Object.assign(freshWire(), { series: "KXSOLD", pageSize: 2 })

type Services =
  | Layer.Success<ReturnType<typeof layerOf>>
  | Layer.Success<ReturnType<typeof TestDatabase.as>>
  | Simulator

const test = <A, E>(
  body: (wire: Wire) => Effect.Effect<A, E, Services>,
  settings: Readonly<Record<string, string>> = {}
) => {
  const wire = solanaWire()
  return body(wire).pipe(
    Effect.provide(
      layerOf(wire, settings).pipe(
        TestDatabase.under("rest"),
        Layer.provideMerge(Simulator.layer({ speed: 0, startMs }))
      )
    )
  )
}

/** What a backfill that reaches back to an instant is to find, before anything of it is archived. */
const marketsSince = Effect.fnUntraced(function* (millis: number) {
  const rest = yield* KalshiRest
  const some = yield* Stream.runCollect(
    rest.markets({ seriesTicker: "KXSOLD", minCloseSeconds: Math.floor(millis / 1000) })
  )
  return some.filter(({ status }) => status !== "initialized")
})
const reached = startMs - 4.5 * hour

const count = (query: string) =>
  PgClient.PgClient.use((sql) => Effect.map(sql.unsafe<{ n: number }>(query), (rows) => rows[0]!.n))
const cursor = IngestState.use((state) => state.get(backfillCursor))

const complete = Effect.fnUntraced(function* (markets: ReadonlyArray<Market>, told: ReadonlyArray<string>) {
  assert.deepStrictEqual(yield* storedCandles(), told)
  assert.strictEqual(
    yield* count(`select count(*)::int as n from markets where open_time <= '2026-08-24T15:50:00Z'`),
    markets.length
  )
  assert.isTrue((yield* cursor)._tag === "Some")
})

describe("backfill", { timeout: 60_000 }, () => {
  it.live("finds what closed and trades, with all candles, and then asks only for what is new", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { control } = yield* Simulator
        const markets = yield* marketsSince(reached)
        assert.isAtLeast(markets.length, 5 * 24)
        wire.asked.length = 0
        assert.strictEqual(yield* backfill(), "last pass complete")
        assert.isAtMost(wire.asked.filter(isCandles).length, 3)
        yield* complete(markets, yield* toldCandles(markets))
        assert.strictEqual(yield* count(`select count(*)::int as n from markets where completion = 'settled'`), 4 * 24)
        wire.asked.length = 0
        yield* backfill()
        assert.isAtMost(wire.asked.filter(isCandles).length, 1)
        yield* control.advance(25 * minute)
        const later = yield* marketsSince(reached)
        wire.asked.length = 0
        yield* backfill()
        assert.isAtMost(wire.asked.filter(isCandles).length, 2)
        assert.deepStrictEqual(yield* storedCandles(), yield* toldCandles(later))
      })
    )
  )

  it.live("keeps its cursor when a page is malformed or refused, reads the rest, and makes up for it", () =>
    test((wire) =>
      Effect.gen(function* () {
        const markets = yield* marketsSince(reached)
        const told = yield* toldCandles(markets)
        let pages = 0
        wire.intercept = (route, answer) => {
          if (route.path === "/events" && route.query?.["status"] === "settled" && ++pages === 2)
            return malformed(route)
          return answer
        }
        assert.include(yield* backfill(), "cut off")
        assert.isTrue((yield* cursor)._tag === "None")
        const partly = yield* storedCandles()
        assert.isAbove(partly.length, 100)
        assert.isBelow(partly.length, told.length)
        wire.intercept = (_, answer) => answer
        const { control } = yield* Simulator
        yield* control.faults({
          rest: [{ path: "/markets/candlesticks", kind: "status", status: 500, next: 1 }]
        })
        assert.include(yield* backfill(), "500")
        assert.isTrue((yield* cursor)._tag === "Some")
        assert.strictEqual(yield* backfill(), "last pass complete")
        yield* complete(markets, told)
      })
    )
  )

  it.live("finds markets of the historical tier, and what moves there meanwhile", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { control } = yield* Simulator
        const markets = yield* marketsSince(reached)
        const told = yield* toldCandles(markets)
        const settled = markets.flatMap(({ settlementTime }) =>
          settlementTime === undefined ? [] : [toMillis(settlementTime)]
        )
        // In the middle of one event's settlements: a part of its markets is archived.
        yield* control.moveCutoff(settled.sort()[30]!)
        let calls = 0
        wire.intercept = (route, answer) =>
          isCandles(route.path) && ++calls === 2 ? Effect.andThen(control.moveCutoff(startMs - hour), answer) : answer
        assert.strictEqual(yield* backfill(), "last pass complete")
        yield* complete(markets, told)
      })
    )
  )

  it.live("reads again when markets are archived while it lists events", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { control } = yield* Simulator
        const markets = yield* marketsSince(reached)
        const told = yield* toldCandles(markets)
        let pages = 0
        wire.intercept = (route, answer) =>
          route.path === "/events" && ++pages === 3 ? Effect.andThen(control.moveCutoff(startMs), answer) : answer
        assert.include(yield* backfill(), "archived while")
        assert.isTrue((yield* cursor)._tag === "None")
        assert.strictEqual(yield* backfill(), "last pass complete")
        yield* complete(markets, told)
      })
    )
  )

  it.live("killed anywhere, again and again, it ends with everything, nothing missing and nothing twice", () =>
    test((wire) =>
      Effect.gen(function* () {
        const { control } = yield* Simulator
        const url = yield* TestDatabase.urlAs("rest")
        const markets = yield* marketsSince(reached)
        const told = yield* toldCandles(markets)
        yield* control.moveCutoff(startMs - 2.5 * hour)
        const through = yield* proxy(Redacted.value(url))
        const random = new Random(11)
        let deaths = 0
        const death = Effect.fnUntraced(function* (round: number) {
          const killed = yield* Deferred.make<void>()
          const at = wire.asked.length + 3 + random.int(30)
          wire.intercept = (_, answer) =>
            round % 2 === 0 && wire.asked.length >= at
              ? Effect.andThen(Deferred.succeed(killed, undefined), Effect.never)
              : answer
          const cut = round % 2 === 1 ? through.cutBefore(20 + random.int(150)) : Effect.never
          const ended = yield* Effect.raceFirst(Effect.raceFirst(Deferred.await(killed), cut), backfill()).pipe(
            Effect.provide(
              Layer.fresh(layerOf(wire)).pipe(
                Layer.provide(through.layer),
                Layer.provideMerge(Layer.effect(Acting, PgClient.PgClient).pipe(Layer.provide(through.layer)))
              )
            )
          )
          through.plan.chunksLeft = Number.POSITIVE_INFINITY
          return ended === undefined
        })
        while (yield* death(deaths)) deaths++
        assert.isAtLeast(deaths, 5)
        wire.intercept = (_, answer) => answer
        if ((yield* backfill()) !== "last pass complete") assert.fail("the last pass failed")
        yield* complete(markets, told)
        const holes = yield* count(`
          select count(*)::int as n from markets m
          left join candle_ranges c on c.market_ticker = m.ticker and c.period_interval_minutes = 1
          where m.status = 'finalized' and not coalesce(c.checked, '{}') @> tstzrange(m.open_time, m.close_time + interval '1 minute')`)
        assert.strictEqual(holes, 0)
        wire.asked.length = 0
        yield* backfill()
        assert.isAtMost(wire.asked.filter(isCandles).length, 1)
      }).pipe(Effect.scoped)
    )
  )

  it.live("reads everything again when it is told to, and forgets nothing that is gone", () =>
    test((wire) =>
      Effect.gen(function* () {
        const state = yield* IngestState
        const markets = yield* marketsSince(reached)
        const told = yield* toldCandles(markets)
        wire.intercept = (route, answer) =>
          isCandles(route.path)
            ? Effect.map(answer, (body) =>
                JSON.parse(JSON.stringify(body).replaceAll(/"open_interest_fp":"[^"]+"/g, '"open_interest_fp":"1.00"'))
              )
            : answer
        yield* backfill()
        assert.notDeepEqual(yield* storedCandles(), told)
        wire.intercept = (_, answer) => answer
        yield* backfill()
        assert.notDeepEqual(yield* storedCandles(), told)
        yield* state.set(backfillForceFull, "operator")
        yield* backfill()
        yield* complete(markets, told)
        assert.isTrue((yield* state.get(backfillForceFull))._tag === "None")
        wire.asked.length = 0
        yield* backfill({ BACKFILL_FORCE_FULL: "1" })
        assert.isAtLeast(wire.asked.filter(isCandles).length, 2)
        yield* complete(markets, told)
      })
    )
  )

  it.live("leaves markets that trade alone without the status open, and is off at 0", () =>
    test((wire) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* backfill({ BACKFILL_SECONDS: "0" }), "")
        assert.deepStrictEqual(wire.asked, [])
        assert.strictEqual(yield* backfill({ BACKFILL_EVENT_STATUSES: "settled" }), "last pass complete")
        const open = yield* count(`select count(*)::int as n from markets where status = 'active'`)
        assert.strictEqual(open, 0)
        assert.isAbove((yield* storedCandles()).length, 100)
      })
    )
  )

  it.live("takes in combos when they are asked for", () =>
    test(
      () =>
        Effect.gen(function* () {
          assert.strictEqual(yield* backfill({ BACKFILL_FIRST_DAYS: "0.06" }), "last pass complete")
          const combos = `from markets m where ticker like 'KXMVE%'`
          assert.isAbove(yield* count(`select count(*)::int as n ${combos}`), 24)
          assert.strictEqual(yield* count(`select count(*)::int as n ${combos} and is_multivariate is not true`), 0)
          assert.isAbove(
            yield* count(
              `select count(*)::int as n ${combos} and exists (select from market_candles where market_ticker = m.ticker)`
            ),
            24
          )
        }),
      { INCLUDE_MULTIVARIATE: "1" }
    )
  )
})
