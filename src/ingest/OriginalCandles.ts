import type { Decimal } from "../market/Decimal.ts"
import type { ImportedCandle } from "../store/ImportedHistory.ts"
import type { Fault } from "../store/ImportFaults.ts"
import type { OriginalCandle, SaidPrices } from "../store/OriginalRows.ts"
import * as Money from "./OriginalMoney.ts"
import { isPossible, type Judged } from "./OriginalTicks.ts"

const fields = ["open", "high", "low", "close"] as const
type Field = (typeof fields)[number]

/** The exchange's three lengths of a candle, minutes. */
const intervals: ReadonlySet<number> = new Set([1, 60, 1440])

/** An old name holds cents when it has no point, dollars when it has one. */
const saidPrice = (said: SaidPrices | null, field: Field | "mean" | "previous"): Money.Money =>
  said === null ? { value: undefined, fault: undefined } : Money.price(said[`${field}_dollars`], said[field])

const isOne = (stored: string | null): boolean => stored !== null && Number(stored) === 1

/** One candle: what the exchange's answer said, and the original's columns where it was not kept. */
export const judgeCandle = (row: OriginalCandle, nowMillis: number): Judged<ImportedCandle> => {
  if (!isPossible(row.micros, nowMillis))
    return {
      row: undefined,
      faults: [{ kind: "impossible_stamp", repaired: false, detail: { ...row, micros: undefined } }]
    }
  if (row.period_interval_minutes <= 0)
    return {
      row: undefined,
      faults: [{ kind: "odd_interval", repaired: false, detail: { ...row, micros: undefined } }]
    }
  const faults: Array<Fault> = []
  const keep = (money: Money.Money): Decimal | undefined => {
    if (
      money.fault !== undefined &&
      !faults.some(({ kind, repaired }) => kind === money.fault!.kind && repaired === money.fault!.repaired)
    )
      faults.push(money.fault)
    return money.value
  }
  if (!intervals.has(row.period_interval_minutes)) faults.push({ kind: "odd_interval", repaired: false })
  if (!row.has_raw) faults.push({ kind: "raw_missing", repaired: false })

  const traded = (field: Field): Decimal | undefined => {
    if (!row.has_raw) return keep(Money.storedPrice(row[field], null))
    const said = saidPrice(row.said_price, field)
    const wasCent =
      said.value !== undefined && said.fault === undefined && isOne(row[field]) && Number(said.value) === 0.01
    return keep(wasCent ? { value: said.value, fault: { kind: "unit_guess", repaired: true } } : said)
  }
  const [open, high, low, close] = fields.map(traded)
  const side = (said: SaidPrices | null) => fields.map((field) => keep(saidPrice(said, field)))
  const [bidOpen, bidHigh, bidLow, bidClose] = side(row.said_yes_bid)
  const [askOpen, askHigh, askLow, askClose] = side(row.said_yes_ask)
  const mean = keep(saidPrice(row.said_price, "mean"))
  const previous = keep(saidPrice(row.said_price, "previous"))
  const volume = keep(Money.count(row.said_volume, row.volume))
  const openInterest = keep(Money.count(row.said_open_interest, row.open_interest))
  if (row.volume === null || row.open_interest === null)
    faults.push({
      kind: "counts_missing",
      repaired:
        (row.volume !== null || volume !== undefined) && (row.open_interest !== null || openInterest !== undefined)
    })
  return {
    row: {
      ticker: row.market_ticker,
      minutes: row.period_interval_minutes,
      endMicros: row.micros,
      numbers: [
        open,
        high,
        low,
        close,
        mean,
        previous,
        bidOpen,
        bidHigh,
        bidLow,
        bidClose,
        askOpen,
        askHigh,
        askLow,
        askClose,
        volume,
        openInterest
      ]
    },
    faults
  }
}
