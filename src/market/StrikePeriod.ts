import type { Event } from "./Event.ts"
import { toMillis } from "./Timestamp.ts"

/** What one event spans. The exchange seldom says; then its cadence, duration or series tell. */
export interface StrikePeriodRules {
  /** An event that trades at most this long counts as hourly, hours. */
  readonly hourMaxHours: number
  /** An event that trades at most this long counts as daily, hours. */
  readonly dayMaxHours: number
}

const spellings: Readonly<Record<string, string>> = {
  hour: "hour",
  hours: "hour",
  hourly: "hour",
  one_hour: "hour",
  "1h": "hour",
  day: "day",
  days: "day",
  daily: "day",
  one_day: "day",
  "1d": "day"
}

/** `hourly` → `hour`, `Daily` → `day`; any other word in lower case; nothing for an empty word. */
export const normalize = (word: string | undefined): string | undefined => {
  const lower = word?.trim().toLowerCase() ?? ""
  return lower === "" ? undefined : (spellings[lower] ?? lower)
}

/** Hours from opening to closing of the event's shortest market; nothing when no market says. */
const tradingHours = (event: Event): number | undefined => {
  const spans = (event.markets ?? []).flatMap((market) =>
    market.openTime === undefined || market.closeTime === undefined
      ? []
      : [(toMillis(market.closeTime) - toMillis(market.openTime)) / 3_600_000]
  )
  const positive = spans.filter((hours) => hours > 0)
  return positive.length === 0 ? undefined : Math.min(...positive)
}

/**
 * The strike period of an event: its own word, its cadence, how long it trades, and last the frequency of its series. A
 * series may mix periods (hourly series also list weekly events), so the event's own span outweighs the series, except that
 * a daily event may be listed some days ahead and a quarter-hour one is shorter than an hour.
 */
export const infer = (
  event: Event,
  seriesFrequency: string | undefined,
  rules: StrikePeriodRules
): string | undefined => {
  const own = normalize(event.strikePeriod) ?? normalize(event.cadence)
  if (own !== undefined) return own
  const frequency = normalize(seriesFrequency)
  const hours = tradingHours(event)
  if (hours === undefined) return frequency === "hour" || frequency === "day" ? frequency : undefined
  if (hours <= 0.5 && frequency !== undefined && frequency !== "hour" && frequency !== "day") return frequency
  if (hours <= rules.hourMaxHours) return "hour"
  if (hours <= rules.dayMaxHours) return "day"
  return frequency === "day" && hours <= 7 * 24 ? "day" : undefined
}
