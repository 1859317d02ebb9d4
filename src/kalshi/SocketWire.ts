import * as Result from "effect/Result"
import type { Book, BookLevel } from "../market/Book.ts"
import { type Decimal, isDecimal } from "../market/Decimal.ts"
import type { EventLifecycle, MarketLifecycle } from "../market/Lifecycle.ts"
import type { Tick } from "../market/Tick.ts"
import { fromMillis } from "../market/Timestamp.ts"
import type { Trade } from "../market/Trade.ts"
import {
  decimal,
  Fault,
  type Fields,
  fields,
  instant,
  integer,
  isFields,
  required,
  sidOf,
  text
} from "./FrameFields.ts"
import { eventLifecycle, marketLifecycle } from "./LifecycleWire.ts"
import { isErrorCode } from "./SocketErrorCode.ts"
import { ignoreUnknown, reportWord, type Unknowns } from "./Unknowns.ts"
import * as Vocabulary from "./Vocabulary.ts"

export interface TickerFrame {
  readonly _tag: "Ticker"
  readonly sid: number
  readonly sendingMillis: number | undefined
  readonly tick: Tick
}
export interface TradeFrame {
  readonly _tag: "Trade"
  readonly sid: number
  readonly seq: number | undefined
  readonly sendingMillis: number | undefined
  readonly trade: Trade
}
export interface OrderbookSnapshotFrame {
  readonly _tag: "OrderbookSnapshot"
  /** The command it answers, when it answers one. */
  readonly id: number | undefined
  readonly sid: number
  readonly seq: number | undefined
  readonly book: Book
}
/** `delta` is signed and relative; a level that falls to zero or below is gone. */
export interface OrderbookDeltaFrame {
  readonly _tag: "OrderbookDelta"
  readonly sid: number
  readonly seq: number | undefined
  readonly ticker: string
  readonly side: "yes" | "no"
  readonly price: Decimal
  readonly delta: Decimal
  readonly exchangeMillis: number | undefined
}
export interface SubscribedFrame {
  readonly _tag: "Subscribed"
  readonly id: number | undefined
  readonly channel: string
  readonly sid: number
}
export interface OkFrame {
  readonly _tag: "Ok"
  readonly id: number | undefined
  readonly sid: number | undefined
  readonly seq: number | undefined
  /** All markets of the subscription after the change. */
  readonly marketTickers: ReadonlyArray<string> | undefined
  /** The answer to a listing. */
  readonly subscriptions: ReadonlyArray<{ readonly channel: string; readonly sid: number }> | undefined
}
export interface UnsubscribedFrame {
  readonly _tag: "Unsubscribed"
  readonly id: number | undefined
  readonly sid: number | undefined
  readonly seq: number | undefined
}
export interface ErrorReplyFrame {
  readonly _tag: "ErrorReply"
  readonly id: number | undefined
  readonly code: number
  readonly msg: string
  readonly sid: number | undefined
  readonly seq: number | undefined
}
/** A type this version does not know; it is numbered in its subscription like the others. */
export interface UnknownFrame {
  readonly _tag: "Unknown"
  readonly type: string
  readonly sid: number | undefined
  readonly seq: number | undefined
}
/** `cause` names the field and what is wrong with it, never its value. */
export interface MalformedFrame {
  readonly _tag: "Malformed"
  readonly cause: string
}

/** One message of the feed, exchange to us. */
export type Frame =
  | TickerFrame
  | TradeFrame
  | MarketLifecycle
  | EventLifecycle
  | OrderbookSnapshotFrame
  | OrderbookDeltaFrame
  | SubscribedFrame
  | OkFrame
  | UnsubscribedFrame
  | ErrorReplyFrame
  | UnknownFrame
  | MalformedFrame

/**
 * Decodes one raw frame; total and pure but for `unknowns`, which hears what no decoder knows. `receivedMillis` is our
 * clock at its arrival.
 */
