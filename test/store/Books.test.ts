import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { BookLevel } from "../../src/market/Book.ts"
import type { Decimal } from "../../src/market/Decimal.ts"
import { fromMillis } from "../../src/market/Timestamp.ts"
import { Random } from "../../src/simulator/Random.ts"
import { BookBatch, type BookDelta, type BookSnapshot } from "../../src/store/BookBatch.ts"
import { Books } from "../../src/store/Books.ts"
import { CaptureLedger } from "../../src/store/CaptureLedger.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { TestDatabase } from "../support/Database.ts"

const start = 1_787_586_600_000

const Store = Layer.mergeAll(Books.layer.pipe(Layer.provideMerge(MarketKeys.layer)), CaptureLedger.layer).pipe(
  TestDatabase.under("ws")
)

const decimal = (hundredths: number, places = 2) => (hundredths / 10 ** places).toFixed(places) as Decimal

type Message = (BookDelta & { readonly _tag: "Delta" }) | (BookSnapshot & { readonly _tag: "Snapshot" })
type Sides = Record<"yes" | "no", Map<number, number>>

const empty = (): Sides => ({ yes: new Map(), no: new Map() })
const levels = (side: Map<number, number>): ReadonlyArray<BookLevel> =>
  [...side].sort(([a], [b]) => a - b).map(([price, size]) => [decimal(price, 4), decimal(size)] as const)

/** A feed of several markets over several connections, with lost messages and whole books after them; exchange time is true. */
const feed = (random: Random, tickers: ReadonlyArray<string>, length: number) => {
  const truth = new Map(tickers.map((ticker) => [ticker, empty()]))
  const messages: Array<Message> = []
  let connection = 0
  let seq = 0
  let now = start
  const snapshot = (ticker: string, requested: boolean) => {
    const { no, yes } = truth.get(ticker)!
    const book = { ticker, yes: levels(yes), no: levels(no) }
    seq++
    messages.push({ _tag: "Snapshot", book, requested, connection, seq, receivedMillis: now })
  }
  const connect = () => {
    connection = Math.max(connection + 1, now)
    seq = 0
    for (const ticker of tickers) snapshot(ticker, false)
  }
  connect()
  for (let step = 0; step < length; step++) {
    now += 1 + random.int(50)
    const what = random.int(100)
    if (what === 0) connect()
    else if (what < 4) for (const ticker of tickers) snapshot(ticker, true)
    else {
      const ticker = tickers[random.int(tickers.length)]!
      const side = random.int(2) === 0 ? "yes" : "no"
      const book = truth.get(ticker)![side]
      const price = 100 + random.int(5) * 50
      const before = book.get(price) ?? 0
      const delta = before > 0 && random.int(3) === 0 ? -before : 1 + random.int(10_000)
      if (before + delta === 0) book.delete(price)
      else book.set(price, before + delta)
      seq++
      const place = { connection, seq, exchangeMillis: now, receivedMillis: now + random.int(5) }
      messages.push({ _tag: "Delta", ticker, side, price: decimal(price, 4), delta: decimal(delta), ...place })
    }
    now = Math.max(now, messages.at(-1)!.receivedMillis)
  }
  return messages
}

const bookAt = Effect.fnUntraced(function* (ticker: string, millis: number) {
  const sql = yield* PgClient.PgClient
  return yield* sql<{ side: string; price: string; size: string }>`
    select side, price_dollars::text as price, size::text as size from book_at(${ticker}, ${fromMillis(millis)}::timestamptz)`
})
const qualityAt = Effect.fnUntraced(function* (ticker: string, millis: number) {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ quality: string; changes: number }>`
    select quality, changes::float8 as changes from book_quality_at(${ticker}, ${fromMillis(millis)}::timestamptz)`
  return row
})

const store = Effect.fnUntraced(function* (messages: ReadonlyArray<Message>) {
  const batch = new BookBatch()
  for (const message of messages)
    if (message._tag === "Snapshot") batch.snapshots.push(message)
    else batch.add(message)
  const tickers = messages.map((message) => (message._tag === "Snapshot" ? message.book.ticker : message.ticker))
  yield* MarketKeys.use((keys) => keys.register(new Set(tickers)))
  yield* Books.use((books) => books.insert(batch))
})

