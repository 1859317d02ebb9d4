import type { Decimal } from "../market/Decimal.ts"
import * as DecimalOps from "../market/Decimal.ts"
import type { ImportedTick } from "../store/ImportedHistory.ts"
import type { Fault } from "../store/ImportFaults.ts"
import type { OriginalTick } from "../store/OriginalRows.ts"
import * as Money from "./OriginalMoney.ts"

/** What becomes of a row of the original: a row of ours or nothing, and what is wrong with it. */
export interface Judged<Row> {
  readonly row: Row | undefined
  readonly faults: ReadonlyArray<Fault>
}

/** No market of the exchange is older. */
const oldestMicros = Date.UTC(2021, 0, 1) * 1000
const dayMicros = 86_400_000_000

/** Whether a stamp can be one: not before the exchange opened, not beyond tomorrow. */
export const isPossible = (micros: number | null, nowMillis: number): micros is number =>
  micros !== null && micros >= oldestMicros && micros <= nowMillis * 1000 + dayMicros

const secondMicros = 1_000_000

/** Whether the message was kept and is one that says anything of the market. */
const isKept = (row: OriginalTick): boolean =>
  row.has_raw &&
  (row.said_price_dollars ??
    row.said_price ??
    row.said_yes_bid_dollars ??
    row.said_yes_bid ??
    row.said_yes_ask_dollars ??
    row.said_yes_ask ??
    row.said_volume_fp ??
    row.said_volume) !== null

/** The milliseconds that the original cut off, if the message had them. */
const stampOf = (
  row: OriginalTick,
  micros: number
): { readonly micros: number; readonly faults: ReadonlyArray<Fault> } => {
  if (row.snapshot) return { micros, faults: [{ kind: "snapshot", repaired: false }] }
  if (isKept(row) && row.said_ts === null && row.said_ts_ms === null)
    return { micros, faults: [{ kind: "stamp_of_recorder", repaired: false }] }
  if (micros % secondMicros !== 0) return { micros, faults: [] }
  const millis = /^\d{13}(\.0*)?$/.test(row.said_ts_ms ?? "") ? Number(row.said_ts_ms) : undefined
  const whole = millis !== undefined && Math.floor(millis / 1000) * secondMicros === micros
  return whole
    ? { micros: millis * 1000, faults: millis % 1000 === 0 ? [] : [{ kind: "stamp_in_seconds", repaired: true }] }
    : { micros, faults: [{ kind: "stamp_in_seconds", repaired: false }] }
}

/** The price that the original put where the message had none: from the quote. */
const guessedPrice = (bid: Decimal | undefined, ask: Decimal | undefined): Decimal | undefined =>
  bid !== undefined && ask !== undefined ? DecimalOps.midpoint(bid, ask) : (bid ?? ask)

const equal = (a: Decimal | undefined, b: Decimal | undefined): boolean =>
  a !== undefined && b !== undefined && DecimalOps.compare(a, b) === 0

interface Quote {
  readonly price: Money.Money
  readonly yesBid: Money.Money
  readonly yesAsk: Money.Money
}

/** As the message says it. */
const saidQuote = (row: OriginalTick): Quote => ({
  price: Money.price(row.said_price_dollars, row.said_price),
  yesBid: Money.price(row.said_yes_bid_dollars, row.said_yes_bid),
  yesAsk: Money.price(row.said_yes_ask_dollars, row.said_yes_ask)
})

/** As the original's columns say it: all there is when the message was not kept. */
const storedQuote = (row: OriginalTick): Quote => {
  const price = Money.storedPrice(row.price_dollars, row.price)
  const yesBid = Money.storedPrice(row.yes_bid_dollars, row.yes_bid)
  const ask = Money.storedPrice(row.yes_ask_dollars, row.yes_ask)
  // An ask of exactly 1 is an empty side far more often than a cent.
  const yesAsk = ask.fault?.kind === "unit_guess" && !ask.fault.repaired ? { value: ask.value, fault: undefined } : ask
  const guessed = row.price === null && equal(price.value, guessedPrice(yesBid.value, yesAsk.value))
  if (!guessed) return { price, yesBid, yesAsk }
  const fault: Fault = { kind: "price_from_quote", repaired: false, detail: { stored: row.price_dollars } }
  return { price: { value: undefined, fault }, yesBid, yesAsk }
}

