import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type { Decimal } from "../../src/market/Decimal.ts"
import type { Timestamp } from "../../src/market/Timestamp.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import { isData, sqlState } from "../../src/store/SqlState.ts"
import { Trades } from "../../src/store/Trades.ts"
import { Acting, TestDatabase } from "../support/Database.ts"
import { listed, live, prepared, start, tradeId } from "./TradeFixture.ts"

const storeOf = (role: "ws" | "worker") =>
  Layer.effectDiscard(prepared).pipe(
    Layer.provideMerge(Layer.mergeAll(Partitions.layer, Trades.layer.pipe(Layer.provideMerge(MarketKeys.layer)))),
    TestDatabase.under(role)
  )

interface Row {
  readonly ts: Date
  readonly ticker: string
  readonly trade_id: string
  readonly count: string
  readonly yes_price_dollars: string
  readonly no_price_dollars: string
  readonly taker_side: string | null
  readonly is_block_trade: boolean
  readonly received_at: Date | null
  readonly provenance: string
  readonly micros: number | null
}

const rowsOf = (ids: ReadonlyArray<string>) =>
  PgClient.PgClient.use(
    (sql) => sql<Row>`
      select ts, ticker, trade_id::text, count::text, yes_price_dollars::text, no_price_dollars::text, taker_side,
        is_block_trade, received_at, provenance, micros
      from market_trades where trade_id = any(${ids}::uuid[]) order by trade_id, ts`
  )

const sightings = Schema.Array(
  Schema.Struct({
    trade: Schema.Literals([0, 1, 2, 3, 4, 5]),
    from: Schema.Literals(["live", "list"]),
    roundedUp: Schema.Boolean,
    newBatch: Schema.Boolean
  })
).check(Schema.isMaxLength(24))

