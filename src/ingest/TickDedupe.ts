import { impliedYesMid, type Tick } from "../market/Tick.ts"

const readers = {
  price: (tick: Tick) => tick.price,
  yes_bid: (tick: Tick) => tick.yesBid,
  yes_ask: (tick: Tick) => tick.yesAsk,
  yes_bid_size: (tick: Tick) => tick.yesBidSize,
  yes_ask_size: (tick: Tick) => tick.yesAskSize,
  last_trade_size: (tick: Tick) => tick.lastTradeSize,
  volume: (tick: Tick) => tick.volume,
  open_interest: (tick: Tick) => tick.openInterest,
  dollar_volume: (tick: Tick) => tick.dollarVolume,
  dollar_open_interest: (tick: Tick) => tick.dollarOpenInterest,
  implied_yes_mid: (tick: Tick) => impliedYesMid(tick.yesBid, tick.yesAsk)
} as const

export type DedupeField = keyof typeof readers
export const dedupeFields = Object.keys(readers)

const isField = (name: string): name is DedupeField => name in readers

/** Markets remembered before those that ended are forgotten. */
const remembered = 50_000

/**
 * Tells which ticks say nothing new: equal, in the chosen fields, to the last kept one of their market, and at most `maxAgeMillis`
 * of exchange time after it. The implied mid follows from bid and ask and is compared only where they are not.
 */
export class TickDedupe {
  readonly #maxAgeMillis: number
  readonly #fields: ReadonlyArray<(tick: Tick) => string | undefined>
  readonly #kept = new Map<string, Tick>()

  constructor(options: { readonly maxAgeMillis: number; readonly fields: ReadonlyArray<string> }) {
    this.#maxAgeMillis = options.maxAgeMillis
    const names = new Set(options.fields.filter(isField))
    if (names.has("yes_bid") && names.has("yes_ask")) names.delete("implied_yes_mid")
    this.#fields = [...names].map((name) => readers[name])
  }

  isRepeat(tick: Tick): boolean {
    const kept = this.#kept.get(tick.ticker)
    if (kept !== undefined && this.#isYoung(kept, tick) && this.#fields.every((read) => read(kept) === read(tick)))
      return true
    if (kept === undefined && this.#kept.size >= remembered) this.#forget(tick.exchangeMillis)
    this.#kept.set(tick.ticker, tick)
    return false
  }

  #isYoung(kept: Tick, tick: Tick): boolean {
    const age = tick.exchangeMillis - kept.exchangeMillis
    return age >= 0 && age <= this.#maxAgeMillis
  }

  #forget(nowMillis: number): void {
    for (const [ticker, { exchangeMillis }] of this.#kept)
      if (nowMillis - exchangeMillis > this.#maxAgeMillis) this.#kept.delete(ticker)
  }
}
