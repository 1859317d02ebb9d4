import { closeAt, fairValue, type MarketSpec, pausedAt, structureAt } from "./Catalog.ts"
import { below, oneDollar, snapDown, snapUp } from "./Prices.ts"
import { combine, hash, Random } from "./Random.ts"

/** Resting bids of one side, ascending by price: the best is the last. */
export interface Side {
  readonly prices: Array<number>
  readonly sizes: Array<number>
}

export interface Delta {
  readonly side: "yes" | "no"
  readonly price: number
  readonly size: number
}

export interface Fill {
  readonly index: number
  readonly ms: number
  readonly price: number
  readonly count: number
  readonly taker: "yes" | "no"
}

/** The top of the book and the counters after an instant. */
export interface TopOfBook {
  readonly ms: number
  readonly bid: number
  readonly ask: number
  readonly bidSize: number
  readonly askSize: number
  readonly last: number
  readonly lastSize: number
  readonly volume: number
  readonly openInterest: number
  readonly dollarVolume: number
}

const emptyTop: TopOfBook = {
  ms: 0,
  bid: 0,
  ask: oneDollar,
  bidSize: 0,
  askSize: 0,
  last: 0,
  lastSize: 0,
  volume: 0,
  openInterest: 0,
  dollarVolume: 0
}

const deepest = 8
const shallowest = 4

/**
 * The whole history of one market, generated step by step from its opening; a pure function of (seed, ticker, pauses,
 * moves of the close). Nothing about it depends on who looks, or when.
 */
export class Tape {
  readonly market: MarketSpec
  readonly yes: Side = { prices: [], sizes: [] }
  readonly no: Side = { prices: [], sizes: [] }
  /** Every change of the top of the book or the counters, oldest first, `ms` strictly increasing. */
  readonly tops: Array<TopOfBook> = []
  readonly fills: Array<Fill> = []
  /** What the last step did to the book. */
  readonly deltas: Array<Delta> = []
  /** When the last step happened. */
  stepMs = 0
  /** How many fills the last step made. */
  newFills = 0
  nextMs: number
  /** Nothing comes after. */
  ended = false
  readonly #seed: number
  readonly #random: Random
  readonly #halfSpread: number
  readonly #liquidity: number
  readonly #clearDelay: number
  #top = emptyTop
  #quiet = false
  #openInterest = 0
  #dollarVolume = 0

  constructor(seed: number, market: MarketSpec) {
    this.market = market
    this.#seed = seed
    this.#random = new Random(combine(seed, hash(market.ticker)))
    this.#halfSpread = 40 + this.#random.next() ** 2 * 260
    this.#liquidity = Math.exp(this.#random.next() * 3)
    this.#clearDelay = 401 + (market.index % 50) * 7
    this.nextMs = market.event.openMs + 700 + this.#random.int(market.event.series.firstQuoteWithin ?? 18_000)
  }

  get top(): TopOfBook {
    return this.#top
  }

  /** The state at an instant that the tape has reached. */
  topAt(ms: number): TopOfBook {
    const at = this.#indexAt(ms)
    return at < 0 ? emptyTop : this.tops[at]!
  }

  advance(toMs: number) {
    while (!this.ended && this.nextMs <= toMs) this.step()
  }