const faultsOfQuote = (row: OriginalTick, { price, yesAsk, yesBid }: Quote): ReadonlyArray<Fault> => {
  const faults: Array<Fault> = []
  for (const { fault } of [price, yesBid, yesAsk]) if (fault !== undefined) faults.push(fault)
  const lostCents = [
    [row.price, price.value, row.said_price],
    [row.yes_bid, yesBid.value, row.said_yes_bid],
    [row.yes_ask, yesAsk.value, row.said_yes_ask]
  ] as const
  const lost = lostCents.filter(([stored, ours]) => stored === null && ours !== undefined)
  if (lost.some(([, ours, said]) => said !== null && Money.isZero(ours!)))
    faults.push({ kind: "zero_lost", repaired: true })
  if (lost.some(([, ours, said]) => said === null || !Money.isZero(ours!)))
    faults.push({ kind: "cents_missing", repaired: true })
  if (isKept(row) && row.price_dollars !== null && price.value === undefined && price.fault === undefined)
    faults.push({ kind: "price_from_quote", repaired: true })
  const twoSided = Number(yesBid.value ?? 0) > 0 && Number(yesAsk.value ?? 1) < 1
  if (row.implied_yes_mid === null && twoSided) faults.push({ kind: "mid_missing", repaired: true })
  if (row.implied_yes_mid !== null && !twoSided) faults.push({ kind: "mid_of_one_side", repaired: true })
  return faults
}

const faultsOfCounts = (row: OriginalTick, volume: Money.Money, openInterest: Money.Money): ReadonlyArray<Fault> => {
  const faults: Array<Fault> = []
  for (const { fault } of [volume, openInterest]) if (fault !== undefined) faults.push(fault)
  const columns = [
    [row.volume, volume.value, row.said_volume],
    [row.open_interest, openInterest.value, row.said_open_interest]
  ] as const
  const missing = columns.filter(([stored]) => stored === null)
  const isLostZero = ([, ours, said]: (typeof columns)[number]) =>
    ours !== undefined && said !== null && Money.isZero(ours)
  if (missing.some(isLostZero)) faults.push({ kind: "zero_lost", repaired: true })
  const others = missing.filter((column) => !isLostZero(column))
  if (others.length > 0)
    faults.push({ kind: "counts_missing", repaired: others.every(([, ours]) => ours !== undefined) })
  return faults
}

const distinct = (faults: ReadonlyArray<Fault>): ReadonlyArray<Fault> => {
  const found = new Map<string, Fault>()
  for (const fault of faults) {
    const key = `${fault.kind} ${fault.repaired}`
    if (!found.has(key)) found.set(key, fault)
  }
  return [...found.values()]
}

/** One tick: what the message said rather than what the original made of it. */
export const judgeTick = (row: OriginalTick, nowMillis: number): Judged<ImportedTick> => {
  if (!isPossible(row.micros, nowMillis))
    return { row: undefined, faults: [{ kind: "impossible_stamp", repaired: false, detail: refusedTick(row) }] }
  const stamp = stampOf(row, row.micros)
  const kept = isKept(row)
  const quote = kept ? saidQuote(row) : storedQuote(row)
  const volume = Money.count(row.said_volume_fp, row.said_volume, row.volume)
  const openInterest = Money.count(row.said_open_interest_fp, row.said_open_interest, row.open_interest)
  return {
    row: {
      id: row.id,
      ticker: row.ticker,
      micros: stamp.micros,
      receivedMs: row.snapshot || stamp.faults[0]?.kind === "stamp_of_recorder" ? 0 : undefined,
      price: quote.price.value,
      yesBid: quote.yesBid.value,
      yesAsk: quote.yesAsk.value,
      yesBidSize: Money.decimalOf(row.said_yes_bid_size),
      yesAskSize: Money.decimalOf(row.said_yes_ask_size),
      lastTradeSize: Money.decimalOf(row.said_last_trade_size),
      volume: volume.value,
      openInterest: openInterest.value,
      dollarVolume: Money.decimalOf(row.said_dollar_volume ?? row.dollar_volume),
      dollarOpenInterest: Money.decimalOf(row.said_dollar_open_interest ?? row.dollar_open_interest)
    },
    faults: distinct([
      ...stamp.faults,
      ...(kept ? [] : [{ kind: "raw_missing", repaired: false } as const]),
      ...faultsOfQuote(row, quote),
      ...faultsOfCounts(row, volume, openInterest)
    ])
  }
}

const refusedTick = ({ id, micros, ...rest }: OriginalTick) => ({ ...rest, id: String(id) })
