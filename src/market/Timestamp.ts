import * as Schema from "effect/Schema"

/** An instant as RFC 3339 text in UTC, up to microseconds, e.g. `"2026-08-24T20:00:01.123456Z"`. */
export const Timestamp = Schema.String.check(
  Schema.isPattern(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/)
).pipe(Schema.brand("Timestamp"))
export type Timestamp = typeof Timestamp.Type

/** Milliseconds since 1970, fractions of a millisecond dropped. */
export const toMillis = (timestamp: Timestamp): number => Date.parse(timestamp)

/** Microseconds beyond `toMillis`, 0 to 999. */
export const microsBeyond = (timestamp: Timestamp): number =>
  Number((/\.(\d+)Z$/.exec(timestamp)?.[1] ?? "").padEnd(6, "0").slice(3, 6))

export const fromMillis = (millis: number): Timestamp =>
  // @effect-diagnostics-next-line globalDate:off pure conversion of a given instant
  new Date(millis).toISOString() as Timestamp

/** Of whole microseconds since 1970; all six digits of a second are written. */
export const fromMicros = (micros: number): Timestamp =>
  `${fromMillis(Math.floor(micros / 1000)).slice(0, -1)}${String(micros % 1000).padStart(3, "0")}Z` as Timestamp

export const fromSeconds = (seconds: number): Timestamp => fromMillis(seconds * 1000)