  /** Takes the step due at `nextMs`; true when the top of the book or a counter changed. */
  step(): boolean {
    const ms = this.nextMs
    this.stepMs = ms
    this.deltas.length = 0
    this.newFills = 0
    const close = closeAt(this.market, ms)
    if (ms >= close) {
      const clears = close + this.#clearDelay
      if (ms < clears) {
        this.nextMs = clears
        return false
      }
      this.ended = true
      this.nextMs = Number.POSITIVE_INFINITY
      this.#clear(this.yes, "yes")
      this.#clear(this.no, "no")
      this.stepMs = Math.max(this.#top.ms + 1, clears)
      const cleared = this.#record(this.stepMs)
      this.reopen()
      return cleared
    }
    const fair = fairValue(this.#seed, this.market, ms)
    let changed = false
    if (!this.#quiet && !pausedAt(this.market, ms)) {
      this.#cancelAfterPause(ms)
      if (this.tops.length > 0 && this.#random.next() < 0.3) this.#trade(ms, fair)
      else this.#quote(fair)
      changed = this.#record(ms)
    }
    this.#schedule(ms, close, fair)
    return changed
  }

  /** Goes on after the end when the close was moved to later since. */
  reopen(): void {
    if (!this.ended) return
    const again = this.market.closeMoves.find((move) => move.atMs >= this.stepMs && move.closeMs > move.atMs)
    if (again === undefined) return
    this.ended = false
    this.nextMs = again.atMs + 500
  }

  #indexAt(ms: number): number {
    let low = 0
    let high = this.tops.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.tops[middle]!.ms <= ms) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  #schedule(ms: number, close: number, fair: number) {
    const { busyRate, lookEvery, quietRate } = this.market.event.series
    const rate = quietRate + busyRate * 4 * fair * (1 - fair)
    const wait = (-Math.log(1 - this.#random.next()) / rate) * 1000
    this.#quiet = wait > lookEvery
    let next = ms + Math.max(3, Math.floor(this.#quiet ? lookEvery : wait))
    if (next % 1000 === 0) next += 1
    this.nextMs = next >= close ? close + this.#clearDelay : next
  }

  #cancelAfterPause(ms: number) {
    for (const pause of this.market.pauses) {
      if (pause.toMs <= ms && pause.toMs > this.#top.ms) {
        this.#clear(this.yes, "yes")
        this.#clear(this.no, "no")
      }
    }
  }

  #size(): number {
    const size = Math.exp(this.#random.next() * 4.5) * this.#liquidity
    return this.#random.next() < 0.3 ? Math.max(1, Math.floor(size * 100)) : Math.max(1, Math.floor(size)) * 100
  }

  #quote(fair: number) {
    const structure = structureAt(this.market, this.stepMs)
    const wobble = this.#halfSpread * (0.6 + this.#random.next() * 0.8)
    const centre = fair * oneDollar
    const bid = snapDown(structure, Math.max(0, Math.round(centre - wobble)))
    let ask = snapUp(structure, Math.min(oneDollar, Math.round(centre + wobble)))
    if (ask <= bid) ask = snapUp(structure, bid + 1)
    const touched = this.#align(this.yes, "yes", bid) | this.#align(this.no, "no", snapDown(structure, oneDollar - ask))
    if (touched === 0) this.#reshuffle()
  }

  /** Makes `best` the best level of a side: levels above it go, missing ones come. */
  #align(side: Side, name: "yes" | "no", best: number): number {
    let touched = 0
    while (side.prices.length > 0 && side.prices[side.prices.length - 1]! > best) {
      this.#remove(side, name, side.prices.length - 1)
      touched = 1
    }
    if (best <= 0) return touched
    if (side.prices[side.prices.length - 1] !== best) {
      this.#insert(side, name, side.prices.length, best)
      touched = 1
    }
    const structure = structureAt(this.market, this.stepMs)
    while (side.prices.length < shallowest) {
      const price = below(structure, side.prices[0]!)
      if (price <= 0) break
      this.#insert(side, name, 0, price)
    }
    while (side.prices.length > deepest) this.#remove(side, name, 0)
    return touched
  }

  #reshuffle() {
    const yes = this.#random.next() < 0.5
    const side = yes ? this.yes : this.no
    if (side.prices.length === 0) return
    const depth = Math.floor(this.#random.next() ** 2 * side.prices.length)
    const at = side.prices.length - 1 - depth
    const size = this.#size()
    const change = size - side.sizes[at]!
    if (change === 0) return
    side.sizes[at] = size
    this.deltas.push({ side: yes ? "yes" : "no", price: side.prices[at]!, size: change })
  }

  #trade(ms: number, fair: number) {
    const mid = (this.#top.bid + this.#top.ask) / 2
    const taker = this.#random.next() < 0.5 + (fair * oneDollar > mid ? 0.15 : -0.15) ? "yes" : "no"
    const side = taker === "yes" ? this.no : this.yes
    if (side.prices.length === 0) return this.#quote(fair)
    let wanted = Math.max(1, Math.floor(this.#size() * 0.5))
    for (let level = 0; level < 2 && wanted > 0 && side.prices.length > 0; level++) {
      const at = side.prices.length - 1
      const resting = side.prices[at]!
      const count = Math.min(wanted, side.sizes[at]!)
      this.#fill(ms, taker === "yes" ? oneDollar - resting : resting, count, taker)
      const name = taker === "yes" ? "no" : "yes"
      if (count === side.sizes[at]) this.#remove(side, name, at)
      else {
        side.sizes[at] = side.sizes[at]! - count
        this.deltas.push({ side: name, price: resting, size: -count })
      }
      wanted -= count
    }
  }

  #fill(ms: number, price: number, count: number, taker: "yes" | "no") {
    this.fills.push({ index: this.fills.length, ms, price, count, taker })
    this.newFills += 1
    this.#dollarVolume += price * count
    const kind = this.#random.next()
    if (kind < 0.6) this.#openInterest += count
    else if (kind > 0.8) this.#openInterest -= Math.min(count, this.#openInterest)
  }

  #insert(side: Side, name: "yes" | "no", at: number, price: number) {
    const size = this.#size()
    side.prices.splice(at, 0, price)
    side.sizes.splice(at, 0, size)
    this.deltas.push({ side: name, price, size })
  }

  #remove(side: Side, name: "yes" | "no", at: number) {
    this.deltas.push({ side: name, price: side.prices[at]!, size: -side.sizes[at]! })
    side.prices.splice(at, 1)
    side.sizes.splice(at, 1)
  }

  #clear(side: Side, name: "yes" | "no") {
    while (side.prices.length > 0) this.#remove(side, name, side.prices.length - 1)
  }

  #record(ms: number): boolean {
    const before = this.#top
    const yesBest = this.yes.prices.length - 1
    const noBest = this.no.prices.length - 1
    const bid = yesBest < 0 ? 0 : this.yes.prices[yesBest]!
    const bidSize = yesBest < 0 ? 0 : this.yes.sizes[yesBest]!
    const ask = noBest < 0 ? oneDollar : oneDollar - this.no.prices[noBest]!
    const askSize = noBest < 0 ? 0 : this.no.sizes[noBest]!
    if (
      this.newFills === 0 &&
      bid === before.bid &&
      ask === before.ask &&
      bidSize === before.bidSize &&
      askSize === before.askSize
    )
      return false
    let { last, lastSize, volume } = before
    for (let i = this.fills.length - this.newFills; i < this.fills.length; i++) {
      const fill = this.fills[i]!
      last = fill.price
      lastSize = fill.count
      volume += fill.count
    }
    this.#top = {
      ms,
      bid,
      ask,
      bidSize,
      askSize,
      last,
      lastSize,
      volume,
      openInterest: this.#openInterest,
      dollarVolume: this.#dollarVolume
    }
    this.tops.push(this.#top)
    return true
  }
}
