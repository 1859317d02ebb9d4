import type { Chances } from "./Chances.ts"
import type { Faults } from "./Faults.ts"
import type { Floor } from "./Floor.ts"
import { type Hub, type Subscription, sequenced } from "./Hub.ts"
import type { Strictness } from "./Options.ts"
import type { Outbox } from "./Outbox.ts"

const publicChannels = new Set([
  "ticker",
  "trade",
  "orderbook_delta",
  "market_lifecycle_v2",
  "multivariate_market_lifecycle",
  "cfbenchmarks_value",
  "cfbenchmarks_value_5hz",
  "pyth_value"
])
const privateChannels = new Set(["fill", "market_positions", "user_orders", "order_group_updates", "communications"])
const lifecycleChannels = new Set(["market_lifecycle_v2", "multivariate_market_lifecycle"])

export const errorTexts: Readonly<Record<number, string>> = {
  1: "Unable to process message",
  2: "Params required",
  3: "Channels required",
  4: "Subscription IDs required",
  5: "Unknown command",
  7: "Unknown subscription ID",
  8: "Unknown channel name",
  9: "Authentication required",
  10: "Channel error",
  11: "Invalid parameter",
  12: "Exactly one subscription ID is required",
  13: "Unsupported action",
  14: "Market Ticker required",
  15: "Action required",
  18: "Command timeout",
  19: "Shard factor out of range",
  20: "Shard key required",
  21: "Shard key out of range",
  22: "Shard factor required",
  23: "Match IDs required",
  24: "Index IDs required",
  25: "Subscription buffer overflow",
  26: "Subscription market limit exceeded",
  27: "Too many requests",
  28: "Underlying tickers required"
}

const terminal = new Set([10, 25])

interface Fields {
  readonly [name: string]: unknown
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const strings = (value: unknown): ReadonlyArray<string> | undefined =>
  Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined

/** The faults that are on, read at every command. */
export interface CommandFaults {
  readonly faults: Faults
  readonly chances: Chances
}

/** One connection: understands commands, holds its subscriptions. */
export class Session {
  readonly #floor: Floor
  readonly #hub: Hub
  readonly #strictness: Strictness
  readonly #outbox: Outbox
  readonly #wallMillis: () => number
  readonly #subscriptions = new Map<number, Subscription>()
  readonly #trouble: CommandFaults
  #late: Array<{ readonly wallMs: number; readonly reply: () => void }> = []
  #closed = false
  #nextSid = 1
  #commandSecond = 0
  #commandCount = 0

  constructor(
    floor: Floor,
    hub: Hub,
    strictness: Strictness,
    outbox: Outbox,
    wallMillis: () => number,
    trouble: CommandFaults
  ) {
    this.#floor = floor
    this.#hub = hub
    this.#strictness = strictness
    this.#outbox = outbox
    this.#wallMillis = wallMillis
    this.#trouble = trouble
  }

  /** How many channels it is subscribed to. */
  get subscribed(): number {
    return this.#subscriptions.size
  }