describe("Books", () => {
  it.live("a book is rebuilt as it was at every instant, however the messages were batched", () =>
    Effect.gen(function* () {
      const random = new Random(21)
      const tickers = ["A", "B", "C"]
      const messages = feed(random, tickers, 400)
      for (let at = 0; at < messages.length; ) {
        const size = 1 + random.int(90)
        yield* store(messages.slice(at, at + size))
        at += size
      }
      for (const ticker of tickers) {
        const sides = empty()
        let last = 0
        const mine = messages.filter(
          (message) => (message._tag === "Snapshot" ? message.book.ticker : message.ticker) === ticker
        )
        for (const [index, message] of mine.entries()) {
          if (message._tag === "Delta") {
            const side = sides[message.side]
            const price = Math.round(Number(message.price) * 10_000)
            const size = (side.get(price) ?? 0) + Math.round(Number(message.delta) * 100)
            if (size <= 0) side.delete(price)
            else side.set(price, size)
          }
          last = message._tag === "Delta" ? message.exchangeMillis! : message.receivedMillis
          const next = mine[index + 1]
          const nextMillis =
            next === undefined ? last + 9 : next._tag === "Delta" ? next.exchangeMillis! : next.receivedMillis
          if (index % 7 !== 0 || nextMillis === last) continue
          const wanted = (["yes", "no"] as const).flatMap((side) =>
            levels(sides[side]).map(([price, size]) => ({ side, price, size }))
          )
          assert.deepStrictEqual(yield* bookAt(ticker, last), wanted, `${ticker} after message ${index}`)
        }
      }
    }).pipe(Effect.provide(Store))
  )

  it.live("says what a book rests on: nothing, everything since the whole book, or less for a gap in between", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const ledger = yield* CaptureLedger
      const snapshot = (millis: number, seq: number) =>
        ({
          _tag: "Snapshot",
          book: { ticker: "A", yes: [], no: [] },
          requested: true,
          connection: 1,
          seq,
          receivedMillis: millis
        }) as const
      const delta = (millis: number, seq: number) =>
        ({
          _tag: "Delta",
          ticker: "A",
          side: "yes",
          price: decimal(45),
          delta: decimal(100),
          connection: 1,
          seq,
          exchangeMillis: millis,
          receivedMillis: millis
        }) as const
      yield* store([
        snapshot(start, 1),
        delta(start + 100, 2),
        delta(start + 900, 5),
        snapshot(start + 1000, 6),
        delta(start + 1500, 7)
      ])
      const [slot] = yield* sql<{ slot: number }>`select market_slot('A', 12) as slot`
      const share = { shard: "event/12", slots: [slot!.slot], journal: "j" }
      const other = { ...share, slots: [(slot!.slot + 1) % 12] }
      const gap = {
        feed: "orderbook_delta",
        cause: "sequence",
        frames: 2,
        fromMillis: start + 100,
        toMillis: start + 900
      } as const
      yield* ledger.recordGaps([
        { ...gap, share },
        { ...gap, share: other, fromMillis: start + 1100, toMillis: start + 1200 }
      ])
      const of = (millis: number) => qualityAt("A", start + millis)
      assert.deepStrictEqual(yield* of(-1), { quality: "absent", changes: 0 })
      assert.deepStrictEqual(yield* of(50), { quality: "exact", changes: 0 })
      assert.deepStrictEqual(yield* of(100), { quality: "exact", changes: 1 })
      assert.deepStrictEqual(yield* of(950), { quality: "uncertain", changes: 2 })
      assert.deepStrictEqual(yield* of(1600), { quality: "exact", changes: 1 })
      assert.deepStrictEqual(yield* qualityAt("nobody", start), { quality: "absent", changes: 0 })
    }).pipe(Effect.provide(Store))
  )

  it.live("shows the top of the book: an ask for yes is a bid for no", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const book = {
        ticker: "A",
        yes: [
          [decimal(40), decimal(500)],
          [decimal(45), decimal(1044)]
        ] as const,
        no: [[decimal(52), decimal(700)]] as const
      }
      yield* store([{ _tag: "Snapshot", book, requested: false, connection: 1, seq: 1, receivedMillis: start }])
      const top = yield* sql`
        select yes_bid_dollars::text as bid, yes_bid_size::text as size, yes_ask_dollars::text as ask
        from top_of_book_at('A', ${fromMillis(start)}::timestamptz)`
      assert.deepStrictEqual(top, [{ bid: "0.45", size: "10.44", ask: "0.48" }])
    }).pipe(Effect.provide(Store))
  )

  it.effect("of equal changes that two connections heard around an instant, the newer one's stays", () =>
    Effect.gen(function* () {
      const keys = yield* MarketKeys
      const books = yield* Books
      const sql = yield* PgClient.PgClient
      yield* keys.register(new Set(["A", "B"]))
      const batch = new BookBatch()
      const change = (ticker: string, connection: number, seq: number, millis: number, delta: number) =>
        batch.add({
          ticker,
          side: "yes",
          price: decimal(45),
          delta: decimal(delta),
          exchangeMillis: start + millis,
          receivedMillis: start + millis + 5,
          connection,
          seq
        })
      change("A", 1, 1, 0, 100)
      change("A", 1, 2, 10, 200)
      change("A", 2, 1, 10, 200)
      change("A", 2, 2, 10, 300)
      change("A", 2, 3, 10, 300)
      change("B", 1, 3, 10, 200)
      change("B", 2, 4, 10, 200)
      yield* books.insert(batch)
      yield* books.collapse(new Map([["A", start + 20]]))
      const left = yield* sql<{ connection: number; seq: number }>`
        select connection::int, seq::int from book_events order by connection, seq`
      assert.deepStrictEqual(
        left.map(({ connection, seq }) => [connection, seq]),
        [
          [1, 1],
          [1, 3],
          [2, 1],
          [2, 2],
          [2, 3],
          [2, 4]
        ]
      )
    }).pipe(Effect.provide(Store))
  )
})
