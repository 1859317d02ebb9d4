import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Book, BookLevel } from "../market/Book.ts"
import type { Event } from "../market/Event.ts"
import type { Market } from "../market/Market.ts"
import type { Series } from "../market/Series.ts"
import { Timestamp } from "../market/Timestamp.ts"
import type { Trade } from "../market/Trade.ts"
import { MarketWire, toMarket } from "./MarketWire.ts"
import { open, payload, reporter, type Unknowns } from "./Unknowns.ts"
import * as Vocabulary from "./Vocabulary.ts"
import * as Wire from "./Wire.ts"

/** Reads one JSON body; a failure says which field is wrong and how, never its value. */
export interface Decode<A> {
  (body: unknown, unknowns: Unknowns): Result.Result<A, string>
  readonly schema: Schema.Constraint
}

/** One page of a list; no cursor on the last one. */
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly cursor: string | undefined
}

/** Compiles a schema once for decoders that differ in what they make of a body. */
export const reading = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = Wire.decoder(schema)
  const report = reporter(schema)
  return <A>(convert: (wire: S["Type"]) => A): Decode<A> =>
    Object.assign(
      (body: unknown, unknowns: Unknowns) => {
        report(body, unknowns)
        return Result.map(decode(body), convert)
      },
      { schema }
    )
}

export const decoding = <S extends Schema.ConstraintDecoder<unknown>, A>(
  schema: S,
  convert: (wire: S["Type"]) => A
): Decode<A> => reading(schema)(convert)

const EventWire = Schema.Struct({
  event_ticker: Schema.String.check(Schema.isMinLength(1)),
  series_ticker: Wire.Text,
  title: Wire.Text,
  sub_title: Wire.Text,
  collateral_return_type: Wire.Word(Vocabulary.collateralReturnTypes),
  mutually_exclusive: Wire.Flag,
  category: Wire.Text,
  strike_date: Wire.Time,
  strike_period: Wire.Text,
  markets: Schema.optionalKey(Schema.NullOr(Schema.Array(MarketWire))),
  product_metadata: Schema.optionalKey(
    Schema.NullOr(Schema.Struct({ cadence: Wire.Word(Vocabulary.frequencies) }).annotate(open))
  ),
  settlement_sources: Wire.Unread,
  last_updated_ts: Wire.Time,
  fee_type_override: Wire.Word(Vocabulary.feeTypes),
  fee_multiplier_override: Wire.DecimalField,
  exchange_index: Wire.Int
}).annotate(payload("event"))

const toEvent = (wire: typeof EventWire.Type): Event =>
  Wire.present({
    eventTicker: wire.event_ticker,
    seriesTicker: Wire.text(wire.series_ticker),
    title: Wire.text(wire.title),
    subTitle: Wire.text(wire.sub_title),
    category: Wire.text(wire.category),
    collateralReturnType: Wire.text(wire.collateral_return_type),
    mutuallyExclusive: Wire.some(wire.mutually_exclusive),
    strikeDate: Wire.time(wire.strike_date),
    strikePeriod: Wire.text(wire.strike_period),
    cadence: Wire.text(wire.product_metadata?.cadence),
    hasFeeOverride: Wire.isAny(wire.fee_type_override, wire.fee_multiplier_override),
    feeTypeOverride: Wire.text(wire.fee_type_override),
    feeMultiplierOverride: Wire.decimal(wire.fee_multiplier_override),
    lastUpdated: Wire.time(wire.last_updated_ts),
    exchangeIndex: Wire.some(wire.exchange_index),
    markets: wire.markets?.map(toMarket)
  })

const Cursor = Schema.optionalKey(Schema.NullOr(Schema.String))
const page = <A>(items: ReadonlyArray<A>, cursor: string | null | undefined): Page<A> => ({
  items,
  cursor: Wire.text(cursor)
})

export const eventsPage: Decode<Page<Event>> = decoding(
  Schema.Struct({ cursor: Cursor, events: Schema.Array(EventWire), milestones: Wire.Unread }).annotate(
    payload("events_page")
  ),
  (wire) => page(wire.events.map(toEvent), wire.cursor)
)

export const event: Decode<Event> = decoding(
  Schema.Struct({ event: EventWire, markets: Wire.Unread }).annotate(payload("event_body")),
  (wire) => toEvent(wire.event)
)

export const marketsPage: Decode<Page<Market>> = decoding(
  Schema.Struct({ cursor: Cursor, markets: Schema.Array(MarketWire) }).annotate(payload("markets_page")),
  (wire) => page(wire.markets.map(toMarket), wire.cursor)
)

export const market: Decode<Market> = decoding(
  Schema.Struct({ market: MarketWire }).annotate(payload("market_body")),
  (wire) => toMarket(wire.market)
)

