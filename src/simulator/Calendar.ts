export const minute = 60_000
export const hour = 3_600_000
export const day = 86_400_000

export interface CivilDate {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
}

const monthNames = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]

export const pad = (value: number, width = 2): string => String(value).padStart(width, "0")

/** Days since 1970-01-01 of a civil date, and back (Hinnant's algorithms). */
export const toDays = (year: number, month: number, dayOfMonth: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yoe = y - era * 400
  const doy = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + dayOfMonth - 1
  return era * 146097 + yoe * 365 + Math.floor(yoe / 4) - Math.floor(yoe / 100) + doy - 719468
}

export const fromDays = (days: number): CivilDate => {
  const z = days + 719468
  const era = Math.floor(z / 146097)
  const doe = z - era * 146097
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36524) - Math.floor(doe / 146096)) / 365)
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100))
  const mp = Math.floor((5 * doy + 2) / 153)
  const month = mp < 10 ? mp + 3 : mp - 9
  return { year: yoe + era * 400 + (month <= 2 ? 1 : 0), month, day: doy - Math.floor((153 * mp + 2) / 5) + 1 }
}

/** 0 is Sunday. */
const weekday = (days: number): number => (((days + 4) % 7) + 7) % 7

const nthSunday = (year: number, month: number, n: number): number => {
  const first = toDays(year, month, 1)
  return first + ((7 - weekday(first)) % 7) + (n - 1) * 7
}

/** Milliseconds to add to UTC to read a New York clock. */
export const easternOffset = (millis: number): number => {
  const { year } = fromDays(Math.floor(millis / day))
  const begins = nthSunday(year, 3, 2) * day + 7 * hour
  const ends = nthSunday(year, 11, 1) * day + 6 * hour
  return millis >= begins && millis < ends ? -4 * hour : -5 * hour
}

export interface EasternParts extends CivilDate {
  readonly hour: number
  readonly minute: number
  /** 0 is Sunday. */
  readonly weekday: number
  /** The New York date as a day number. */
  readonly dayNumber: number
}

export const toEastern = (millis: number): EasternParts => {
  const local = millis + easternOffset(millis)
  const dayNumber = Math.floor(local / day)
  const inDay = local - dayNumber * day
  return {
    ...fromDays(dayNumber),
    hour: Math.floor(inDay / hour),
    minute: Math.floor((inDay % hour) / minute),
    weekday: weekday(dayNumber),
    dayNumber
  }
}

/** The instant of midnight in New York that starts the given New York day. */
export const easternMidnight = (dayNumber: number): number => {
  const guess = dayNumber * day + 5 * hour
  return dayNumber * day - easternOffset(guess)
}

/** `26AUG24`, as tickers write a date. */
export const tickerDate = (date: CivilDate): string =>
  `${pad(date.year % 100)}${monthNames[date.month - 1]}${pad(date.day)}`

export const monthName = (month: number): string => monthNames[month - 1] ?? ""

let cachedSecond = -1
let cachedText = ""

/** `2026-08-24T20:30:12`, without zone or fraction. */
export const isoSecond = (second: number): string => {
  if (second === cachedSecond) return cachedText
  const days = Math.floor(second / 86400)
  const rest = second - days * 86400
  const date = fromDays(days)
  cachedText = `${pad(date.year, 4)}-${pad(date.month)}-${pad(date.day)}T${pad(Math.floor(rest / 3600))}:${pad(Math.floor((rest % 3600) / 60))}:${pad(rest % 60)}`
  cachedSecond = second
  return cachedText
}

/** RFC 3339 in UTC; milliseconds are written only when there are any. */
export const iso = (millis: number): string => {
  const second = Math.floor(millis / 1000)
  const fraction = millis - second * 1000
  return fraction === 0 ? `${isoSecond(second)}Z` : `${isoSecond(second)}.${pad(fraction, 3)}Z`
}

/** RFC 3339 with microseconds. */
export const isoMicros = (millis: number, micros: number): string => {
  const second = Math.floor(millis / 1000)
  return `${isoSecond(second)}.${pad(millis - second * 1000, 3)}${pad(micros, 3)}Z`
}
