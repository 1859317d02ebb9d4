import type { Decimal } from "../market/Decimal.ts"
import * as DecimalOps from "../market/Decimal.ts"
import type { Fault } from "../store/ImportFaults.ts"

/** Exact text of a number, when it is one that fits. */
export const decimalOf = (text: string | null): Decimal | undefined => {
  if (text === null) return undefined
  const plain = text.trim()
  return DecimalOps.isDecimal(plain) ? plain : undefined
}

// Twelve decimals are told apart as binary numbers, too, as far as 0, 1 and 100 are concerned; no value passes through one.
const isUpToHundred = (value: Decimal): boolean => Number(value) >= 0 && Number(value) <= 100

/** Cents as dollars, exactly: "47" is "0.47", "0.5" is "0.005". */
export const dollarsOfCents = (cents: Decimal): Decimal | undefined => {
  const negative = cents.startsWith("-")
  const [whole = "0", fraction = ""] = (negative ? cents.slice(1) : cents).split(".")
  const digits = whole.padStart(3, "0")
  const text = `${negative ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}${fraction}`
  return DecimalOps.isDecimal(text) ? text : undefined
}

export interface Money {
  readonly value: Decimal | undefined
  readonly fault: Fault | undefined
}

const nothing: Money = { value: undefined, fault: undefined }
const found = (value: Decimal | undefined): Money => ({ value, fault: undefined })

/**
 * The dollars of a price that was written down twice: in dollars, where the original took what is above 1 for cents, and in cents.
 * A 1 there may be a dollar or a cent; what else is outside of 0 to 1 is no price.
 */
export const price = (dollars: string | null, cents: string | null): Money => {
  const inDollars = decimalOf(dollars)
  const inCents = decimalOf(cents)
  if (inDollars === undefined) return inCents === undefined ? unreadable(dollars ?? cents) : ofCents(inCents, cents!)
  if (!isUpToHundred(inDollars)) return impossible(dollars!)
  if (Number(inDollars) > 1) return found(dollarsOfCents(inDollars))
  if (Number(inDollars) < 1) return found(inDollars)
  if (inCents !== undefined && Number(inCents) === 1 && !cents!.includes("."))
    return { value: "0.01" as Decimal, fault: { kind: "unit_guess", repaired: true } }
  if (inCents !== undefined || inDollars.includes(".")) return found(inDollars)
  return { value: inDollars, fault: { kind: "unit_guess", repaired: false, detail: { said: dollars } } }
}

/** What stands in a field of cents is cents, unless it has a point and is no more than 1. */
const ofCents = (cents: Decimal, said: string): Money => {
  if (!isUpToHundred(cents)) return impossible(said)
  return said.includes(".") && Number(cents) <= 1 ? found(cents) : found(dollarsOfCents(cents))
}

/**
 * The dollars of a price of the original's own columns, when the message itself was not kept: these always have a point, so that 1 is
 * in doubt unless the cents settle it.
 */
export const storedPrice = (dollars: string | null, cents: number | null): Money => {
  const stored = price(dollars, cents === null ? null : String(cents))
  const doubtful =
    cents === null && stored.fault === undefined && stored.value !== undefined && Number(stored.value) === 1
  return doubtful
    ? { value: stored.value, fault: { kind: "unit_guess", repaired: false, detail: { stored: dollars } } }
    : stored
}

const impossible = (said: string): Money => ({
  value: undefined,
  fault: { kind: "impossible_number", repaired: false, detail: { said } }
})

const unreadable = (said: string | null): Money => (said === null || said.trim() === "" ? nothing : impossible(said))

/** The first of these that says something readable; what says something unreadable is a fault. */
export const count = (...said: ReadonlyArray<string | null>): Money => {
  for (const text of said) {
    const value = decimalOf(text)
    if (value !== undefined) return found(value)
  }
  const text = said.find((one) => one !== null && one.trim() !== "")
  return text === undefined || text === null ? nothing : impossible(text)
}

export const isZero = (value: Decimal): boolean => Number(value) === 0
