import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { SqlError } from "effect/sql/SqlError"

const dayMillis = 86_400_000

/**
 * The partitions of the two big tables, made before rows need them. Days are counted from 1970-01-01 (`Partitions.dayOf`),
 * months from year 0 (`Partitions.monthOf`), both in UTC. What was made or seen once is remembered: asking again costs nothing.
 */
export class Partitions extends Context.Service<
  Partitions,
  {
    /** Succeeds with how many partitions it made. */
    readonly ensureTickDays: (days: Iterable<number>) => Effect.Effect<number, SqlError>
    readonly ensureCandleMonths: (months: Iterable<number>) => Effect.Effect<number, SqlError>
    /** Ticks: yesterday to three days ahead; candles: last month to two months ahead. */
    readonly ahead: (nowMillis: number) => Effect.Effect<number, SqlError>
    /** Rows that no partition was made for. Anything but 0 is a fault to look into. */
    readonly defaultRows: Effect.Effect<{ readonly ticks: number; readonly market_candles: number }, SqlError>
  }
>()("kalshi-ingestor/store/Partitions") {
  static readonly dayOf = (millis: number): number => Math.floor(millis / dayMillis)

  static readonly monthOf = (millis: number): number => {
    const { month, year } = DateTime.toPartsUtc(DateTime.makeUnsafe(millis))
    return year * 12 + month - 1
  }

  static readonly layer = Layer.effect(
    Partitions,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const known = { ticks: new Set<number>(), candles: new Set<number>() }

      const ensure = Effect.fnUntraced(function* (
        kind: "ticks" | "candles",
        wanted: Iterable<number>,
        make: (key: number) => Effect.Effect<ReadonlyArray<{ readonly made: boolean }>, SqlError>
      ) {
        let made = 0
        for (const key of wanted) {
          if (known[kind].has(key)) continue
          const rows = yield* make(key)
          if (rows[0]?.made === true) made += 1
          const transaction = yield* Effect.serviceOption(sql.transactionService)
          if (Option.isNone(transaction)) known[kind].add(key)
        }
        return made
      })

      const ensureTickDays = (days: Iterable<number>) =>
        ensure(
          "ticks",
          days,
          (day) =>
            sql<{ readonly made: boolean }>`select ensure_tick_partition(date '1970-01-01' + ${day}::int) as made`
        )
      const ensureCandleMonths = (months: Iterable<number>) =>
        ensure(
          "candles",
          months,
          (month) =>
            sql<{ readonly made: boolean }>`
              select ensure_candle_partition(make_date(${Math.floor(month / 12)}::int, ${(month % 12) + 1}::int, 1)) as made`
        )

      const ahead = Effect.fn("Partitions.ahead")(function* (nowMillis: number) {
        const day = Partitions.dayOf(nowMillis)
        const month = Partitions.monthOf(nowMillis)
        const ticks = yield* ensureTickDays([-1, 0, 1, 2, 3].map((offset) => day + offset))
        const candles = yield* ensureCandleMonths([-1, 0, 1, 2].map((offset) => month + offset))
        return ticks + candles
      })

      const defaultRows = sql<{ readonly ticks: number; readonly candles: number }>`
        select (select count(*) from ticks_default)::float8 as ticks,
               (select count(*) from market_candles_default)::float8 as candles`.pipe(
        Effect.map((rows) => ({ ticks: rows[0]?.ticks ?? 0, market_candles: rows[0]?.candles ?? 0 })),
        Effect.withSpan("Partitions.defaultRows")
      )

      return Partitions.of({ ensureTickDays, ensureCandleMonths, ahead, defaultRows })
    })
  )
}
