import * as DateTime from "effect/DateTime"

const newYork = DateTime.zoneMakeNamedUnsafe("America/New_York")

const thursday = 4

/** The exchange's weekly pause, Thursday 03:00 to 05:00 in New York, when connections drop and nothing trades. Epoch milliseconds. */
export const inMaintenance = (millis: number): boolean => {
  const { hour, weekDay } = DateTime.toParts(DateTime.setZone(DateTime.makeUnsafe(millis), newYork))
  return weekDay === thursday && hour >= 3 && hour < 5
}