  close() {
    this.#closed = true
    this.#late = []
    for (const subscription of this.#subscriptions.values()) this.#hub.drop(subscription)
    this.#subscriptions.clear()
  }

  /** Understands no more commands; what is subscribed stays so. */
  deafen() {
    this.#closed = true
    this.#late = []
  }

  /** Sends the acknowledgements that are due. */
  beat(wallMs: number) {
    if (this.#late.length === 0) return
    const due = this.#late.filter((late) => late.wallMs <= wallMs)
    this.#late = this.#late.filter((late) => late.wallMs > wallMs)
    for (const { reply } of due) reply()
  }

  /** Sends an error as the exchange would; 10 and 25 end the channel's subscription. */
  fail(code: number, channel: string | undefined) {
    const subscription = [...this.#subscriptions.values()].find((candidate) => candidate.channel === channel)
    if (subscription !== undefined && terminal.has(code)) return this.#end(subscription, code)
    this.#error(undefined, code, subscription)
  }

  receive(text: string) {
    if (this.#closed) return
    const command = parse(text)
    if (!isFields(command)) return this.#error(undefined, 1)
    const id = typeof command["id"] === "number" ? command["id"] : undefined
    if (this.#tooMany()) return this.#error(id, 27)
    const { cmd, params } = command
    if (typeof cmd !== "string") return this.#error(id, 5)
    if (cmd === "list_subscriptions") return this.#list(id)
    if (cmd !== "subscribe" && cmd !== "unsubscribe" && cmd !== "update_subscription") return this.#error(id, 5)
    if (!isFields(params)) return this.#error(id, 2)
    const { chances, faults } = this.#trouble
    if (chances.strikes(faults.commands.refuse, "commands.refuse")) return this.#error(id, faults.commands.refuseCode)
    if (cmd === "subscribe") return this.#subscribe(id, params)
    if (cmd === "unsubscribe") return this.#unsubscribe(id, params)
    return this.#update(id, params)
  }

  #tooMany(): boolean {
    const second = Math.floor(this.#wallMillis() / 1000)
    if (second !== this.#commandSecond) {
      this.#commandSecond = second
      this.#commandCount = 0
    }
    this.#commandCount += 1
    return this.#commandCount > this.#strictness.maxCommandsPerSecond
  }

  /** An acknowledgement: at once, late, or never. */
  #acknowledge(reply: () => void) {
    const { chances, faults } = this.#trouble
    if (chances.strikes(faults.commands.loseAck, "commands.loseAck")) return
    const { ackDelayMs } = faults.commands
    if (ackDelayMs === 0) return reply()
    this.#late.push({ wallMs: this.#wallMillis() + ackDelayMs, reply })
  }

  #plain(type: string, id: number | undefined, msg: unknown) {
    this.#outbox.push(
      JSON.stringify({ type, ...(id === undefined ? {} : { id }), ...(msg === undefined ? {} : { msg }) }),
      { type }
    )
  }

  #error(id: number | undefined, code: number, subscription?: Subscription) {
    const msg = { code, msg: errorTexts[code] ?? "Unknown error" }
    if (subscription === undefined) return this.#plain("error", id, msg)
    this.#hub.send(subscription, "error", JSON.stringify(msg), { type: "error" }, id)
  }

  #end(subscription: Subscription, code: number) {
    if (!this.#subscriptions.has(subscription.sid)) return
    this.#hub.drop(subscription)
    this.#subscriptions.delete(subscription.sid)
    this.#error(undefined, code, subscription)
  }

  #overflow() {
    this.#outbox.discard()
    for (const subscription of [...this.#subscriptions.values()]) this.#end(subscription, 25)
  }

  #list(id: number | undefined) {
    this.#plain(
      "ok",
      id,
      [...this.#subscriptions.values()].map(({ channel, sid }) => ({ channel, sid }))
    )
  }

  /** The markets that a command names: none, some, or a wrong way of naming them. */
  #tickers(params: Fields, tickerOnly: boolean): ReadonlyArray<string> | undefined | "Invalid" {
    const { market_id, market_ids, market_ticker, market_tickers } = params
    const given = [market_ticker, market_tickers, market_id, market_ids].filter((value) => value !== undefined)
    if (given.length === 0) return undefined
    if (given.length > 1) return "Invalid"
    const one = market_ticker ?? market_id
    const many = one === undefined ? strings(market_tickers ?? market_ids) : typeof one === "string" ? [one] : undefined
    if (many === undefined) return "Invalid"
    if (market_id === undefined && market_ids === undefined) return many
    if (!tickerOnly) return "Invalid"
    return this.#floor.tickersOfIds(new Set(many))
  }

  #refusal(channel: string, params: Fields, tickers: ReadonlyArray<string> | undefined): number | undefined {
    if (!publicChannels.has(channel) && !privateChannels.has(channel)) return 8
    if (privateChannels.has(channel) && this.#strictness.refusePrivateChannels) return 9
    if (channel === "orderbook_delta" && (tickers === undefined || tickers.length === 0)) return 14
    if (channel.startsWith("cfbenchmarks_value") && strings(params["index_ids"]) === undefined) return 24
    if (channel === "pyth_value" && strings(params["underlying_tickers"]) === undefined) return 28
    if (channel === "communications") return shardRefusal(params["shard_factor"], params["shard_key"])
    return undefined
  }

  #subscribe(id: number | undefined, params: Fields) {
    const channels = strings(params["channels"])
    if (channels === undefined || channels.length === 0) return this.#error(id, 3)
    const tickers = this.#tickers(params, channels.length === 1 && channels[0] === "ticker")
    if (tickers === "Invalid") return this.#error(id, 11)
    for (const channel of channels) {
      const code = this.#refusal(channel, params, tickers)
      if (code !== undefined) return this.#error(id, code)
      const known = [...this.#subscriptions.values()].find((candidate) => candidate.channel === channel)
      const named = lifecycleChannels.has(channel) ? undefined : tickers
      if (this.#overLimit(known, named ?? [])) return this.#error(id, 26)
      if (known === undefined) this.#open(id, channel, named, params)
      else this.#merge(id, known, named, params)
    }
  }

  #overLimit(known: Subscription | undefined, tickers: ReadonlyArray<string>): boolean {
    const most = this.#strictness.maxMarketsPerSubscription
    return new Set([...(known?.tickers ?? []), ...tickers]).size > most
  }

