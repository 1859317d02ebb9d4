import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Book, BookLevel } from "../market/Book.ts"
import type { Event } from "../market/Event.ts"
import type { Market } from "../market/Market.ts"
import type { Series } from "../market/Series.ts"
import { Timestamp } from "../market/Timestamp.ts"
import type { Trade } from "../market/Trade.ts"
import type { UnknownField } from "./Drift.ts"
import { MarketWire, reportMarkets, toMarket } from "./MarketWire.ts"
import * as Wire from "./Wire.ts"

/** Reads one JSON body; a failure says which field is wrong and how, never its value. */
export type Decode<A> = (body: unknown, unknown: UnknownField) => Result.Result<A, string>

/** One page of a list; no cursor on the last one. */
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly cursor: string | undefined
}

export const decoding = <S extends Schema.ConstraintDecoder<unknown>, A>(
  schema: S,
  convert: (wire: S["Type"]) => A,
  report: (body: unknown, unknown: UnknownField) => void = () => {}
): Decode<A> => {
  const decode = Wire.decoder(schema)
  return (body, unknown) => {
    report(body, unknown)
    return Result.map(decode(body), convert)
  }
}

const lookUp = (body: unknown, key: string): unknown =>
  typeof body === "object" && body !== null ? (body as { readonly [key: string]: unknown })[key] : undefined

const each = (list: unknown, report: (value: unknown) => void): void => {
  if (Array.isArray(list)) for (const value of list) report(value)
}

const EventWire = Schema.Struct({
  event_ticker: Schema.String.check(Schema.isMinLength(1)),
  series_ticker: Wire.Text,
  title: Wire.Text,
  sub_title: Wire.Text,
  collateral_return_type: Wire.Text,
  mutually_exclusive: Wire.Flag,
  category: Wire.Text,
  strike_date: Wire.Time,
  strike_period: Wire.Text,
  markets: Schema.optionalKey(Schema.NullOr(Schema.Array(MarketWire))),
  product_metadata: Schema.optionalKey(Schema.NullOr(Schema.Struct({ cadence: Wire.Text }))),
  settlement_sources: Wire.Unread,
  last_updated_ts: Wire.Time,
  fee_type_override: Wire.Text,
  fee_multiplier_override: Wire.DecimalField,
  exchange_index: Wire.Int
})

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

const eventKeys = Wire.reportUnknown("event", Wire.keysOf(EventWire))
const reportEvent = (event: unknown, unknown: UnknownField): void => {
  eventKeys(event, unknown)
  reportMarkets(lookUp(event, "markets"), unknown)
}

const Cursor = Schema.optionalKey(Schema.NullOr(Schema.String))
const page = <A>(items: ReadonlyArray<A>, cursor: string | null | undefined): Page<A> => ({
  items,
  cursor: Wire.text(cursor)
})

export const eventsPage: Decode<Page<Event>> = decoding(
  Schema.Struct({ cursor: Cursor, events: Schema.Array(EventWire) }),
  (wire) => page(wire.events.map(toEvent), wire.cursor),
  (body, unknown) => each(lookUp(body, "events"), (event) => reportEvent(event, unknown))
)

export const event: Decode<Event> = decoding(
  Schema.Struct({ event: EventWire }),
  (wire) => toEvent(wire.event),
  (body, unknown) => reportEvent(lookUp(body, "event"), unknown)
)

export const marketsPage: Decode<Page<Market>> = decoding(
  Schema.Struct({ cursor: Cursor, markets: Schema.Array(MarketWire) }),
  (wire) => page(wire.markets.map(toMarket), wire.cursor),
  (body, unknown) => reportMarkets(lookUp(body, "markets"), unknown)
)

export const market: Decode<Market> = decoding(
  Schema.Struct({ market: MarketWire }),
  (wire) => toMarket(wire.market),
  (body, unknown) => reportMarkets([lookUp(body, "market")], unknown)
)

