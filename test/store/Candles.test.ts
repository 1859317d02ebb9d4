import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Candle, CandleInterval } from "../../src/market/Candle.ts"
import type { Decimal } from "../../src/market/Decimal.ts"
import { type CandleSpan, Candles } from "../../src/store/Candles.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import type { Provenance } from "../../src/store/Provenance.ts"
import { isData } from "../../src/store/SqlState.ts"
import { TestDatabase } from "../support/Database.ts"

const minute = 60_000
const start = Date.parse("2026-08-24T20:00:00Z")

const dollars = (value: string) => value as Decimal
const flat = (value: string) => ({
  open: dollars(value),
  high: dollars(value),
  low: dollars(value),
  close: dollars(value)
})

const candle = (ticker: string, endMillis: number, change: Partial<Candle> = {}): Candle => ({
  ticker,
  intervalMinutes: 1,
  endSeconds: endMillis / 1000,
  yesBid: flat("0.4500"),
  yesAsk: flat("0.4700"),
  price: { ...flat("0.4600"), mean: dollars("0.4612") },
  previousPrice: dollars("0.4400"),
  volume: dollars("12.50"),
  openInterest: dollars("1834.25"),
  ...change
})

const span = (ticker: string, from: number, to: number, periodMinutes: CandleInterval = 1): CandleSpan => ({
  ticker,
  periodMinutes,
  fromMillis: start + from * minute,
  toMillis: start + to * minute
})

const read = (
  candles: ReadonlyArray<Candle>,
  checked: ReadonlyArray<CandleSpan> = [],
  readAtMillis = start,
  provenance: Provenance = "backfill"
) => Candles.use((store) => store.store({ candles, checked, provenance, readAtMillis }))

const rowsOf = (ticker: string) =>
  PgClient.PgClient.use(
    (sql) => sql<{
      end: string
      began: string
      close: string | null
      mean: string | null
      previous: string | null
      bid: string
      volume: string
      provenance: number
    }>`
      select end_period_ts::text as end, start_period_ts::text as began, close::text, mean::text, previous::text,
        yes_bid_close::text as bid, volume::text, provenance
      from market_candles where market_ticker = ${ticker} order by end_period_ts`
  )

const Store = Candles.layer.pipe(Layer.provideMerge(Partitions.layer), TestDatabase.under("rest"))

const Minute = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 }))
const Spans = Schema.Array(Schema.Struct({ ticker: Schema.Literals(["P", "Q"]), from: Minute, to: Minute })).check(
  Schema.isMaxLength(6)
)

