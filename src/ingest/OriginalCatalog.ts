import type { Decimal } from "../market/Decimal.ts"
import { isDecimal } from "../market/Decimal.ts"
import { normalize } from "../market/StrikePeriod.ts"
import { type Timestamp, toMillis } from "../market/Timestamp.ts"
import type { ImportedEvent, ImportedMarket } from "../store/ImportedCatalog.ts"
import type { Fault } from "../store/ImportFaults.ts"
import type { OriginalEvent, OriginalMarket } from "../store/OriginalRows.ts"
import * as Money from "./OriginalMoney.ts"
import type { Judged } from "./OriginalTicks.ts"

/** The original's later, partial payloads wrote nothing, or "", over what it knew. */
const text = (value: string | null): string | undefined => (value === null || value === "" ? undefined : value)

/** One event. The series is what stands before the first dash of an event's ticker. */
export const judgeEvent = (row: OriginalEvent): Judged<ImportedEvent> => {
  const faults: Array<Fault> = []
  const title = text(row.title)
  if (title === undefined) faults.push({ kind: "title_erased", repaired: false })
  const series = text(row.series_ticker)
  const prefix = text(row.event_ticker.split("-")[0] ?? null)
  if (series === undefined)
    faults.push({ kind: "series_missing", repaired: prefix !== undefined, detail: { from_ticker: prefix } })
  return {
    row: {
      event_ticker: row.event_ticker,
      series_ticker: series ?? prefix,
      title,
      sub_title: text(row.sub_title),
      category: text(row.category),
      collateral_return_type: text(row.collateral_return_type),
      mutually_exclusive: row.mutually_exclusive ?? undefined,
      strike_date: row.strike_date ?? undefined,
      strike_period: normalize(row.strike_period ?? undefined) ?? normalize(row.cadence ?? undefined),
      cadence: text(row.cadence)
    },
    faults
  }
}

/** The original's columns for strikes are whole numbers, which rounded what came: by no more than a half. */
const isRounding = (exact: string, stored: number): boolean => Math.abs(Number(exact) - stored) <= 0.5

const numbersIn = (...texts: ReadonlyArray<string | null>): ReadonlyArray<string> =>
  texts.flatMap((one) => one?.match(/\d[\d,]*(?:\.\d+)?/g) ?? []).map((found) => found.replaceAll(",", ""))

const floorTypes: ReadonlySet<string> = new Set(["greater", "greater_or_equal"])
const capTypes: ReadonlySet<string> = new Set(["less", "less_or_equal"])

/** The threshold in a ticker that ends like `-T80749.99`, when it is about this end of the strike. */
const threshold = (row: OriginalMarket, end: "floor" | "cap"): string | undefined => {
  const other = end === "floor" ? capTypes : floorTypes
  if (row.strike_type === "between" || other.has(row.strike_type ?? "")) return undefined
  return /-T(-?\d+(?:\.\d+)?)$/.exec(row.ticker)?.[1]
}

interface Strike {
  readonly value: Decimal | undefined
  readonly fault: Fault | undefined
}

/** A strike as the ticker or the subtitle writes it, where the stored one can be its rounding. */
const strike = (row: OriginalMarket, end: "floor" | "cap"): Strike => {
  const stored = end === "floor" ? row.floor_strike : row.cap_strike
  if (stored === null) return { value: undefined, fault: undefined }
  const known = (exact: string, from: string): Strike => ({
    value: exact as Decimal,
    fault:
      Number(exact) === stored
        ? undefined
        : { kind: "strike_rounded", repaired: true, detail: { [end]: { stored, from } } }
  })
  const inTicker = threshold(row, end)
  if (inTicker !== undefined && isDecimal(inTicker) && isRounding(inTicker, stored)) return known(inTicker, "ticker")
  const inText = numbersIn(row.yes_sub_title, row.subtitle).filter((one) => isDecimal(one) && isRounding(one, stored))
  const exact = inText.find((one) => Number(one) === stored) ?? inText[0]
  if (exact !== undefined && inTicker === undefined) return known(exact, "subtitle")
  return {
    value: String(stored) as Decimal,
    fault: { kind: "strike_doubtful", repaired: false, detail: { [end]: { stored, ticker: inTicker } } }
  }
}