const SeriesWire = Schema.Struct({
  ticker: Schema.String.check(Schema.isMinLength(1)),
  frequency: Wire.Text,
  title: Wire.Text,
  category: Wire.Text,
  categories: Wire.Unread,
  tags: Schema.optionalKey(Schema.NullOr(Schema.Array(Schema.String))),
  settlement_sources: Wire.Unread,
  contract_url: Wire.Text,
  contract_terms_url: Wire.Unread,
  fee_type: Wire.Text,
  fee_multiplier: Wire.DecimalField,
  additional_prohibitions: Wire.Unread,
  product_metadata: Wire.Unread,
  volume_fp: Wire.Unread,
  last_updated_ts: Wire.Time,
  exchange_index: Wire.Unread
})

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

const reportSeries = Wire.reportUnknown("series", Wire.keysOf(SeriesWire))

export const seriesList: Decode<ReadonlyArray<Series>> = decoding(
  Schema.Struct({ series: Schema.NullOr(Schema.Array(SeriesWire)) }),
  (wire) => wire.series?.map(toSeries) ?? [],
  (body, unknown) => each(lookUp(body, "series"), (series) => reportSeries(series, unknown))
)

export const series: Decode<Series> = decoding(
  Schema.Struct({ series: SeriesWire }),
  (wire) => toSeries(wire.series),
  (body, unknown) => reportSeries(lookUp(body, "series"), unknown)
)

const TradeWire = Schema.Struct({
  trade_id: Schema.String.check(Schema.isMinLength(1)),
  ticker: Schema.String.check(Schema.isMinLength(1)),
  count_fp: Wire.RequiredDecimal,
  yes_price_dollars: Wire.RequiredDecimal,
  no_price_dollars: Wire.RequiredDecimal,
  taker_side: Wire.Text,
  taker_outcome_side: Wire.Text,
  taker_book_side: Wire.Unread,
  created_time: Timestamp,
  is_block_trade: Wire.Flag
})

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

const reportTrade = Wire.reportUnknown("trade", Wire.keysOf(TradeWire))

export const tradesPage: Decode<Page<Trade>> = decoding(
  Schema.Struct({ cursor: Cursor, trades: Schema.Array(TradeWire) }),
  (wire) => page(wire.trades.map(toTrade), wire.cursor),
  (body, unknown) => each(lookUp(body, "trades"), (trade) => reportTrade(trade, unknown))
)

const Level = Schema.Tuple([Wire.RequiredDecimal, Wire.RequiredDecimal])
const Side = Schema.optionalKey(Schema.NullOr(Schema.Array(Level)))
const BookWire = Schema.Struct({ yes_dollars: Side, no_dollars: Side })

const toLevels = (side: typeof Side.Type | undefined): ReadonlyArray<BookLevel> =>
  side?.map(([price, size]) => [Wire.toDecimal(price)!, Wire.toDecimal(size)!]) ?? []

const toBook = (ticker: string, wire: typeof BookWire.Type): Book => ({
  ticker,
  yes: toLevels(wire.yes_dollars),
  no: toLevels(wire.no_dollars)
})

const reportBook = Wire.reportUnknown("orderbook", Wire.keysOf(BookWire))

export const orderbook = (ticker: string): Decode<Book> =>
  decoding(
    Schema.Struct({ orderbook_fp: BookWire }),
    (wire) => toBook(ticker, wire.orderbook_fp),
    (body, unknown) => reportBook(lookUp(body, "orderbook_fp"), unknown)
  )

export const orderbooks: Decode<ReadonlyArray<Book>> = decoding(
  Schema.Struct({ orderbooks: Schema.Array(Schema.Struct({ ticker: Schema.String, orderbook_fp: BookWire })) }),
  (wire) => wire.orderbooks.map(({ ticker, orderbook_fp }) => toBook(ticker, orderbook_fp)),
  (body, unknown) => each(lookUp(body, "orderbooks"), (entry) => reportBook(lookUp(entry, "orderbook_fp"), unknown))
)
