import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type { Book, BookLevel } from "../market/Book.ts"
import { type Decimal, isDecimal } from "../market/Decimal.ts"
import type { EventLifecycle, MarketLifecycle } from "../market/Lifecycle.ts"
import type { Tick } from "../market/Tick.ts"
import { fromMillis } from "../market/Timestamp.ts"
import type { Trade } from "../market/Trade.ts"
import { ignoreUnknown, type UnknownField } from "./Drift.ts"
import { eventLifecycle, marketLifecycle } from "./LifecycleWire.ts"
import { toDecimal } from "./Wire.ts"

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
/** A type this version does not know. */
export interface UnknownFrame {
  readonly _tag: "Unknown"
  readonly type: string
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
 * Decodes one raw frame; total and pure but for `unknown`, which hears of fields no decoder knows. `receivedMillis`
 * is our clock at its arrival.
 */
export const decodeFrame = (raw: string, receivedMillis: number, unknown: UnknownField = ignoreUnknown): Frame => {
  try {
    return decodeEnvelope(JSON.parse(raw), receivedMillis, unknown)
  } catch (fault) {
    return { _tag: "Malformed", cause: fault instanceof Fault ? fault.cause : "it is not JSON" }
  }
}

class Fault {
  readonly cause: string
  constructor(cause: string) {
    this.cause = cause
  }
}

type Fields = { readonly [key: string]: unknown }

const envelopeKeys: ReadonlySet<string> = new Set(["type", "sid", "seq", "msg", "id", "sending_ts_ms"])

const decodeEnvelope = (envelope: unknown, receivedMillis: number, unknown: UnknownField): Frame => {
  if (!isFields(envelope)) throw new Fault("the frame is not an object")
  for (const key in envelope) if (!envelopeKeys.has(key)) unknown("envelope", key)
  const type = envelope["type"]
  if (typeof type !== "string") throw new Fault("type is missing")
  switch (type) {
    case "ticker":
      return ticker(envelope, fields(envelope, "msg"), receivedMillis, unknown)
    case "trade":
      return trade(envelope, fields(envelope, "msg"), unknown)
    case "orderbook_delta":
      return orderbookDelta(envelope, fields(envelope, "msg"), unknown)
    case "orderbook_snapshot":
      return orderbookSnapshot(envelope, fields(envelope, "msg"), unknown)
    case "market_lifecycle_v2":
    case "multivariate_market_lifecycle":
      return decodedMarketLifecycle(envelope, receivedMillis, unknown)
    case "event_lifecycle":
    case "event_fee_update":
      return decodedEventLifecycle(type, envelope, receivedMillis, unknown)
    case "subscribed": {
      const msg = fields(envelope, "msg")
      return { _tag: "Subscribed", id: integer(envelope, "id"), channel: text(msg, "channel"), sid: sidOf(msg) }
    }
    case "ok":
      return ok(envelope)
    case "unsubscribed":
      return { _tag: "Unsubscribed", ...reply(envelope) }
    case "error": {
      const msg = fields(envelope, "msg")
      const code = integer(msg, "code")
      if (code === undefined) throw new Fault("msg.code is missing")
      const explained = msg["msg"]
      return { _tag: "ErrorReply", ...reply(envelope), code, msg: typeof explained === "string" ? explained : "" }
    }
    default:
      return { _tag: "Unknown", type: type.slice(0, 64) }
  }
}

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

const ticker = (envelope: Fields, msg: Fields, receivedMillis: number, unknown: UnknownField): TickerFrame => {
  for (const key in msg) if (!tickerKeys.has(key)) unknown("ticker", key)
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

const trade = (envelope: Fields, msg: Fields, unknown: UnknownField): TradeFrame => {
  for (const key in msg) if (!tradeKeys.has(key)) unknown("trade", key)
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

const orderbookDelta = (envelope: Fields, msg: Fields, unknown: UnknownField): OrderbookDeltaFrame => {
  for (const key in msg) if (!deltaKeys.has(key)) unknown("orderbook_delta", key)
  const side = msg["side"]
  if (side !== "yes" && side !== "no") throw new Fault("msg.side is neither yes nor no")
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

const orderbookSnapshot = (envelope: Fields, msg: Fields, unknown: UnknownField): OrderbookSnapshotFrame => {
  for (const key in msg) if (!snapshotKeys.has(key)) unknown("orderbook_snapshot", key)
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

const decodedMarketLifecycle = (envelope: Fields, receivedMillis: number, unknown: UnknownField): MarketLifecycle => {
  const decoded = marketLifecycle(envelope["msg"], unknown)
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
  unknown: UnknownField
): EventLifecycle => {
  const decoded = eventLifecycle(envelope["msg"], unknown)
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

const ok = (envelope: Fields): OkFrame => {
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

const isFields = (value: unknown): value is Fields => Predicate.isObject(value)

const fields = (parent: Fields, key: string): Fields => {
  const value = parent[key]
  if (!isFields(value)) throw new Fault(`${key} is not an object`)
  return value
}

const text = (parent: Fields, key: string): string => {
  const value = parent[key]
  if (typeof value !== "string" || value === "") throw new Fault(`msg.${key} is missing`)
  return value
}

const integer = (parent: Fields, key: string): number | undefined => {
  const value = parent[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new Fault(`${key} is not a whole number`)
  return value
}

const sidOf = (parent: Fields): number => {
  const sid = integer(parent, "sid")
  if (sid === undefined) throw new Fault("sid is missing")
  return sid
}

const decimal = (msg: Fields, key: string): Decimal | undefined => {
  const value = msg[key]
  if (value === undefined || value === null || value === "") return undefined
  if (typeof value === "string" && isDecimal(value)) return value
  const converted = typeof value === "number" ? toDecimal(value) : undefined
  if (converted === undefined) throw new Fault(`msg.${key} is not a decimal number`)
  return converted
}

const required = (msg: Fields, key: string): Decimal => {
  const value = decimal(msg, key)
  if (value === undefined) throw new Fault(`msg.${key} is missing`)
  return value
}

const maxMillis = 253_402_300_799_999

/** `ts_ms`, or what older frames carry: `ts` in seconds, `time` or `ts` as text. */
const instant = (msg: Fields): number | undefined => {
  const millis = msg["ts_ms"]
  if (typeof millis === "number") {
    if (!Number.isSafeInteger(millis) || millis <= 0 || millis > maxMillis)
      throw new Fault("msg.ts_ms is not an instant")
    return millis
  }
  const seconds = msg["ts"]
  if (typeof seconds === "number" && seconds > 0 && seconds * 1000 <= maxMillis) return Math.trunc(seconds * 1000)
  const written = typeof seconds === "string" ? seconds : msg["time"]
  if (typeof written !== "string") return undefined
  const parsed = Date.parse(written)
  if (Number.isNaN(parsed)) throw new Fault("msg.time is not an instant")
  return parsed
}
