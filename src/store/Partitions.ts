import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { SqlError } from "effect/sql/SqlError"

const dayMillis = 86_400_000

/** Tables with a partition a day, by their column `ts`. */
export const dayTables = ["ticks", "tick_frames", "trades", "book_events", "book_snapshots"] as const
export type DayTable = (typeof dayTables)[number]
export type PartitionedTable = DayTable | "market_candles"

/**
 * The partitions of the big tables, made before rows need them. Days are counted from 1970-01-01 (`Partitions.dayOf`),
 * months from year 0 (`Partitions.monthOf`), both in UTC. What was made or seen once is remembered: asking again costs nothing.
 */
export class Partitions extends Context.Service<
  Partitions,
  {
    /** Succeeds with how many partitions it made. */
    readonly ensureDays: (table: DayTable, days: Iterable<number>) => Effect.Effect<number, SqlError>
    readonly ensureCandleMonths: (months: Iterable<number>) => Effect.Effect<number, SqlError>
    /** Days: yesterday to three days ahead; candles: last month to two months ahead. */
    readonly ahead: (nowMillis: number) => Effect.Effect<number, SqlError>
    /** Rows that no partition was made for, by table. Anything but 0 is a fault to look into. */
    readonly defaultRows: Effect.Effect<Readonly<Record<PartitionedTable, number>>, SqlError>
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
      const known = new Set<string>()

      const ensure = Effect.fnUntraced(function* (
        table: PartitionedTable,
        wanted: Iterable<number>,
        make: (key: number) => Effect.Effect<ReadonlyArray<{ readonly made: boolean }>, SqlError>
      ) {
        let made = 0
        for (const key of wanted) {
          const name = `${table} ${key}`
          if (known.has(name)) continue
          const rows = yield* make(key)
          if (rows[0]?.made === true) made += 1
          const transaction = yield* Effect.serviceOption(sql.transactionService)
          if (Option.isNone(transaction)) known.add(name)
        }
        return made
      })

      const ensureDays = (table: DayTable, days: Iterable<number>) =>
        ensure(
          table,
          days,
          (day) =>
            sql<{
              readonly made: boolean
            }>`select ensure_day_partition(${table}, date '1970-01-01' + ${day}::int) as made`
        )
      const ensureCandleMonths = (months: Iterable<number>) =>
        ensure(
          "market_candles",
          months,
          (month) =>
            sql<{ readonly made: boolean }>`
              select ensure_candle_partition(make_date(${Math.floor(month / 12)}::int, ${(month % 12) + 1}::int, 1)) as made`
        )

      const ahead = Effect.fn("Partitions.ahead")(function* (nowMillis: number) {
        const day = Partitions.dayOf(nowMillis)
        const month = Partitions.monthOf(nowMillis)
        const days = [-1, 0, 1, 2, 3].map((offset) => day + offset)
        const made = yield* Effect.forEach(dayTables, (table) => ensureDays(table, days))
        const candles = yield* ensureCandleMonths([-1, 0, 1, 2].map((offset) => month + offset))
        return made.reduce((sum, some) => sum + some, candles)
      })

      const countDefault = (table: PartitionedTable) =>
        sql<{ readonly rows: number }>`select count(*)::float8 as rows from ${sql(`${table}_default`)}`.pipe(
          Effect.map((rows) => rows[0]?.rows ?? 0)
        )
      const defaultRows = Effect.forEach([...dayTables, "market_candles"] as const, (table) =>
        Effect.map(countDefault(table), (rows) => [table, rows] as const)
      ).pipe(
        Effect.map((counts) => Object.fromEntries(counts) as Record<PartitionedTable, number>),
        Effect.withSpan("Partitions.defaultRows")
      )

      return Partitions.of({ ensureDays, ensureCandleMonths, ahead, defaultRows })
    })
  )
}