layer(Store, { excludeTestServices: true })("Candles", (it) => {
  it.effect("are stored once and exactly, with a partition of their month", () =>
    Effect.gen(function* () {
      const old = Date.parse("2024-02-29T23:59:00Z")
      const some = [candle("A", start + minute), candle("A", old), candle("A", start + minute)]
      assert.deepStrictEqual(yield* read(some), { added: 2, revised: 0 })
      assert.deepStrictEqual(yield* read(some), { added: 0, revised: 0 })
      assert.deepStrictEqual(yield* rowsOf("A"), [
        {
          end: "2024-02-29 23:59:00+00",
          began: "2024-02-29 23:58:00+00",
          close: "0.4600",
          mean: "0.4612",
          previous: "0.4400",
          bid: "0.4500",
          volume: "12.50",
          provenance: 2
        },
        {
          end: "2026-08-24 20:01:00+00",
          began: "2026-08-24 20:00:00+00",
          close: "0.4600",
          mean: "0.4612",
          previous: "0.4400",
          bid: "0.4500",
          volume: "12.50",
          provenance: 2
        }
      ])
      const { defaultRows } = yield* Partitions
      assert.strictEqual((yield* defaultRows).market_candles, 0)
    })
  )

  it.effect("are revised by a later read, not by an earlier one", () =>
    Effect.gen(function* () {
      yield* read([candle("B", start)], [], start + 10)
      const fuller = candle("B", start, { volume: dollars("20.00"), price: { ...flat("0.5"), mean: undefined } })
      assert.deepStrictEqual(yield* read([fuller], [], start + 20, "repaired"), { added: 0, revised: 1 })
      assert.deepStrictEqual(yield* read([candle("B", start)], [], start + 15), { added: 0, revised: 0 })
      const [row] = yield* rowsOf("B")
      assert.deepInclude(row, { close: "0.5", mean: null, volume: "20.00", previous: "0.4400", provenance: 3 })
    })
  )

  it.effect("do not lose what the other tier leaves out, and lose a trade that was taken back", () =>
    Effect.gen(function* () {
      yield* read([candle("C", start)])
      const bare = candle("C", start, { price: undefined, previousPrice: undefined, volume: dollars("12.5") })
      assert.deepStrictEqual(yield* read([bare]), { added: 0, revised: 0 })
      assert.deepStrictEqual(yield* read([{ ...bare, volume: dollars("0") }]), { added: 0, revised: 1 })
      const [row] = yield* rowsOf("C")
      assert.deepInclude(row, { close: null, mean: null, previous: "0.4400", volume: "0" })
    })
  )

  it.effect("and what was checked are stored together or not at all", () =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(read([candle("D", start)], [span("D", 0, 60), span("D\u0000", 0, 60)]))
      assert.isTrue(isData(refused))
      assert.deepStrictEqual(yield* rowsOf("D"), [])
      yield* Effect.flip(read([candle("D", start), candle("D\u0000", start)], [span("D", 0, 60)]))
      const { checked } = yield* Candles
      assert.deepStrictEqual(yield* checked("D", 1), [])
    })
  )

  it.effect("are stored by several at once without a deadlock", () =>
    Effect.gen(function* () {
      const tickers = Array.from({ length: 40 }, (_, n) => `E${n}`)
      const forward = tickers.map((ticker) => candle(ticker, start))
      const spans = tickers.map((ticker) => span(ticker, 0, 1))
      yield* Effect.forEach(
        Array.from({ length: 12 }, (_, n) => n),
        (n) =>
          read(
            (n % 2 === 0 ? forward : forward.toReversed()).map((one) => ({ ...one, volume: dollars(String(n)) })),
            n % 2 === 0 ? spans : spans.toReversed(),
            start + n
          ),
        { concurrency: 6 }
      )
      assert.strictEqual((yield* rowsOf("E7"))[0]!.volume, "11")
    })
  )

  it.effect("of another interval are other candles", () =>
    Effect.gen(function* () {
      yield* read([candle("F", start), candle("F", start, { intervalMinutes: 60 })], [span("F", 0, 60, 60)])
      assert.strictEqual((yield* rowsOf("F")).length, 2)
      const { missing } = yield* Candles
      assert.deepStrictEqual(yield* missing([span("F", 0, 60), span("F", 0, 120, 60)]), [
        span("F", 0, 60),
        span("F", 60, 120, 60)
      ])
    })
  )

  it.effect.prop(
    "are missing where they were wanted and not checked, minute by minute",
    [Spans, Spans],
    ([seen, asked]) =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const { checked, missing } = yield* Candles
        yield* sql`delete from candle_ranges where market_ticker in ('P', 'Q')`
        for (const { from, ticker, to } of seen) yield* read([], [span(ticker, from, to)])
        const minutes = (spans: ReadonlyArray<{ ticker: string; from: number; to: number }>) =>
          new Set(
            spans.flatMap(({ from, ticker, to }) =>
              Array.from({ length: Math.max(0, to - from) }, (_, at) => `${ticker} ${from + at}`)
            )
          )
        const plain = (spans: ReadonlyArray<CandleSpan>) =>
          spans.map(({ fromMillis, ticker, toMillis }) => ({
            ticker,
            from: (fromMillis - start) / minute,
            to: (toMillis - start) / minute
          }))
        const known = minutes(seen)
        const holes = plain(yield* missing(asked.map(({ from, ticker, to }) => span(ticker, from, to))))
        assert.deepStrictEqual([...minutes(holes)].sort(), [...minutes(asked)].filter((one) => !known.has(one)).sort())
        const stored = plain([...(yield* checked("P", 1)), ...(yield* checked("Q", 1))])
        assert.deepStrictEqual([...minutes(stored)].sort(), [...known].sort())
      })
  )
})