export const decodeFrame = (raw: string, receivedMillis: number, unknowns: Unknowns = ignoreUnknown): Frame => {
  try {
    return decodeEnvelope(JSON.parse(raw), receivedMillis, unknowns)
  } catch (fault) {
    return { _tag: "Malformed", cause: fault instanceof Fault ? fault.cause : "it is not JSON" }
  }
}

const subscribedKeys: ReadonlySet<string> = new Set(["channel", "sid"])
const okKeys: ReadonlySet<string> = new Set(["market_tickers"])
const errorKeys: ReadonlySet<string> = new Set(["code", "msg", "market_ticker", "market_tickers"])
const envelopeKeys: ReadonlySet<string> = new Set(["type", "sid", "seq", "msg", "id", "sending_ts_ms"])

const decodeEnvelope = (envelope: unknown, receivedMillis: number, unknowns: Unknowns): Frame => {
  if (!isFields(envelope)) throw new Fault("the frame is not an object")
  for (const key in envelope) if (!envelopeKeys.has(key)) unknowns.field("envelope", key)
  const type = envelope["type"]
  if (typeof type !== "string") throw new Fault("type is missing")
  switch (type) {
    case "ticker":
      return ticker(envelope, fields(envelope, "msg"), receivedMillis, unknowns)
    case "trade":
      return trade(envelope, fields(envelope, "msg"), unknowns)
    case "orderbook_delta":
      return orderbookDelta(envelope, fields(envelope, "msg"), unknowns)
    case "orderbook_snapshot":
      return orderbookSnapshot(envelope, fields(envelope, "msg"), unknowns)
    case "market_lifecycle_v2":
    case "multivariate_market_lifecycle":
      return decodedMarketLifecycle(envelope, receivedMillis, unknowns)
    case "event_lifecycle":
    case "event_fee_update":
      return decodedEventLifecycle(type, envelope, receivedMillis, unknowns)
    case "subscribed": {
      const msg = fields(envelope, "msg")
      for (const key in msg) if (!subscribedKeys.has(key)) unknowns.field("subscribed", key)
      return { _tag: "Subscribed", id: integer(envelope, "id"), channel: text(msg, "channel"), sid: sidOf(msg) }
    }
    case "ok":
      return ok(envelope, unknowns)
    case "unsubscribed":
      return { _tag: "Unsubscribed", ...reply(envelope) }
    case "error": {
      const msg = fields(envelope, "msg")
      for (const key in msg) if (!errorKeys.has(key)) unknowns.field("error", key)
      const code = integer(msg, "code")
      if (code === undefined) throw new Fault("msg.code is missing")
      if (!isErrorCode(code)) unknowns.value("error", "code", String(code))
      const explained = msg["msg"]
      return { _tag: "ErrorReply", ...reply(envelope), code, msg: typeof explained === "string" ? explained : "" }
    }
    default:
      unknowns.frameType(type)
      return { _tag: "Unknown", type: type.slice(0, 64), sid: wholeOf(envelope["sid"]), seq: wholeOf(envelope["seq"]) }
  }
}

const wholeOf = (value: unknown): number | undefined => (Number.isSafeInteger(value) ? (value as number) : undefined)

const tickerKeys: ReadonlySet<string> = new Set([
  "market_id",
  "market_ticker",
  "price_dollars",
  "yes_bid_dollars",
  "yes_ask_dollars",
  "volume_fp",
  "open_interest_fp",
  "dollar_volume",
  "dollar_open_interest",
  "yes_bid_size_fp",
  "yes_ask_size_fp",
  "last_trade_size_fp",
  "ts",
  "ts_ms",
  "time"
])

