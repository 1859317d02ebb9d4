import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import type { SqlError } from "effect/sql/SqlError"
import { type ArchivedDay, ArchivedDays, daysAtMost, problemOf, type Unread } from "./ArchivedDays.ts"
import { ArchiveSource } from "./ArchiveSource.ts"
import { decimalText, instantText, listOf, provenanceName } from "./ArchiveStage.ts"
import { open } from "./DuckDb.ts"
import { MarketReads, type Span, type TickRow } from "./MarketReads.ts"

/** Enough for a few row groups of one file. */
const memoryMegabytes = 128
const atOnce = 2

/** Ticks of one market, those in the archive among them. */
export class ArchivedTicks extends Context.Service<
  ArchivedTicks,
  {
    /** Newest first, of the database and the archive; or what of the archive could not be read. */
    readonly newest: (
      ticker: string,
      span: Span,
      limit: number
    ) => Effect.Effect<{ readonly ticks: ReadonlyArray<TickRow>; readonly unread: Unread | undefined }, SqlError>
  }
>()("kalshi-ingestor/store/ArchivedTicks") {
  static readonly layer = Layer.effect(
    ArchivedTicks,
    Effect.gen(function* () {
      const reads = yield* MarketReads
      const source = yield* ArchiveSource
      const archived = yield* ArchivedDays
      const few = yield* Semaphore.make(atOnce)

      const ofDay = Effect.fn("ArchivedTicks.ofDay")(function* (
        ticker: string,
        day: ArchivedDay,
        span: Span,
        limit: number
      ) {
        const files = yield* archived.whole([day], false)
        const duck = yield* open({ memoryMegabytes, reach: { files, directories: [] } })
        return (yield* duck.rows(
          `select ${instantText("epoch_us(f.ts)")} as "at", ${instantText("epoch_us(f.ts) + f.received_ms::bigint * 1000")} as "receivedAt",
            ${fields.map(([name, column]) => `${decimalText(`f.${column}`)} as "${name}"`).join(", ")},
            ${provenanceName("f.provenance")} as provenance
          from (
            select * from read_parquet(${listOf(files)}, union_by_name = true, hive_partitioning = false)
            where ticker = $1 and ts >= make_timestamp($2::bigint)::timestamptz and ts <= make_timestamp($3::bigint)::timestamptz
            order by ts desc limit $4::bigint
          ) f
          order by f.ts desc`,
          [ticker, String(span.fromMillis * 1000), String(span.toMillis * 1000), limit]
        )) as unknown as ReadonlyArray<TickRow>
      }, Effect.scoped)

      const newest = Effect.fn("ArchivedTicks.newest")(function* (ticker: string, span: Span, limit: number) {
        // Of one instant: a partition that leaves between two looks would be seen twice, or not at all.
        const { days, live } = yield* source.snapshot(
          "ticks",
          Effect.all({
            live: reads.ticks(ticker, span, limit),
            days: archived.gone({ ...span, toMillis: span.toMillis + 1, tables: ["ticks"], tickers: [ticker] })
          })
        )
        let ticks = live
        const older = [...days].sort((a, b) => b.toMillis - a.toMillis)
        for (const [index, day] of older.entries()) {
          const last = ticks[limit - 1]
          if (last !== undefined && Date.parse(last.at) >= day.toMillis) break
          const unread = (problem: string) => ({ ticks, unread: { problem, days: older.slice(index) } })
          if (index >= daysAtMost)
            return unread(`it would take more than ${daysAtMost} days of the archive: ask for a span`)
          const rows = yield* Effect.result(few.withPermits(1)(ofDay(ticker, day, span, limit)))
          if (rows._tag === "Failure") return unread(yield* problemOf(rows.failure))
          ticks = [...ticks, ...rows.success].sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0)).slice(0, limit)
        }
        return { ticks, unread: undefined }
      })

      return ArchivedTicks.of({ newest })
    })
  )
}

const fields = [
  ["lastPrice", "price_dollars"],
  ["yesBid", "yes_bid_dollars"],
  ["yesAsk", "yes_ask_dollars"],
  ["yesBidSize", "yes_bid_size"],
  ["yesAskSize", "yes_ask_size"],
  ["volume", "volume"],
  ["openInterest", "open_interest"]
] as const
