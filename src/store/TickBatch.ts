import type { Tick } from "../market/Tick.ts"
import { Partitions } from "./Partitions.ts"
import { PgArray } from "./PgArray.ts"
import { type Provenance, provenance } from "./Provenance.ts"

/**
 * Ticks on their way into one statement, column by column. `add` turns a tick into its columns at once; `latest` holds, of each
 * market, the newest value of every field.
 */
export class TickBatch {
  /** The market of each row. */
  readonly tickers: Array<string> = []
  readonly days = new Set<number>()
  readonly latest = new Map<string, Tick>()
  readonly frames = new FrameBatch()
  readonly ts = PgArray.instants()
  readonly receivedMs = PgArray.int4s()
  readonly provenance = PgArray.int2s()
  readonly price = PgArray.numerics()
  readonly yesBid = PgArray.numerics()
  readonly yesAsk = PgArray.numerics()
  readonly yesBidSize = PgArray.numerics()
  readonly yesAskSize = PgArray.numerics()
  readonly lastTradeSize = PgArray.numerics()
  readonly volume = PgArray.numerics()
  readonly openInterest = PgArray.numerics()
  readonly dollarVolume = PgArray.numerics()
  readonly dollarOpenInterest = PgArray.numerics()

  get length(): number {
    return this.tickers.length
  }

  /** `raw`: the frame, where it is stored beside the tick. */
  add(tick: Tick, from: Provenance, raw?: string): void {
    if (raw !== undefined) this.frames.add(tick, raw)
    this.tickers.push(tick.ticker)
    this.days.add(Partitions.dayOf(tick.exchangeMillis))
    this.ts.instant(tick.exchangeMillis)
    this.receivedMs.int4(Math.round(tick.receivedMillis) - tick.exchangeMillis)
    this.provenance.int2(provenance[from])
    this.price.decimal(tick.price)
    this.yesBid.decimal(tick.yesBid)
    this.yesAsk.decimal(tick.yesAsk)
    this.yesBidSize.decimal(tick.yesBidSize)
    this.yesAskSize.decimal(tick.yesAskSize)
    this.lastTradeSize.decimal(tick.lastTradeSize)
    this.volume.decimal(tick.volume)
    this.openInterest.decimal(tick.openInterest)
    this.dollarVolume.decimal(tick.dollarVolume)
    this.dollarOpenInterest.decimal(tick.dollarOpenInterest)
    const before = this.latest.get(tick.ticker)
    if (before === undefined) this.latest.set(tick.ticker, tick)
    else if (!isLate(before, tick)) this.latest.set(tick.ticker, isWhole(tick) ? tick : over(before, tick))
  }
}

/** Frames of ticks, as they came. */
class FrameBatch {
  readonly tickers: Array<string> = []
  readonly ts = PgArray.instants()
  readonly receivedMs = PgArray.int4s()
  readonly raw = PgArray.texts()

  add(tick: Tick, raw: string): void {
    this.tickers.push(tick.ticker)
    this.ts.instant(tick.exchangeMillis)
    this.receivedMs.int4(Math.round(tick.receivedMillis) - tick.exchangeMillis)
    this.raw.text(raw)
  }
}

/** Whether the exchange's stamp is near enough to when the tick was received: one that is weeks off says nothing. */
export const isPlausible = ({ exchangeMillis, receivedMillis }: Tick): boolean =>
  Math.abs(receivedMillis - exchangeMillis) <= 2_000_000_000

/** A stamp of the exchange this much older, on a tick received later, is no late tick: the exchange's clock was set back. */
export const clockJumpMillis = 60_000

const isLate = (before: Tick, tick: Tick): boolean =>
  tick.exchangeMillis < before.exchangeMillis &&
  (tick.receivedMillis <= before.receivedMillis || before.exchangeMillis - tick.exchangeMillis < clockJumpMillis)

const isWhole = (tick: Tick): boolean =>
  tick.price !== undefined &&
  tick.yesBid !== undefined &&
  tick.yesAsk !== undefined &&
  tick.yesBidSize !== undefined &&
  tick.yesAskSize !== undefined &&
  tick.lastTradeSize !== undefined &&
  tick.volume !== undefined &&
  tick.openInterest !== undefined

const over = (before: Tick, tick: Tick): Tick => ({
  ...tick,
  price: tick.price ?? before.price,
  yesBid: tick.yesBid ?? before.yesBid,
  yesAsk: tick.yesAsk ?? before.yesAsk,
  yesBidSize: tick.yesBidSize ?? before.yesBidSize,
  yesAskSize: tick.yesAskSize ?? before.yesAskSize,
  lastTradeSize: tick.lastTradeSize ?? before.lastTradeSize,
  volume: tick.volume ?? before.volume,
  openInterest: tick.openInterest ?? before.openInterest
})
