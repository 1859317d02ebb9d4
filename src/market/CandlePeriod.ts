import * as DateTime from "effect/DateTime"
import type { CandleInterval } from "./Candle.ts"

/**
 * The grid of candle periods, epoch milliseconds. Minutes and hours end at multiples in UTC. A day starts at midnight in New York
 * and ends 24 hours later, also when the clocks change.
 */
const newYork = DateTime.zoneMakeNamedUnsafe("America/New_York")
const minute = 60_000
const day = 86_400_000

/** The ends of the days around an instant, ascending, at least one of them on either side of it. */
const dayEnds = (millis: number): ReadonlyArray<number> => {
  const midnight = DateTime.startOf(DateTime.setZone(DateTime.makeUnsafe(millis), newYork), "day")
  return [-2, -1, 0, 1].map((offset) => DateTime.toEpochMillis(DateTime.add(midnight, { days: offset })) + day)
}

export const lengthOf = (interval: CandleInterval): number => interval * minute

/** The last end of a period that is not after an instant. */
export const endAtOrBefore = (interval: CandleInterval, millis: number): number => {
  const length = lengthOf(interval)
  return interval === 1440 ? dayEnds(millis).findLast((end) => end <= millis)! : Math.floor(millis / length) * length
}

/** The first end of a period that is not before an instant. */
export const endAtOrAfter = (interval: CandleInterval, millis: number): number => {
  const length = lengthOf(interval)
  return interval === 1440 ? dayEnds(millis).find((end) => end >= millis)! : Math.ceil(millis / length) * length
}

/** A market's last trades are told up to a minute after its close. */
const afterClose = minute

/**
 * The span in which a market has candles: those that end after `fromMillis` and not after `toMillis`. Both are ends of periods.
 */
export const lifeOf = (
  interval: CandleInterval,
  openMillis: number,
  closeMillis: number
): { readonly fromMillis: number; readonly toMillis: number } => ({
  fromMillis: endAtOrBefore(interval, openMillis),
  toMillis: endAtOrAfter(interval, closeMillis + afterClose)
})