  #open(id: number | undefined, channel: string, tickers: ReadonlyArray<string> | undefined, params: Fields) {
    const subscription: Subscription = {
      sid: this.#nextSid++,
      channel,
      outbox: this.#outbox,
      overflow: () => this.#overflow(),
      end: (code) => this.#end(subscription, code),
      everything: tickers === undefined,
      tickers: new Set(),
      useYesPrice: params["use_yes_price"] === true,
      seq: 0
    }
    this.#subscriptions.set(subscription.sid, subscription)
    this.#hub.add(subscription, tickers ?? [])
    this.#acknowledge(() => this.#plain("subscribed", id, { channel, sid: subscription.sid }))
    this.#first(subscription, tickers, params)
  }

  #merge(id: number | undefined, known: Subscription, tickers: ReadonlyArray<string> | undefined, params: Fields) {
    const fresh = tickers?.filter((ticker) => !known.tickers.has(ticker))
    if (tickers === undefined) known.everything = true
    this.#hub.add(known, fresh ?? [])
    this.#ok(id, known, params)
    this.#first(known, fresh, params)
  }

  #ok(id: number | undefined, subscription: Subscription, params: Fields) {
    const quiet = subscription.channel === "ticker" && params["skip_ticker_ack"] === true
    const msg = quiet ? {} : { market_tickers: [...subscription.tickers] }
    this.#acknowledge(() => this.#hub.send(subscription, "ok", JSON.stringify(msg), { type: "ok" }, id))
  }

  /** What follows a subscription at once: books, or current tickers when asked for. */
  #first(subscription: Subscription, tickers: ReadonlyArray<string> | undefined, params: Fields) {
    if (subscription.channel === "orderbook_delta")
      for (const ticker of tickers ?? []) this.#snapshot(subscription, ticker)
    if (subscription.channel !== "ticker" || params["send_initial_snapshot"] !== true) return
    for (const ticker of tickers ?? this.#floor.tickers()) {
      const standing = this.#floor.ticker(ticker)
      if (standing !== undefined) this.#hub.send(subscription, "ticker", standing.msg, standing.entry)
    }
  }

  #snapshot(subscription: Subscription, ticker: string, id?: number) {
    const msg = this.#floor.book(ticker, subscription.useYesPrice)
    if (msg === undefined) return
    this.#hub.send(subscription, "orderbook_snapshot", msg, { type: "orderbook_snapshot" }, id)
  }

  #unsubscribe(id: number | undefined, params: Fields) {
    const sids = params["sids"]
    if (!Array.isArray(sids) || sids.length === 0) return this.#error(id, 4)
    for (const sid of sids) {
      const subscription = this.#subscriptions.get(sid)
      if (subscription === undefined) {
        this.#error(id, 7)
        continue
      }
      this.#hub.drop(subscription)
      this.#subscriptions.delete(subscription.sid)
      this.#acknowledge(() => {
        const seq = sequenced(subscription.channel) ? { seq: ++subscription.seq } : {}
        this.#outbox.push(
          JSON.stringify({ type: "unsubscribed", ...(id === undefined ? {} : { id }), sid: subscription.sid, ...seq }),
          { type: "unsubscribed" }
        )
      })
    }
  }

  #update(id: number | undefined, params: Fields) {
    const { action, sid, sids } = params
    const chosen =
      sid !== undefined && sids !== undefined ? [] : sids !== undefined ? sids : sid !== undefined ? [sid] : []
    if (!Array.isArray(chosen) || chosen.length !== 1) return this.#error(id, 12)
    const subscription = this.#subscriptions.get(chosen[0])
    if (subscription === undefined) return this.#error(id, 7)
    if (action === undefined) return this.#error(id, 15, subscription)
    if (action !== "add_markets" && action !== "delete_markets" && action !== "get_snapshot")
      return this.#error(id, 13, subscription)
    const tickers = this.#tickers(params, subscription.channel === "ticker")
    if (tickers === "Invalid") return this.#error(id, 11, subscription)
    if (tickers === undefined || tickers.length === 0) return this.#error(id, 14, subscription)
    if (action === "get_snapshot") {
      if (subscription.channel !== "orderbook_delta") return this.#error(id, 13, subscription)
      for (const ticker of tickers) this.#snapshot(subscription, ticker, id)
      return
    }
    if (action === "delete_markets") {
      this.#hub.remove(subscription, tickers)
      return this.#ok(id, subscription, params)
    }
    if (this.#overLimit(subscription, tickers)) return this.#error(id, 26, subscription)
    const fresh = tickers.filter((ticker) => !subscription.tickers.has(ticker))
    this.#hub.add(subscription, fresh)
    this.#ok(id, subscription, params)
    this.#first(subscription, fresh, params)
  }
}

const shardRefusal = (factor: unknown, key: unknown): number | undefined => {
  if (factor === undefined) return key === undefined ? undefined : 22
  if (typeof factor !== "number" || factor < 1 || factor > 100) return 19
  if (key === undefined) return 20
  return typeof key === "number" && key >= 0 && key < factor ? undefined : 21
}