for (const role of ["ws", "worker"] as const)
  layer(storeOf(role))(`Trades, stored by ${role}`, (it) => {
    let fresh = 0
    const ids = (count: number) => {
      fresh += count
      return Array.from({ length: count }, (_, i) => fresh - count + i)
    }

    it.effect("keeps every number as it was written, and both prices", () =>
      Effect.gen(function* () {
        const trades = yield* Trades
        const [a, b, c] = ids(3)
        const stored = yield* trades.insert([
          { ...live(a!, start), isBlockTrade: true, count: "12345678901234567890.123456789012" as Decimal },
          { ...live(b!, start), yesPrice: "0.4710" as Decimal, noPrice: "0.5300" as Decimal, takerSide: undefined },
          { ...live(c!, start), yesPrice: "0.9999" as Decimal, noPrice: "0.0001" as Decimal }
        ])
        assert.strictEqual(stored, 3)
        const rows = yield* rowsOf([a!, b!, c!].map(tradeId))
        assert.deepStrictEqual(
          rows.map((row) => [row.count, row.yes_price_dollars, row.no_price_dollars, row.is_block_trade]),
          [
            ["12345678901234567890.123456789012", "0.4710", "0.5290", true],
            [`${b! + 1}.50`, "0.4710", "0.5300", false],
            [`${c! + 1}.50`, "0.9999", "0.0001", false]
          ]
        )
        assert.deepStrictEqual(
          rows.map((row) => [row.ticker, row.taker_side, row.ts.getTime(), row.received_at?.getTime(), row.provenance]),
          [
            [`M-${a! % 3}`, a! % 2 === 0 ? "yes" : "no", start, start + 7, "live"],
            [`M-${b! % 3}`, null, start, start + 7, "live"],
            [`M-${c! % 3}`, c! % 2 === 0 ? "yes" : "no", start, start + 7, "live"]
          ]
        )
      })
    )

    it.effect("one row for a trade of both sources, with what each of them knows", () =>
      Effect.gen(function* () {
        const trades = yield* Trades
        const [liveFirst, listFirst, onlyLive, onlyListed] = ids(4)
        assert.strictEqual(yield* trades.insert([live(liveFirst!, start), live(onlyLive!, start)]), 2)
        assert.strictEqual(
          yield* trades.insert([listed(liveFirst!, start), listed(listFirst!, start), listed(onlyListed!, start, 0)]),
          2
        )
        assert.strictEqual(yield* trades.insert([live(listFirst!, start)]), 0)
        const rows = yield* rowsOf([liveFirst!, listFirst!, onlyLive!, onlyListed!].map(tradeId))
        assert.deepStrictEqual(
          rows.map((row) => [row.provenance, row.received_at?.getTime(), row.micros]),
          [
            ["live", start + 7, 250],
            ["live", start + 7, 250],
            ["live", start + 7, null],
            ["repaired", undefined, 0]
          ]
        )
      })
    )

    it.effect("one row although the stamps are rounded differently, also over midnight", () =>
      Effect.gen(function* () {
        const trades = yield* Trades
        const midnight = Date.parse("2026-08-25T00:00:00Z")
        yield* Partitions.use((partitions) => partitions.ensureDays("trades", [Partitions.dayOf(midnight)]))
        const [a, b, c] = ids(3)
        yield* trades.insert([live(a!, start + 1), live(b!, midnight), live(c!, start)])
        assert.strictEqual(
          yield* trades.insert([listed(a!, start, 999), listed(b!, midnight - 1, 999), listed(c!, start + 1000, 0)]),
          0
        )
        assert.lengthOf(yield* rowsOf([a!, b!, c!].map(tradeId)), 3)
      })
    )

    it.effect("microseconds of a stamp of any length", () =>
      Effect.gen(function* () {
        const trades = yield* Trades
        const stamps = ["01Z", "01.5Z", "01.5004Z", "01.500040Z", "01.500999999Z"] as const
        const wanted = [0, 0, 400, 40, 999]
        const numbers = ids(stamps.length)
        yield* trades.insert(
          numbers.map((n, i) => ({ ...listed(n, start), createdTime: `2026-08-24T15:50:${stamps[i]}` as Timestamp }))
        )
        const rows = yield* rowsOf(numbers.map(tradeId))
        assert.deepStrictEqual(
          rows.map(({ micros, ts }) => [ts.getTime() - start, micros]),
          wanted.map((micros, i) => [i === 0 ? 1000 : 1500, micros])
        )
      })
    )

    it.effect("a trade id that is none is refused as data, and nothing of its batch is stored", () =>
      Effect.gen(function* () {
        const trades = yield* Trades
        const [good] = ids(1)
        const refused = yield* Effect.flip(
          trades.insert([live(good!, start), { ...live(good!, start), tradeId: "not a uuid" }])
        )
        assert.strictEqual(sqlState(refused), "22P02")
        assert.isTrue(isData(refused))
        assert.deepStrictEqual(yield* rowsOf([tradeId(good!)]), [])
      })
    )

    it.effect("nothing is stored when the caller's transaction fails", () =>
      Effect.gen(function* () {
        const trades = yield* Trades
        const sql = yield* Acting
        const [n] = ids(1)
        yield* trades
          .insert([live(n!, start)])
          .pipe(Effect.andThen(Effect.fail("no")), sql.withTransaction, Effect.ignore)
        assert.deepStrictEqual(yield* rowsOf([tradeId(n!)]), [])
        assert.strictEqual(yield* trades.insert([live(n!, start)]), 1)
      })
    )

    it.effect("one row when both sources store at once, stamps rounded differently", () =>
      Effect.gen(function* () {
        const trades = yield* Trades
        const sql = yield* Acting
        const [n] = ids(1)
        const stored = yield* Deferred.make<void>()
        const mayCommit = yield* Deferred.make<void>()
        const first = yield* trades
          .insert([live(n!, start + 1)])
          .pipe(
            Effect.andThen(Deferred.succeed(stored, undefined)),
            Effect.andThen(Deferred.await(mayCommit)),
            sql.withTransaction,
            Effect.forkChild
          )
        yield* Deferred.await(stored)
        const second = yield* Effect.forkChild(trades.insert([listed(n!, start, 999)]))
        yield* sql<{ waiting: boolean }>`
        select exists (
          select from pg_locks where locktype = 'advisory' and not granted
            and database = (select oid from pg_database where datname = current_database())
        ) as waiting`.pipe(
          Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (rows) => rows[0]!.waiting }),
          TestClock.withLive
        )
        yield* Deferred.succeed(mayCommit, undefined)
        yield* Fiber.join(first)
        assert.strictEqual(yield* Fiber.join(second), 0)
        assert.lengthOf(yield* rowsOf([tradeId(n!)]), 1)
      })
    )

    it.effect("knows the oldest trade of the live feed and whether there are recent ones", () =>
      Effect.gen(function* () {
        const trades = yield* Trades
        const [a, b] = ids(2)
        yield* trades.insert([listed(a!, start - 5_000)])
        yield* trades.insert([live(b!, start - 3_000)])
        assert.deepStrictEqual(yield* trades.firstLiveMillis, Option.some(start - 3_000))
        assert.isTrue(yield* trades.hasLiveSince(start - 3_000))
        assert.isFalse(yield* trades.hasLiveSince(Date.parse("2026-08-26T00:00:00Z")))
      })
    )

    it.effect.prop(
      "any split of trades between the two sources, in any order, doubled, gives exactly the set",
      [sightings],
      ([seen]) =>
        Effect.gen(function* () {
          const trades = yield* Trades
          const numbers = ids(6)
          const at = (trade: number) => start + trade * 100
          const batches: Array<{ from: "live" | "list"; rows: Array<(typeof seen)[number]> }> = []
          for (const one of seen) {
            const last = batches.at(-1)
            if (last === undefined || one.newBatch || last.from !== one.from)
              batches.push({ from: one.from, rows: [one] })
            else last.rows.push(one)
          }
          let stored = 0
          for (const { from, rows } of batches)
            stored += yield* trades.insert(
              rows.map(({ roundedUp, trade }) =>
                from === "live"
                  ? live(numbers[trade]!, at(trade) + (roundedUp ? 1 : 0))
                  : listed(numbers[trade]!, at(trade), 700)
              )
            )
          const rows = yield* rowsOf(numbers.map(tradeId))
          const distinct = [...new Set(seen.map(({ trade }) => trade))].sort()
          assert.strictEqual(stored, distinct.length)
          assert.deepStrictEqual(
            rows.map((row) => [row.trade_id, row.provenance, row.received_at !== null, row.count]),
            distinct.map((trade) => {
              const wasLive = seen.some((one) => one.trade === trade && one.from === "live")
              const n = numbers[trade]!
              return [tradeId(n), wasLive ? "live" : "repaired", wasLive, `${n + 1}.50`]
            })
          )
        })
    )
  })
