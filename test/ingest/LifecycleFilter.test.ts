import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { LifecycleFilter } from "../../src/ingest/LifecycleFilter.ts"
import { decodeFrame } from "../../src/kalshi/SocketWire.ts"
import type { Lifecycle } from "../../src/market/Lifecycle.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { Catalog } from "../../src/store/Catalog.ts"
import { TestDatabase } from "../support/Database.ts"
import { created, eventLifecycle, lifecycle, start } from "./Frames.ts"
import { settings } from "./Recorder.ts"

const layer = LifecycleFilter.layer.pipe(
  Layer.provideMerge(Catalog.layer),
  TestDatabase.under("ws"),
  Layer.provide(settings())
)

const decode = (...raw: ReadonlyArray<string>): ReadonlyArray<Lifecycle> =>
  raw.map((one) => {
    const frame = decodeFrame(one, start)
    if (frame._tag !== "MarketLifecycle" && frame._tag !== "EventLifecycle") throw new Error(JSON.stringify(frame))
    return frame
  })

const select = (...raw: ReadonlyArray<string>) => LifecycleFilter.use((filter) => filter.select(decode(...raw)))

/** What the writer does with what was selected. */
const keep = (...raw: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const catalog = yield* Catalog
    const found = yield* select(...raw)
    yield* catalog.saveEvents(found.events)
    yield* catalog.saveMarkets(found.markets, fromMillis(start))
    yield* found.settle
    return found.messages.map(({ kind, ticker }) => `${kind} ${ticker}`)
  })

const events = PgClient.PgClient.use(
  (sql) => sql`select event_ticker, series_ticker, title, strike_period from events order by 1`
)
const markets = PgClient.PgClient.use((sql) => sql`select ticker, event_ticker, status, result from markets order by 1`)

describe("LifecycleFilter", () => {
  it.effect("an hourly event first heard of here is stored with its period and market, a weekly one is not", () =>
    Effect.gen(function* () {
      const kept = yield* keep(
        created("H-1", "KXBTCD-H", start, 1),
        created("D-1", "KXHIGHNY-D", start, 34),
        created("W-1", "KXBTCW-W", start, 24 * 7)
      )
      assert.deepStrictEqual(kept, ["created H-1", "created D-1"])
      assert.deepStrictEqual(yield* events, [
        { event_ticker: "KXBTCD-H", series_ticker: "KXBTCD", title: null, strike_period: "hour" },
        { event_ticker: "KXHIGHNY-D", series_ticker: "KXHIGHNY", title: null, strike_period: "day" }
      ])
      assert.deepStrictEqual(yield* markets, [
        { ticker: "D-1", event_ticker: "KXHIGHNY-D", status: "initialized", result: null },
        { ticker: "H-1", event_ticker: "KXBTCD-H", status: "initialized", result: null }
      ])
    }).pipe(Effect.provide(layer))
  )

  it.effect("news of a market that we do not record is dropped, of one that we record is kept", () =>
    Effect.gen(function* () {
      yield* keep(created("H-1", "KXBTCD-H", start, 1))
      const kept = yield* keep(
        lifecycle("UNKNOWN", "determined", {
          determination_ts: start / 1000,
          result: "yes",
          settlement_value: "1.0000"
        }),
        lifecycle("UNKNOWN", "settled", { settled_ts: start / 1000 }),
        lifecycle("H-1", "activated", { is_deactivated: false }),
        lifecycle("H-1", "determined", { determination_ts: start / 1000, result: "no", settlement_value: "0.0000" })
      )
      assert.deepStrictEqual(kept, ["activated H-1", "determined H-1"])
      assert.deepStrictEqual(yield* markets, [
        { ticker: "H-1", event_ticker: "KXBTCD-H", status: "determined", result: "no" }
      ])
    }).pipe(Effect.provide(layer))
  )

  it.effect("an event announced before its first market keeps its words, also when storing has to be tried again", () =>
    Effect.gen(function* () {
      const announced = eventLifecycle("KXBTCD-H", { series_ticker: "KXBTCD", strike_period: "" })
      assert.deepStrictEqual(yield* keep(announced, eventLifecycle("KXNEWS-1")), [])
      const market = created("H-1", "KXBTCD-H", start, 1)
      yield* select(market)
      yield* keep(market)
      assert.deepStrictEqual(yield* events, [
        { event_ticker: "KXBTCD-H", series_ticker: "KXBTCD", title: "Event KXBTCD-H", strike_period: "hour" }
      ])
    }).pipe(Effect.provide(layer))
  )

  it.effect("the event's own word outweighs how long its market trades", () =>
    Effect.gen(function* () {
      yield* keep(
        eventLifecycle("KXBTC15M-1", { strike_period: "fifteen_min" }),
        eventLifecycle("KXBTCD-2", { strike_period: "Hourly" })
      )
      const kept = yield* keep(created("Q", "KXBTC15M-1", start, 0.25), created("H", "KXBTCD-2", start, 40))
      assert.deepStrictEqual(kept, ["created H"])
    }).pipe(Effect.provide(layer))
  )

  it.effect("the series tells when nothing else does", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`insert into series (ticker, frequency) values ('KXHOUR', 'hourly'), ('KXWEEK', 'weekly')`
      const untimed = (ticker: string, event: string) =>
        lifecycle(ticker, "created", { additional_metadata: { event_ticker: event } })
      assert.deepStrictEqual(yield* keep(untimed("A", "KXHOUR-1"), untimed("B", "KXWEEK-1")), ["created A"])
    }).pipe(Effect.provide(layer))
  )
})
