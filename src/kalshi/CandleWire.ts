import * as Schema from "effect/Schema"
import type { Candle, CandleInterval, Ohlc } from "../market/Candle.ts"
import { type Decode, reading } from "./RestWire.ts"
import { payload } from "./Unknowns.ts"
import * as Wire from "./Wire.ts"

const BidAsk = Schema.Struct({
  open_dollars: Wire.RequiredDecimal,
  high_dollars: Wire.RequiredDecimal,
  low_dollars: Wire.RequiredDecimal,
  close_dollars: Wire.RequiredDecimal
})
const Price = Schema.Struct({
  open_dollars: Wire.DecimalField,
  high_dollars: Wire.DecimalField,
  low_dollars: Wire.DecimalField,
  close_dollars: Wire.DecimalField,
  mean_dollars: Wire.DecimalField,
  previous_dollars: Wire.DecimalField,
  min_dollars: Wire.Unread,
  max_dollars: Wire.Unread
})
const LiveCandle = Schema.Struct({
  end_period_ts: Schema.Int,
  yes_bid: BidAsk,
  yes_ask: BidAsk,
  price: Schema.optionalKey(Schema.NullOr(Price)),
  volume_fp: Wire.RequiredDecimal,
  open_interest_fp: Wire.RequiredDecimal
}).annotate(payload("candle"))

const HistoricalBidAsk = Schema.Struct({
  open: Wire.RequiredDecimal,
  high: Wire.RequiredDecimal,
  low: Wire.RequiredDecimal,
  close: Wire.RequiredDecimal
})
const HistoricalPrice = Schema.Struct({
  open: Wire.DecimalField,
  high: Wire.DecimalField,
  low: Wire.DecimalField,
  close: Wire.DecimalField,
  mean: Wire.DecimalField,
  previous: Wire.DecimalField
})
const HistoricalCandle = Schema.Struct({
  end_period_ts: Schema.Int,
  yes_bid: HistoricalBidAsk,
  yes_ask: HistoricalBidAsk,
  price: Schema.optionalKey(Schema.NullOr(HistoricalPrice)),
  volume: Wire.RequiredDecimal,
  open_interest: Wire.RequiredDecimal
}).annotate(payload("historical_candle"))

const ohlc = (wire: typeof BidAsk.Type): Ohlc => ({
  open: Wire.toDecimal(wire.open_dollars)!,
  high: Wire.toDecimal(wire.high_dollars)!,
  low: Wire.toDecimal(wire.low_dollars)!,
  close: Wire.toDecimal(wire.close_dollars)!
})

const historicalOhlc = (wire: typeof HistoricalBidAsk.Type): Ohlc => ({
  open: Wire.toDecimal(wire.open)!,
  high: Wire.toDecimal(wire.high)!,
  low: Wire.toDecimal(wire.low)!,
  close: Wire.toDecimal(wire.close)!
})

const traded = (price: typeof HistoricalPrice.Type): Candle["price"] => {
  const open = Wire.decimal(price.open)
  const high = Wire.decimal(price.high)
  const low = Wire.decimal(price.low)
  const close = Wire.decimal(price.close)
  return open === undefined || high === undefined || low === undefined || close === undefined
    ? undefined
    : { open, high, low, close, mean: Wire.decimal(price.mean) }
}

const toCandle = (ticker: string, intervalMinutes: CandleInterval, wire: typeof LiveCandle.Type): Candle => ({
  ticker,
  intervalMinutes,
  endSeconds: wire.end_period_ts,
  yesBid: ohlc(wire.yes_bid),
  yesAsk: ohlc(wire.yes_ask),
  price: traded({
    open: wire.price?.open_dollars ?? null,
    high: wire.price?.high_dollars ?? null,
    low: wire.price?.low_dollars ?? null,
    close: wire.price?.close_dollars ?? null,
    mean: wire.price?.mean_dollars ?? null
  }),
  previousPrice: Wire.decimal(wire.price?.previous_dollars),
  volume: Wire.toDecimal(wire.volume_fp)!,
  openInterest: Wire.toDecimal(wire.open_interest_fp)!
})

const toHistoricalCandle = (
  ticker: string,
  intervalMinutes: CandleInterval,
  wire: typeof HistoricalCandle.Type
): Candle => ({
  ticker,
  intervalMinutes,
  endSeconds: wire.end_period_ts,
  yesBid: historicalOhlc(wire.yes_bid),
  yesAsk: historicalOhlc(wire.yes_ask),
  price: traded(wire.price ?? {}),
  previousPrice: Wire.decimal(wire.price?.previous),
  volume: Wire.toDecimal(wire.volume)!,
  openInterest: Wire.toDecimal(wire.open_interest)!
})

const readLive = reading(
  Schema.Struct({ ticker: Wire.Unread, candlesticks: Schema.Array(LiveCandle) }).annotate(payload("candles_body"))
)

export const candles = (ticker: string, interval: CandleInterval): Decode<ReadonlyArray<Candle>> =>
  readLive((wire) => wire.candlesticks.map((candle) => toCandle(ticker, interval, candle)))

const readHistorical = reading(
  Schema.Struct({ ticker: Wire.Unread, candlesticks: Schema.Array(HistoricalCandle) }).annotate(
    payload("historical_candles_body")
  )
)

export const historicalCandles = (ticker: string, interval: CandleInterval): Decode<ReadonlyArray<Candle>> =>
  readHistorical((wire) => wire.candlesticks.map((candle) => toHistoricalCandle(ticker, interval, candle)))

const readBatch = reading(
  Schema.Struct({
    markets: Schema.Array(Schema.Struct({ market_ticker: Schema.String, candlesticks: Schema.Array(LiveCandle) }))
  }).annotate(payload("batch_candles_body"))
)

/** By ticker; a ticker the exchange does not know is absent, an idle one has no candles. */
export const batchCandles = (interval: CandleInterval): Decode<ReadonlyMap<string, ReadonlyArray<Candle>>> =>
  readBatch(
    (wire) =>
      new Map(
        wire.markets.map(({ market_ticker, candlesticks }) => [
          market_ticker,
          candlesticks.map((candle) => toCandle(market_ticker, interval, candle))
        ])
      )
  )

const readOfEvent = reading(
  Schema.Struct({
    market_tickers: Schema.Array(Schema.String),
    market_candlesticks: Schema.Array(Schema.Array(LiveCandle)),
    adjusted_end_ts: Schema.optionalKey(Schema.NullOr(Schema.Int))
  }).annotate(payload("event_candles_body"))
)

/** Candles of an event's markets. `adjustedEndSeconds`: the answer was cut there, go on one second later. */
export interface EventCandles {
  readonly candles: ReadonlyMap<string, ReadonlyArray<Candle>>
  readonly adjustedEndSeconds: number | undefined
}

export const eventCandles = (interval: CandleInterval): Decode<EventCandles> =>
  readOfEvent((wire) => ({
    candles: new Map(
      wire.market_tickers.map((ticker, index) => [
        ticker,
        (wire.market_candlesticks[index] ?? []).map((candle) => toCandle(ticker, interval, candle))
      ])
    ),
    adjustedEndSeconds: Wire.some(wire.adjusted_end_ts)
  }))
