import type { Book, BookLevel } from "./Book.ts"
import * as Decimal from "./Decimal.ts"

type Side = "yes" | "no"
type Sizes = Map<string, Decimal.Decimal>

const zero = "0" as Decimal.Decimal
const minus = (value: Decimal.Decimal) => (value.startsWith("-") ? value.slice(1) : `-${value}`) as Decimal.Decimal
const magnitude = (value: Decimal.Decimal) => (value.startsWith("-") ? minus(value) : value)

/** `0.47` and `0.4700` are one price. */
const place = (side: Side, price: Decimal.Decimal) => `${side} ${Decimal.add(price, zero)}`

const levels = (side: Side, of: ReadonlyArray<BookLevel>): ReadonlyArray<readonly [string, Decimal.Decimal]> =>
  of.map(([price, size]) => [place(side, price), size])

/** The largest difference of one level, in contracts; zero: the books are the same. */
const difference = (ours: Sizes, theirs: Sizes): Decimal.Decimal => {
  let most = Decimal.add(zero, zero)
  for (const at of new Set([...ours.keys(), ...theirs.keys()])) {
    const apart = magnitude(Decimal.add(ours.get(at) ?? zero, minus(theirs.get(at) ?? zero)))
    if (Decimal.compare(apart, most) > 0) most = apart
  }
  return most
}

/**
 * How far a book is from every state of a recorded one: at first, and after each change. The smallest of the largest differences of one
 * level, in contracts; undefined when one of the states is the same.
 */
export const leastDifference = (
  recorded: Pick<Book, "yes" | "no">,
  changes: ReadonlyArray<{ readonly side: Side; readonly price: Decimal.Decimal; readonly delta: Decimal.Decimal }>,
  theirs: Pick<Book, "yes" | "no">
): Decimal.Decimal | undefined => {
  const ours: Sizes = new Map([...levels("yes", recorded.yes), ...levels("no", recorded.no)])
  const wanted: Sizes = new Map([...levels("yes", theirs.yes), ...levels("no", theirs.no)])
  let least = difference(ours, wanted)
  for (const { delta, price, side } of changes) {
    if (Decimal.compare(least, zero) === 0) break
    const at = place(side, price)
    const size = Decimal.add(ours.get(at) ?? zero, delta)
    if (Decimal.compare(size, zero) > 0) ours.set(at, size)
    else ours.delete(at)
    const apart = difference(ours, wanted)
    if (Decimal.compare(apart, least) < 0) least = apart
  }
  return Decimal.compare(least, zero) === 0 ? undefined : least
}