/** One fault of a kind, whichever end of the strike has it. */
const strikeFaults = (floor: Strike, cap: Strike): ReadonlyArray<Fault> => {
  if (floor.fault === undefined || cap.fault === undefined || floor.fault.kind !== cap.fault.kind)
    return [floor.fault, cap.fault].filter((fault) => fault !== undefined)
  return [{ ...floor.fault, detail: { ...(floor.fault.detail as object), ...(cap.fault.detail as object) } }]
}

/** What the clock says: the original kept no status. */
const statusOf = (row: OriginalMarket, settled: boolean, nowMillis: number): string | undefined => {
  const at = (time: string | null) => (time === null ? undefined : toMillis(time as Timestamp))
  const [open, close, settlement] = [at(row.open_time), at(row.close_time), at(row.settlement_ts)]
  if (settlement !== undefined && settlement <= nowMillis) return "finalized"
  if (settled) return "determined"
  if (close === undefined) return undefined
  if (close <= nowMillis) return "closed"
  return open === undefined ? undefined : open <= nowMillis ? "active" : "initialized"
}

const isPlaceholder = (row: OriginalMarket): boolean =>
  row.event_ticker === null && row.title === null && row.open_time === null && row.close_time === null

/** One market; a row that is nothing but a ticker, made because a tick came first, is no market. */
export const judgeMarket = (row: OriginalMarket, nowMillis: number): Judged<ImportedMarket> => {
  if (isPlaceholder(row)) return { row: undefined, faults: [{ kind: "placeholder", repaired: false }] }
  const faults: Array<Fault> = []
  if (text(row.title) === undefined && text(row.yes_sub_title) === undefined)
    faults.push({ kind: "title_erased", repaired: false })
  if (row.open_time === null || row.close_time === null) faults.push({ kind: "times_erased", repaired: false })
  const floor = strike(row, "floor")
  const cap = strike(row, "cap")
  faults.push(...strikeFaults(floor, cap))
  const inDollars = Money.decimalOf(row.settlement_value_dollars)
  const inCents = Money.decimalOf(row.settlement_value)
  const settlement = inDollars ?? (inCents === undefined ? undefined : Money.dollarsOfCents(inCents))
  const status = statusOf(row, settlement !== undefined, nowMillis)
  if (settlement === undefined && (status === "closed" || status === "finalized"))
    faults.push({ kind: "settlement_missing", repaired: false })
  const isBinary = row.market_type === null || row.market_type === "binary"
  return {
    row: {
      ticker: row.ticker,
      event_ticker: text(row.event_ticker),
      market_type: text(row.market_type),
      title: text(row.title),
      yes_sub_title: text(row.yes_sub_title) ?? text(row.subtitle),
      no_sub_title: text(row.no_sub_title),
      status,
      created_time: row.created_time ?? undefined,
      open_time: row.open_time ?? undefined,
      close_time: row.close_time ?? undefined,
      expected_expiration_time: row.expected_expiration_time ?? undefined,
      latest_expiration_time: row.latest_expiration_time ?? undefined,
      settlement_ts: row.settlement_ts ?? undefined,
      settlement_timer_seconds: row.settlement_timer_seconds ?? undefined,
      settlement_value_dollars: settlement,
      result: isBinary && settlement !== undefined ? resultOf(settlement) : undefined,
      can_close_early: row.can_close_early ?? undefined,
      strike_type: text(row.strike_type),
      floor_strike: floor.value,
      cap_strike: cap.value,
      functional_strike: text(row.functional_strike),
      custom_strike: row.custom_strike ?? undefined,
      rules_primary: text(row.rules_primary),
      rules_secondary: text(row.rules_secondary),
      price_level_structure: text(row.price_level_structure),
      price_ranges: row.price_ranges ?? undefined,
      is_multivariate: text(row.mve_collection_ticker) === undefined ? undefined : true
    },
    faults
  }
}

/** The settlement value is what one yes contract is worth. */
const resultOf = (settlement: Decimal): string | undefined =>
  Number(settlement) === 1 ? "yes" : Number(settlement) === 0 ? "no" : undefined
