/** Prices are integers of 0.0001 dollar, sizes integers of 0.01 contract. */
export const oneDollar = 10_000

const priceTexts: ReadonlyArray<string> = Array.from({ length: oneDollar + 1 }, (_, price) =>
  price === oneDollar ? "1.0000" : `0.${String(price).padStart(4, "0")}`
)

export const dollars = (price: number): string => priceTexts[price] ?? (price / oneDollar).toFixed(4)

export const contracts = (size: number): string => {
  const magnitude = Math.abs(size)
  const cents = magnitude % 100
  return `${size < 0 ? "-" : ""}${(magnitude - cents) / 100}.${cents < 10 ? "0" : ""}${cents}`
}

export interface PriceRange {
  readonly start: number
  readonly end: number
  readonly step: number
}

export interface PriceStructure {
  readonly name: string
  readonly ranges: ReadonlyArray<PriceRange>
}

const whole = (name: string, step: number): PriceStructure => ({ name, ranges: [{ start: 0, end: oneDollar, step }] })
const edged = (name: string, centre: number, edge: number): PriceStructure => ({
  name,
  ranges: [
    { start: 0, end: 1000, step: edge },
    { start: 1000, end: 9000, step: centre },
    { start: 9000, end: oneDollar, step: edge }
  ]
})

export const linearCent = whole("linear_cent", 100)
export const deciCent = whole("deci_cent", 10)
export const taperedDeciCent = edged("tapered_deci_cent", 100, 10)
/** A name that no list of known structures has: the ranges are the truth. */
export const noveltyStructure = edged("center_half_edge_quint_cent", 50, 20)

const rangeOf = (structure: PriceStructure, price: number): PriceRange => {
  for (const range of structure.ranges) if (price < range.end) return range
  return structure.ranges[structure.ranges.length - 1]!
}

/** The highest allowed price at or below. */
export const snapDown = (structure: PriceStructure, price: number): number => {
  const range = rangeOf(structure, price)
  return range.start + Math.floor((price - range.start) / range.step) * range.step
}

/** The lowest allowed price at or above. */
export const snapUp = (structure: PriceStructure, price: number): number => {
  const range = rangeOf(structure, price)
  return range.start + Math.ceil((price - range.start) / range.step) * range.step
}

/** The next allowed price below. */
export const below = (structure: PriceStructure, price: number): number => snapDown(structure, price - 1)

export const rangesBody = (structure: PriceStructure) =>
  structure.ranges.map(({ start, end, step }) => ({ end: dollars(end), start: dollars(start), step: dollars(step) }))