const ticker = (envelope: Fields, msg: Fields, receivedMillis: number, unknowns: Unknowns): TickerFrame => {
  for (const key in msg) if (!tickerKeys.has(key)) unknowns.field("ticker", key)
  const exchangeMillis = instant(msg)
  if (exchangeMillis === undefined) throw new Fault("msg.ts_ms is missing")
  return {
    _tag: "Ticker",
    sid: sidOf(envelope),
    sendingMillis: integer(envelope, "sending_ts_ms"),
    tick: {
      ticker: text(msg, "market_ticker"),
      exchangeMillis,
      receivedMillis,
      price: decimal(msg, "price_dollars"),
      yesBid: decimal(msg, "yes_bid_dollars"),
      yesAsk: decimal(msg, "yes_ask_dollars"),
      yesBidSize: decimal(msg, "yes_bid_size_fp"),
      yesAskSize: decimal(msg, "yes_ask_size_fp"),
      lastTradeSize: decimal(msg, "last_trade_size_fp"),
      volume: decimal(msg, "volume_fp"),
      openInterest: decimal(msg, "open_interest_fp"),
      dollarVolume: decimal(msg, "dollar_volume"),
      dollarOpenInterest: decimal(msg, "dollar_open_interest")
    }
  }
}

const tradeKeys: ReadonlySet<string> = new Set([
  "trade_id",
  "market_ticker",
  "market_id",
  "yes_price_dollars",
  "no_price_dollars",
  "count_fp",
  "taker_side",
  "taker_outcome_side",
  "taker_book_side",
  "is_block_trade",
  "ts",
  "ts_ms"
])

const trade = (envelope: Fields, msg: Fields, unknowns: Unknowns): TradeFrame => {
  for (const key in msg) if (!tradeKeys.has(key)) unknowns.field("trade", key)
  reportWord("trade", "taker_side", Vocabulary.outcomeSides, msg["taker_side"], unknowns)
  reportWord("trade", "taker_outcome_side", Vocabulary.outcomeSides, msg["taker_outcome_side"], unknowns)
  reportWord("trade", "taker_book_side", Vocabulary.bookSides, msg["taker_book_side"], unknowns)
  const millis = instant(msg)
  if (millis === undefined) throw new Fault("msg.ts_ms is missing")
  const takerSide = msg["taker_outcome_side"] ?? msg["taker_side"]
  return {
    _tag: "Trade",
    sid: sidOf(envelope),
    seq: integer(envelope, "seq"),
    sendingMillis: integer(envelope, "sending_ts_ms"),
    trade: {
      tradeId: text(msg, "trade_id"),
      ticker: text(msg, "market_ticker"),
      count: required(msg, "count_fp"),
      yesPrice: required(msg, "yes_price_dollars"),
      noPrice: required(msg, "no_price_dollars"),
      takerSide: takerSide === "yes" || takerSide === "no" ? takerSide : undefined,
      isBlockTrade: msg["is_block_trade"] === true,
      createdTime: fromMillis(millis)
    }
  }
}

const deltaKeys: ReadonlySet<string> = new Set([
  "market_ticker",
  "market_id",
  "price_dollars",
  "delta_fp",
  "side",
  "ts",
  "ts_ms",
  "client_order_id",
  "subaccount"
])

const orderbookDelta = (envelope: Fields, msg: Fields, unknowns: Unknowns): OrderbookDeltaFrame => {
  for (const key in msg) if (!deltaKeys.has(key)) unknowns.field("orderbook_delta", key)
  const side = msg["side"]
  if (side !== "yes" && side !== "no") {
    reportWord("orderbook_delta", "side", Vocabulary.outcomeSides, side, unknowns)
    throw new Fault("msg.side is neither yes nor no")
  }
  return {
    _tag: "OrderbookDelta",
    sid: sidOf(envelope),
    seq: integer(envelope, "seq"),
    ticker: text(msg, "market_ticker"),
    side,
    price: required(msg, "price_dollars"),
    delta: required(msg, "delta_fp"),
    exchangeMillis: instant(msg)
  }
}

const snapshotKeys: ReadonlySet<string> = new Set(["market_ticker", "market_id", "yes_dollars_fp", "no_dollars_fp"])

