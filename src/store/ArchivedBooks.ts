import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMicros, fromMillis } from "../market/Timestamp.ts"
import { type ArchivedDay, ArchivedDays, daysAtMost, problemOf, type Unread } from "./ArchivedDays.ts"
import { ArchiveSource } from "./ArchiveSource.ts"
import { decimalText, listOf } from "./ArchiveStage.ts"
import { open } from "./DuckDb.ts"
import { type BookQuality, type BookRow, MarketReads } from "./MarketReads.ts"

const memoryMegabytes = 128
const atOnce = 2
const dayMillis = 86_400_000

/** A whole book as it was received: numbers beyond 2⁵³ as text. */
interface Base {
  readonly connection: string
  readonly seq: string
  readonly micros: number
}

interface Level {
  readonly yes: boolean
  readonly price: string
  readonly size: string
}

interface Found {
  readonly levels: ReadonlyArray<BookRow>
  readonly quality: BookQuality
  /** What of the archive it would have needed. */
  readonly unread: Unread | undefined
}

const isNewer = (a: Base, b: Base) =>
  BigInt(a.connection) > BigInt(b.connection) || (a.connection === b.connection && BigInt(a.seq) > BigInt(b.seq))

/** The order book of a market at an instant as `book_at` has it, where the newest whole book or changes since are in the archive, too. */
export class ArchivedBooks extends Context.Service<
  ArchivedBooks,
  { readonly at: (ticker: string, atMillis: number) => Effect.Effect<Found, SqlError> }