const SeriesWire = Schema.Struct({
  ticker: Schema.String.check(Schema.isMinLength(1)),
  frequency: Wire.Word(Vocabulary.frequencies),
  title: Wire.Text,
  category: Wire.Text,
  categories: Wire.Unread,
  tags: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
  settlement_sources: Wire.Unread,
  contract_url: Wire.Text,
  contract_terms_url: Wire.Unread,
  fee_type: Wire.Word(Vocabulary.feeTypes),
  fee_multiplier: Wire.DecimalField,
  additional_prohibitions: Wire.Unread,
  product_metadata: Wire.Unread,
  volume_fp: Wire.Unread,
  last_updated_ts: Wire.Time,
  exchange_index: Wire.Unread
}).annotate(payload("series"))

const toSeries = (wire: typeof SeriesWire.Type): Series =>
  Wire.present({
    ticker: wire.ticker,
    title: Wire.text(wire.title),
    frequency: Wire.text(wire.frequency),
    category: Wire.text(wire.category),
    tags: Wire.some(wire.tags),
    feeType: Wire.text(wire.fee_type),
    feeMultiplier: Wire.decimal(wire.fee_multiplier),
    contractUrl: Wire.text(wire.contract_url),
    lastUpdated: Wire.time(wire.last_updated_ts)
  })

export const seriesList: Decode<ReadonlyArray<Series>> = decoding(
  Schema.Struct({ series: Schema.NullOr(Schema.Array(SeriesWire)) }).annotate(payload("series_list")),
  (wire) => wire.series?.map(toSeries) ?? []
)

export const series: Decode<Series> = decoding(
  Schema.Struct({ series: SeriesWire }).annotate(payload("series_body")),
  (wire) => toSeries(wire.series)
)

const TradeWire = Schema.Struct({
  trade_id: Schema.String.check(Schema.isMinLength(1)),
  ticker: Schema.String.check(Schema.isMinLength(1)),
  count_fp: Wire.RequiredDecimal,
  yes_price_dollars: Wire.RequiredDecimal,
  no_price_dollars: Wire.RequiredDecimal,
  taker_side: Wire.Word(Vocabulary.outcomeSides),
  taker_outcome_side: Wire.Word(Vocabulary.outcomeSides),
  taker_book_side: Wire.Word(Vocabulary.bookSides),
  created_time: Timestamp,
  is_block_trade: Wire.Flag
}).annotate(payload("trade"))

const toTrade = (wire: typeof TradeWire.Type): Trade => {
  const side = wire.taker_outcome_side ?? wire.taker_side
  return {
    tradeId: wire.trade_id,
    ticker: wire.ticker,
    count: Wire.toDecimal(wire.count_fp)!,
    yesPrice: Wire.toDecimal(wire.yes_price_dollars)!,
    noPrice: Wire.toDecimal(wire.no_price_dollars)!,
    takerSide: side === "yes" || side === "no" ? side : undefined,
    isBlockTrade: wire.is_block_trade === true,
    createdTime: wire.created_time
  }
}

export const tradesPage: Decode<Page<Trade>> = decoding(
  Schema.Struct({ cursor: Cursor, trades: Schema.Array(TradeWire) }).annotate(payload("trades_page")),
  (wire) => page(wire.trades.map(toTrade), wire.cursor)
)

const Level = Schema.Tuple([Wire.RequiredDecimal, Wire.RequiredDecimal])
const Side = Schema.optionalKey(Schema.NullOr(Schema.Array(Level)))
const BookWire = Schema.Struct({ yes_dollars: Side, no_dollars: Side }).annotate(payload("orderbook"))

const toLevels = (side: typeof Side.Type | undefined): ReadonlyArray<BookLevel> =>
  side?.map(([price, size]) => [Wire.toDecimal(price)!, Wire.toDecimal(size)!]) ?? []

const toBook = (ticker: string, wire: typeof BookWire.Type): Book => ({
  ticker,
  yes: toLevels(wire.yes_dollars),
  no: toLevels(wire.no_dollars)
})

const readBook = reading(Schema.Struct({ orderbook_fp: BookWire }).annotate(payload("orderbook_body")))

export const orderbook = (ticker: string): Decode<Book> => readBook((wire) => toBook(ticker, wire.orderbook_fp))

export const orderbooks: Decode<ReadonlyArray<Book>> = decoding(
  Schema.Struct({
    orderbooks: Schema.Array(Schema.Struct({ ticker: Schema.String, orderbook_fp: BookWire }))
  }).annotate(payload("orderbooks_body")),
  (wire) => wire.orderbooks.map(({ ticker, orderbook_fp }) => toBook(ticker, orderbook_fp))
)