const orderbookSnapshot = (envelope: Fields, msg: Fields, unknowns: Unknowns): OrderbookSnapshotFrame => {
  for (const key in msg) if (!snapshotKeys.has(key)) unknowns.field("orderbook_snapshot", key)
  return {
    _tag: "OrderbookSnapshot",
    id: integer(envelope, "id"),
    sid: sidOf(envelope),
    seq: integer(envelope, "seq"),
    book: {
      ticker: text(msg, "market_ticker"),
      yes: levels(msg, "yes_dollars_fp"),
      no: levels(msg, "no_dollars_fp")
    }
  }
}

const levels = (msg: Fields, key: string): ReadonlyArray<BookLevel> => {
  const found = msg[key]
  if (found === undefined || found === null) return []
  if (!Array.isArray(found)) throw new Fault(`msg.${key} is not a list`)
  return found.map((level: unknown): BookLevel => {
    if (!Array.isArray(level) || level.length !== 2) throw new Fault(`msg.${key} has a level that is not a pair`)
    const [price, size]: ReadonlyArray<unknown> = level
    if (typeof price !== "string" || typeof size !== "string" || !isDecimal(price) || !isDecimal(size))
      throw new Fault(`msg.${key} has a level that is not decimal`)
    return [price, size]
  })
}

const decodedMarketLifecycle = (envelope: Fields, receivedMillis: number, unknowns: Unknowns): MarketLifecycle => {
  const decoded = marketLifecycle(envelope["msg"], unknowns)
  if (Result.isFailure(decoded)) throw new Fault(`msg.${decoded.failure}`)
  const { kind, market } = decoded.success
  return {
    _tag: "MarketLifecycle",
    kind,
    ticker: market.ticker,
    sid: sidOf(envelope),
    seq: integer(envelope, "seq"),
    receivedMillis,
    market,
    raw: envelope["msg"]
  }
}

const decodedEventLifecycle = (
  kind: "event_lifecycle" | "event_fee_update",
  envelope: Fields,
  receivedMillis: number,
  unknowns: Unknowns
): EventLifecycle => {
  const decoded = eventLifecycle(envelope["msg"], unknowns)
  if (Result.isFailure(decoded)) throw new Fault(`msg.${decoded.failure}`)
  return {
    _tag: "EventLifecycle",
    kind,
    ticker: decoded.success.eventTicker,
    sid: sidOf(envelope),
    seq: integer(envelope, "seq"),
    receivedMillis,
    event: decoded.success,
    raw: envelope["msg"]
  }
}

const ok = (envelope: Fields, unknowns: Unknowns): OkFrame => {
  const msg = envelope["msg"]
  if (Array.isArray(msg))
    return {
      _tag: "Ok",
      ...reply(envelope),
      marketTickers: undefined,
      subscriptions: msg.map((entry: unknown) => {
        if (!isFields(entry)) throw new Fault("msg has an entry that is not an object")
        return { channel: text(entry, "channel"), sid: sidOf(entry) }
      })
    }
  if (isFields(msg)) for (const key in msg) if (!okKeys.has(key)) unknowns.field("ok", key)
  const tickers: unknown = isFields(msg) ? msg["market_tickers"] : undefined
  return {
    _tag: "Ok",
    ...reply(envelope),
    marketTickers: Array.isArray(tickers) ? tickers.filter((ticker) => typeof ticker === "string") : undefined,
    subscriptions: undefined
  }
}

const reply = (envelope: Fields) => ({
  id: integer(envelope, "id"),
  sid: integer(envelope, "sid"),
  seq: integer(envelope, "seq")
})

/** The keys known of each payload but the lifecycle's, which has schemas. */
export const frameKeys: Readonly<Record<string, ReadonlySet<string>>> = {
  envelope: envelopeKeys,
  ticker: tickerKeys,
  trade: tradeKeys,
  orderbook_delta: deltaKeys,
  orderbook_snapshot: snapshotKeys,
  subscribed: subscribedKeys,
  ok: okKeys,
  error: errorKeys
}
