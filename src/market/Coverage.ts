/** What is recorded of a market in an hour; docs/coverage.md defines each. */
export const coverageStates = [
  "live",
  "repaired",
  "candles_only",
  "checked_empty",
  "not_yet_due",
  "degraded",
  "absent"
] as const
export type CoverageState = (typeof coverageStates)[number]

/** States in which something is missing that could still be had. */
export const holes: ReadonlySet<CoverageState> = new Set(["degraded", "absent"])

/** One market in one hour. Instants are epoch milliseconds. */
export interface CoverageHour {
  readonly ticker: string
  readonly eventTicker: string | undefined
  readonly seriesTicker: string | undefined
  readonly hourMillis: number
  readonly state: CoverageState
  /** How long the market was open in the hour, how much of that was recorded live, how much of the rest has candles. */
  readonly openMillis: number
  readonly liveMillis: number
  readonly healedMillis: number
  readonly candles: number
}