>()("kalshi-ingestor/store/ArchivedBooks") {
  static readonly layer = Layer.effect(
    ArchivedBooks,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const reads = yield* MarketReads
      const source = yield* ArchiveSource
      const archived = yield* ArchivedDays
      const few = yield* Semaphore.make(atOnce)

      const baseIn = Effect.fnUntraced(function* (ticker: string, day: ArchivedDay, atMillis: number) {
        const files = yield* archived.whole([day], false)
        const duck = yield* open({ memoryMegabytes, reach: { files, directories: [] } })
        const [found] = yield* duck.rows(
          `select connection::varchar as connection, seq::varchar as seq, epoch_us(ts)::double as micros
          from read_parquet(${listOf(files)}, union_by_name = true, hive_partitioning = false)
          where ticker = $1 and epoch_us(ts) <= $2::bigint order by connection desc, seq desc limit 1`,
          [ticker, String(atMillis * 1000)]
        )
        return found as Base | undefined
      }, Effect.scoped)

      /** Levels of the whole book where a day has it, and the changes of these days, summed. */
      const levelsOf = Effect.fnUntraced(function* (
        ticker: string,
        base: Base,
        whole: ArchivedDay | undefined,
        changes: ReadonlyArray<ArchivedDay>,
        atMillis: number
      ) {
        const wholeFiles = whole === undefined ? [] : yield* archived.whole([whole], false)
        const changeFiles = yield* archived.whole(changes, false)
        const duck = yield* open({
          memoryMegabytes,
          reach: { files: [...wholeFiles, ...changeFiles], directories: [] }
        })
        const read = (files: ReadonlyArray<string>) =>
          `read_parquet(${listOf(files)}, union_by_name = true, hive_partitioning = false) f
            where f.ticker = $1 and f.connection = $2::bigint`
        const side = (name: "yes" | "no") =>
          `select ${name === "yes"} as yes, unnest(f.${name}_prices) as price, unnest(f.${name}_sizes) as size
          from ${read(wholeFiles)} and f.seq = $3::bigint`
        const parts = [
          ...(wholeFiles.length === 0 ? [] : [[side("yes"), 0] as const, [side("no"), 0] as const]),
          ...(changeFiles.length === 0
            ? []
            : [
                [
                  `select f.yes, f.price, f.delta as size from ${read(changeFiles)} and f.seq > $3::bigint
                  and epoch_us(f.ts) <= $4::bigint and epoch_us(f.ts) >= $5::bigint`,
                  1
                ] as const
              ])
        ]
        const levels: Array<Level> = []
        let count = 0
        for (const [part, counts] of parts) {
          const values = [
            ticker,
            base.connection,
            base.seq,
            String(atMillis * 1000),
            String(base.micros - dayMillis * 1000)
          ]
          const rows = (yield* duck.rows(
            `select p.yes, ${decimalText("p.price")} as price, ${decimalText("sum(p.size)::decimal(38,12)")} as size,
              count(*)::double as n
            from (${part}) p group by p.yes, p.price`,
            counts === 1 ? values : values.slice(0, 3)
          )) as unknown as ReadonlyArray<Level & { readonly n: number }>
          for (const { n, ...level } of rows) {
            levels.push(level)
            count += n * counts
          }
        }
        return { levels, count }
      }, Effect.scoped)

      const stored = (ticker: string, atMillis: number) =>
        Effect.map(
          sql<Base>`
            select connection::text as connection, seq::text as seq, (extract(epoch from ts) * 1000000)::float8 as micros
            from book_base(${ticker}, ${fromMillis(atMillis)}::timestamptz)`,
          ([found]) => found
        )

      const together = Effect.fnUntraced(function* (
        ticker: string,
        atMillis: number,
        base: Base,
        isStored: boolean,
        { count, levels }: { readonly levels: ReadonlyArray<Level>; readonly count: number }
      ) {
        const at = sql`${fromMillis(atMillis)}::timestamptz`
        const baseAt = sql`${fromMicros(base.micros)}::timestamptz`
        const ofMarket = (name: string) =>
          sql`${sql.literal(name)}.market_id = (select k.market_id from market_keys k where k.ticker = ${ticker})
            and ${sql.literal(name)}.connection = ${base.connection}::bigint`
        const changes = sql`book_events e where ${ofMarket("e")} and e.seq > ${base.seq}::bigint and e.ts <= ${at}
          and e.ts >= ${baseAt} - interval '1 day'`
        const whole = sql`book_snapshots s, unnest(`
        const rows = yield* sql<BookRow>`
          select case when c.yes then 'yes' else 'no' end as side, c.price::text as price, sum(c.size)::text as size
          from (
            select * from unnest(
              ${levels.map(({ yes }) => yes)}::boolean[], ${levels.map(({ price }) => price)}::numeric[],
              ${levels.map(({ size }) => size)}::numeric[]) as a (yes, price, size)
            union all
            select e.yes, e.price, e.delta from ${changes}
            union all
            select true, l.price, l.size from ${whole}s.yes_prices, s.yes_sizes) as l (price, size)
            where ${isStored} and ${ofMarket("s")} and s.seq = ${base.seq}::bigint
            union all
            select false, l.price, l.size from ${whole}s.no_prices, s.no_sizes) as l (price, size)
            where ${isStored} and ${ofMarket("s")} and s.seq = ${base.seq}::bigint
          ) c
          group by c.yes, c.price having sum(c.size) > 0 order by c.yes desc, c.price`
        const [quality] = yield* sql<BookQuality>`
          select case when exists (
              select from capture_gaps g
              where g.feed in ('all', 'orderbook_delta') and g.from_ts < ${at} and (g.to_ts is null or g.to_ts > ${baseAt})
                and gap_concerns(g.shard, g.slots, g.market_ticker, ${ticker})) then 'uncertain' else 'exact' end as quality,
            rfc3339(${baseAt}) as "snapshotAt",
            (${count}::float8 + (select count(*) from ${changes}))::float8 as changes`
        return { levels: rows, quality: quality! }
      })

      const at = Effect.fn("ArchivedBooks.at")(function* (ticker: string, atMillis: number) {
        // The database first: what leaves between the two looks is seen twice, and counts once.
        const { days, live } = yield* source.snapshot(
          "book_events",
          Effect.all({
            live: reads.book(ticker, atMillis),
            days: archived.gone({
              tables: ["book_events", "book_snapshots"],
              fromMillis: 0,
              toMillis: atMillis + 1,
              tickers: [ticker]
            })
          })
        )
        const liveFrom = live.quality.snapshotAt === null ? undefined : Date.parse(live.quality.snapshotAt)
        const needed = days
          .filter((day) => liveFrom === undefined || day.toMillis > liveFrom)
          .sort((a, b) => b.toMillis - a.toMillis)
        if (needed.length === 0) return { ...live, unread: undefined }

        const fromArchive = Effect.gen(function* () {
          let base = yield* stored(ticker, atMillis)
          let whole: ArchivedDay | undefined
          const snapshots = needed.filter(({ table }) => table === "book_snapshots")
          for (const [index, day] of snapshots.entries()) {
            if (index >= daysAtMost)
              return {
                problem: `it would take more than ${daysAtMost} days of the archive`,
                days: snapshots.slice(index)
              }
            const found = yield* baseIn(ticker, day, atMillis)
            if (found === undefined) continue
            if (base === undefined || isNewer(found, base)) {
              base = found
              whole = day
            }
            break
          }
          if (base === undefined) return undefined
          const { micros } = base
          const changes = days.filter(
            ({ table, toMillis }) => table === "book_events" && toMillis > micros / 1000 - dayMillis
          )
          const levels = yield* levelsOf(ticker, base, whole, changes, atMillis)
          return yield* together(ticker, atMillis, base, whole === undefined, levels)
        })
        const found = yield* few
          .withPermits(1)(fromArchive)
          .pipe(
            Effect.catchTags({
              ArchiveError: (error) => Effect.map(problemOf(error), (problem) => ({ problem, days: needed })),
              SettingError: (error) => Effect.map(problemOf(error), (problem) => ({ problem, days: needed }))
            })
          )
        if (found === undefined) return { ...live, unread: undefined }
        return "problem" in found ? { ...live, unread: found } : { ...found, unread: undefined }
      })

      return ArchivedBooks.of({ at })
    })
  )
}
