import type { Entry, Outbox } from "./Outbox.ts"

/** One channel of one connection. */
export interface Subscription {
  readonly sid: number
  readonly channel: string
  readonly outbox: Outbox
  /** Called when more waits than may wait. */
  readonly overflow: () => void
  /** Ends it with a terminal error. */
  readonly end: (code: number) => void
  /** Without named markets: every market. */
  everything: boolean
  readonly tickers: Set<string>
  readonly useYesPrice: boolean
  seq: number
}

const unsequenced = new Set(["ticker", "fill", "market_positions", "user_orders"])

export const sequenced = (channel: string): boolean => !unsequenced.has(channel)

/** What may happen to a data frame on its way to an outbox. */
export interface Tamper {
  readonly deliver: (subscription: Subscription, text: string, entry: Entry) => void
}

/** Who wants what, and the way to them. */
export class Hub {
  /** Grows with every change of who wants what. */
  version = 0
  tamper: Tamper | undefined
  readonly #everything = new Map<string, Set<Subscription>>()
  readonly #named = new Map<string, Map<string, Set<Subscription>>>()
  readonly #bufferBytes: number
  readonly #stamp: () => string

  /** `stamp` is put into every envelope, e.g. `,"sending_ts_ms":1`. */
  constructor(bufferBytes: number, stamp: () => string) {
    this.#bufferBytes = bufferBytes
    this.#stamp = stamp
  }

  add(subscription: Subscription, tickers: Iterable<string>): void {
    this.version += 1
    if (subscription.everything) this.#setOf(this.#everything, subscription.channel).add(subscription)
    const named = this.#namedOf(subscription.channel)
    for (const ticker of tickers) {
      subscription.tickers.add(ticker)
      this.#setOf(named, ticker).add(subscription)
    }
  }

  remove(subscription: Subscription, tickers: Iterable<string>): void {
    this.version += 1
    const named = this.#namedOf(subscription.channel)
    for (const ticker of [...tickers]) {
      subscription.tickers.delete(ticker)
      const set = named.get(ticker)
      set?.delete(subscription)
      if (set?.size === 0) named.delete(ticker)
    }
  }

  drop(subscription: Subscription): void {
    this.#everything.get(subscription.channel)?.delete(subscription)
    this.remove(subscription, subscription.tickers)
  }

  everythingOf(channel: string): ReadonlySet<Subscription> {
    return this.#setOf(this.#everything, channel)
  }

  namedOf(channel: string, ticker: string): ReadonlySet<Subscription> | undefined {
    return this.#named.get(channel)?.get(ticker)
  }

  tickersOf(channel: string): Iterable<string> {
    return this.#namedOf(channel).keys()
  }

  wanted(channel: string, ticker: string): boolean {
    return this.everythingOf(channel).size > 0 || this.namedOf(channel, ticker) !== undefined
  }

  /** Sends to everyone who wants the market on the channel. */
  publish(
    channel: string,
    ticker: string,
    type: string,
    msg: (subscription: Subscription) => string,
    entry: Entry
  ): void {
    const everything = this.everythingOf(channel)
    for (const subscription of everything) this.send(subscription, type, msg(subscription), entry)
    const named = this.namedOf(channel, ticker)
    if (named === undefined) return
    for (const subscription of named)
      if (!subscription.everything) this.send(subscription, type, msg(subscription), entry)
  }

  send(subscription: Subscription, type: string, msg: string, entry: Entry, id?: number): void {
    const { channel, outbox, sid } = subscription
    const reply = id === undefined ? "" : `"id":${id},`
    const seq = sequenced(channel) ? `"seq":${++subscription.seq},` : ""
    const text = `{"type":"${type}",${reply}"sid":${sid},${seq}"msg":${msg}${this.#stamp()}}`
    if (this.tamper === undefined || id !== undefined || type === "ok" || type === "error") outbox.push(text, entry)
    else this.tamper.deliver(subscription, text, entry)
    if (outbox.waitingBytes > this.#bufferBytes && outbox.blocked) subscription.overflow()
  }

  #namedOf(channel: string): Map<string, Set<Subscription>> {
    let named = this.#named.get(channel)
    if (named === undefined) {
      named = new Map()
      this.#named.set(channel, named)
    }
    return named
  }

  #setOf(sets: Map<string, Set<Subscription>>, key: string): Set<Subscription> {
    let set = sets.get(key)
    if (set === undefined) {
      set = new Set()
      sets.set(key, set)
    }
    return set
  }
}
