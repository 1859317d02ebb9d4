/** One recorded message of the feed, apart from the numbers that a connection gives it. */
export interface Recorded {
  /** When it was received, exchange clock, epoch milliseconds. */
  readonly atMillis: number
  /** The channel that carries it. */
  readonly channel: string
  readonly type: string
  /** Empty where the message is about no market. */
  readonly ticker: string
  /** The JSON text of `msg`, as it was received. */
  readonly msg: string
  /** What followed `msg` in the envelope, with its leading comma, e.g. `,"sending_ts_ms":1`. */
  readonly tail: string
}

/** A span in which the feed, or a part of it, was not received. Exchange clock, epoch milliseconds. */
export interface Gap {
  /** The channel, or `all`. */
  readonly feed: string
  /** Absent: not of one market only. */
  readonly market: string | null
  readonly fromMillis: number
  /** Absent: still open. */
  readonly toMillis: number | null
  readonly cause: string
}

/** Channels of types that do not bear their channel's name. */
const channels: Readonly<Record<string, string>> = {
  orderbook_snapshot: "orderbook_delta",
  event_lifecycle: "market_lifecycle_v2",
  event_fee_update: "market_lifecycle_v2"
}

const control = new Set(["subscribed", "unsubscribed", "ok", "error"])

const knownTypes = new Set([
  "ticker",
  "trade",
  "orderbook_delta",
  "orderbook_snapshot",
  "market_lifecycle_v2",
  "multivariate_market_lifecycle",
  "event_lifecycle",
  "event_fee_update"
])

/** The channel of a type; `subscribed` is what the sid was acknowledged for. */
export const channelOf = (type: string, subscribed: string | undefined): string =>
  knownTypes.has(type) ? (channels[type] ?? type) : (subscribed ?? channels[type] ?? type)

const head = /^\{"type":"(\w+)",(?:"id":\d+,)?"sid":(\d+),(?:"seq":\d+,)?"msg":\{/
const marketTicker = '"market_ticker":"'

/** The index just after the object that begins at `from`, within the envelope's own; -1 when it does not end. */
const endOfObject = (text: string, from: number): number => {
  // Where no key follows an object, the envelope ends with the message.
  if (text.endsWith("}}") && text.indexOf('},"', from) === -1) return text.length - 1
  let depth = 0
  let isQuoted = false
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (isQuoted) {
      if (code === 0x5c) at++
      else if (code === 0x22) isQuoted = false
    } else if (code === 0x22) isQuoted = true
    else if (code === 0x7b) depth++
    else if (code === 0x7d && --depth === 0) return at + 1
  }
  return -1
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The market that a message is about; empty when it is about none. */
export const tickerOf = (msg: string): string => {
  const at = msg.indexOf(marketTicker)
  if (at === -1) return ""
  const from = at + marketTicker.length
  const text = msg.slice(from, msg.indexOf('"', from))
  if (!text.includes("\\")) return text
  const parsed: unknown = JSON.parse(msg)
  return isObject(parsed) && typeof parsed["market_ticker"] === "string" ? parsed["market_ticker"] : ""
}

export interface Parts {
  readonly type: string
  readonly sid: number | undefined
  readonly msg: string
  readonly tail: string
}

/** Takes a raw frame apart without interpreting its message; nothing when it is no message of a subscription. */
export const partsOf = (raw: string): Parts | undefined => {
  const match = head.exec(raw)
  if (match !== null) {
    const from = match[0].length - 1
    const end = endOfObject(raw, from)
    if (end !== -1 && raw.endsWith("}") && !control.has(match[1]!))
      return { type: match[1]!, sid: Number(match[2]), msg: raw.slice(from, end), tail: raw.slice(end, -1) }
  }
  return slowly(raw)
}

const slowly = (raw: string): Parts | undefined => {
  let envelope: unknown
  try {
    envelope = JSON.parse(raw)
  } catch {
    return undefined
  }
  if (!isObject(envelope)) return undefined
  const { id: _, msg, seq: __, sid, type, ...others } = envelope
  if (typeof type !== "string" || control.has(type) || !isObject(msg)) return undefined
  const tail = Object.keys(others).length === 0 ? "" : `,${JSON.stringify(others).slice(1, -1)}`
  return { type, sid: typeof sid === "number" ? sid : undefined, msg: JSON.stringify(msg), tail }
}

/** What a `subscribed` reply says; nothing for any other frame. */
export const subscribedOf = (raw: string): { readonly sid: number; readonly channel: string } | undefined => {
  if (!raw.includes('"subscribed"')) return undefined
  let reply: unknown
  try {
    reply = JSON.parse(raw)
  } catch {
    return undefined
  }
  if (!isObject(reply) || reply["type"] !== "subscribed" || !isObject(reply["msg"])) return undefined
  const { channel, sid } = reply["msg"]
  return typeof channel === "string" && typeof sid === "number" ? { channel, sid } : undefined
}
