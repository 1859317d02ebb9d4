import { day, easternMidnight, minute, toEastern } from "./Calendar.ts"
import { oneDollar } from "./Prices.ts"
import type { Tape } from "./Tape.ts"

export interface Distribution {
  open: number
  high: number
  low: number
  close: number
}

/** One period of one market; `end` is epoch seconds. Quotes carry over from the period before. */
export interface CandleSpec {
  readonly end: number
  readonly bid: Distribution
  readonly ask: Distribution
  /** Absent when nothing traded. */
  price: (Distribution & { mean: number }) | undefined
  /** The last trade before the period; 0 when there was none. */
  readonly previous: number
  volume: number
  openInterest: number
}

export type Interval = 1 | 60 | 1440

/** The end of the period that an instant belongs to, epoch seconds. Days are New York's, and end 24 h after they start. */
const periodEnd = (interval: Interval, ms: number): number => {
  if (interval !== 1440) return Math.ceil(ms / (interval * minute)) * interval * 60
  return (easternMidnight(toEastern(ms - 1).dayNumber) + day) / 1000
}

const flat = (value: number): Distribution => ({ open: value, high: value, low: value, close: value })

const widen = (distribution: Distribution, value: number): void => {
  if (value > distribution.high) distribution.high = value
  if (value < distribution.low) distribution.low = value
  distribution.close = value
}

/**
 * All candles of a tape, oldest first. Minutes and hours exist only if the book or the tape changed in them; days exist
 * for every New York day from the opening to `untilMs`.
 */
export const candlesOf = (tape: Tape, interval: Interval, untilMs: number): ReadonlyArray<CandleSpec> => {
  const candles: Array<CandleSpec> = []
  let bid = 0
  let ask = oneDollar
  let last = 0
  let openInterest = 0
  let notional = 0
  let fillAt = 0
  let candle: CandleSpec | undefined
  const begin = (end: number): CandleSpec => {
    const next: CandleSpec = {
      end,
      bid: flat(bid),
      ask: flat(ask),
      price: undefined,
      previous: last,
      volume: 0,
      openInterest
    }
    candles.push(next)
    notional = 0
    return next
  }
  const fillDays = (toEnd: number): void => {
    if (interval !== 1440) return
    const from = candle === undefined ? tape.market.event.openMs : candle.end * 1000 + 1
    for (let ms = from; periodEnd(1440, ms) < toEnd; ms = periodEnd(1440, ms) * 1000 + day / 2)
      if (candle === undefined || periodEnd(1440, ms) > candle.end) candle = begin(periodEnd(1440, ms))
  }
  for (const top of tape.tops) {
    if (top.ms > untilMs) break
    const end = periodEnd(interval, top.ms)
    if (candle === undefined || candle.end !== end) {
      fillDays(end)
      candle = begin(end)
    }
    while (fillAt < tape.fills.length && tape.fills[fillAt]!.ms <= top.ms) {
      const fill = tape.fills[fillAt++]!
      candle.volume += fill.count
      notional += fill.price * fill.count
      if (candle.price === undefined) candle.price = { ...flat(fill.price), mean: fill.price }
      else widen(candle.price, fill.price)
      candle.price.mean = Math.round(notional / candle.volume)
      last = fill.price
    }
    bid = top.bid
    ask = top.ask
    openInterest = top.openInterest
    widen(candle.bid, bid)
    widen(candle.ask, ask)
    candle.openInterest = openInterest
  }
  if (interval === 1440 && tape.tops.length > 0) fillDays(periodEnd(1440, untilMs) + 1)
  return candles
}
