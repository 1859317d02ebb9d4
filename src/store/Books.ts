import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { BookLevel } from "../market/Book.ts"
import { fromMillis } from "../market/Timestamp.ts"
import type { BookBatch, BookSnapshot } from "./BookBatch.ts"
import { MarketKeys } from "./MarketKeys.ts"
import { PgArray } from "./PgArray.ts"

/** Whole books in one statement at most: a book may have thousands of levels. */
const snapshotsAtOnce = 200

const prices = (levels: ReadonlyArray<BookLevel>) => levels.map(([price]) => price)
const sizes = (levels: ReadonlyArray<BookLevel>) => levels.map(([, size]) => size)

/** Order books: every change, and whole books in between. `book_at` in SQL rebuilds a book at any instant. */
export class Books extends Context.Service<
  Books,
  {
    /** Appends changes and whole books of registered markets (`MarketKeys`). Joins the caller's transaction. */
    insert(books: BookBatch): Effect.Effect<void, SqlError>
    /** Leaves the newer connection's of equal changes, within a minute of an instant of each market. */
    collapse(around: ReadonlyMap<string, number>): Effect.Effect<void, SqlError>
    /** Removes what came at these places of the feed. Joins the caller's transaction. */
    remove(books: BookBatch): Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/Books") {
  static readonly layer = Layer.effect(
    Books,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const keys = yield* MarketKeys

      const insertSnapshots = (snapshots: ReadonlyArray<BookSnapshot>) => {
        const rows = snapshots.map(({ book, connection, receivedMillis, requested, seq }) => ({
          ts: fromMillis(receivedMillis),
          connection,
          seq,
          market_id: keys.idOf(book.ticker),
          requested,
          yes_prices: prices(book.yes),
          yes_sizes: sizes(book.yes),
          no_prices: prices(book.no),
          no_sizes: sizes(book.no)
        }))
        return sql`
          insert into book_snapshots (
            ts, connection, seq, market_id, requested, yes_prices, yes_sizes, no_prices, no_sizes)
          select ts, connection, seq, market_id, requested, yes_prices, yes_sizes, no_prices, no_sizes
          from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r (
            ts timestamptz, connection bigint, seq bigint, market_id integer, requested boolean,
            yes_prices numeric[], yes_sizes numeric[], no_prices numeric[], no_sizes numeric[])`
      }

      const insert = Effect.fnUntraced(function* (books: BookBatch) {
        if (books.length > 0)
          yield* sql`
            insert into book_events (ts, received_at, connection, seq, market_id, yes, price, delta)
            select
              unnest(${books.ts.parameter}), unnest(${books.receivedAt.parameter}), unnest(${books.connection.parameter}),
              unnest(${books.seq.parameter}), unnest(${keys.idsOf(books.tickers)}), unnest(${books.yes.parameter}),
              unnest(${books.price.parameter}), unnest(${books.delta.parameter})`
        for (let at = 0; at < books.snapshots.length; at += snapshotsAtOnce)
          yield* insertSnapshots(books.snapshots.slice(at, at + snapshotsAtOnce))
      })

      const remove = Effect.fnUntraced(function* (books: BookBatch) {
        if (books.length > 0)
          yield* sql`
            delete from book_events e
            using unnest(
              ${keys.idsOf(books.tickers)}, ${books.ts.parameter}, ${books.connection.parameter}, ${books.seq.parameter})
              as g (market_id, ts, connection, seq)
            where e.market_id = g.market_id and e.ts = g.ts and e.connection = g.connection and e.seq = g.seq`
        const places = books.snapshots.map(({ book, connection, receivedMillis, seq }) => ({
          ts: fromMillis(receivedMillis),
          connection,
          seq,
          market_id: keys.idOf(book.ticker)
        }))
        if (places.length > 0)
          yield* sql`
            delete from book_snapshots s
            using jsonb_to_recordset(${JSON.stringify(places)}::jsonb)
              as g (ts timestamptz, connection bigint, seq bigint, market_id integer)
            where s.market_id = g.market_id and s.ts = g.ts and s.connection = g.connection and s.seq = g.seq`
      })

      const collapse = (around: ReadonlyMap<string, number>) => {
        const since = PgArray.instants()
        for (const millis of around.values()) since.instant(millis)
        return Effect.asVoid(sql`
          delete from book_events t
          using unnest(${keys.idsOf([...around.keys()])}, ${since.parameter}) as g (market_id, since), book_events o
          where t.market_id = g.market_id and t.ts >= g.since - interval '1 minute' and t.ts < g.since + interval '1 minute'
            and o.market_id = t.market_id and o.ts = t.ts and o.connection > t.connection
            and o.yes = t.yes and o.price = t.price and o.delta = t.delta`)
      }

      return Books.of({ insert, collapse, remove })
    })
  )
}
