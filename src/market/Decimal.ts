import * as Schema from "effect/Schema"

/** An exact decimal number as text, e.g. `"0.4700"`. Prices are US dollars, sizes are contracts. Never a binary float. */
export const Decimal = Schema.String.check(Schema.isPattern(/^-?\d{1,20}(\.\d{1,12})?$/)).pipe(Schema.brand("Decimal"))
export type Decimal = typeof Decimal.Type

const scale = 12
const pattern = /^(-?)(\d{1,20})(?:\.(\d{1,12}))?$/

/** In units of 10⁻¹², exact. */
export const toScaled = (text: Decimal): bigint => {
  const match = pattern.exec(text)
  if (match === null) throw new RangeError("not a decimal")
  const magnitude = BigInt(match[2]! + (match[3] ?? "").padEnd(scale, "0"))
  return match[1] === "-" ? -magnitude : magnitude
}

/** From units of 10⁻¹², with at least four decimals. */
export const fromScaled = (value: bigint): Decimal => {
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0")
  const fraction = digits.slice(-scale).replace(/0+$/, "").padEnd(4, "0")
  return `${value < 0n ? "-" : ""}${digits.slice(0, -scale)}.${fraction}` as Decimal
}

export const isDecimal = (text: string): text is Decimal => pattern.test(text)

/** Numeric order, exact. */
export const compare = (self: Decimal, that: Decimal): -1 | 0 | 1 => {
  const difference = toScaled(self) - toScaled(that)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** Exact sum with at least four decimals. */
export const add = (self: Decimal, that: Decimal): Decimal => fromScaled(toScaled(self) + toScaled(that))

/** Exact midpoint with at least four decimals. */
export const midpoint = (self: Decimal, that: Decimal): Decimal => fromScaled((toScaled(self) + toScaled(that)) / 2n)

/** Exact difference with at least four decimals. */
export const subtract = (self: Decimal, that: Decimal): Decimal => fromScaled(toScaled(self) - toScaled(that))
