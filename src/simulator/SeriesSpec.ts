import { day, easternMidnight, hour, minute, monthName, pad, tickerDate, toEastern } from "./Calendar.ts"
import { deciCent, linearCent, noveltyStructure, type PriceStructure, taperedDeciCent } from "./Prices.ts"
import type { Asset } from "./Underlying.ts"

export type SeriesKind = "above" | "range" | "temperature" | "updown" | "rate" | "combo"

/** A family of recurring events, and how its events are laid out in time and price. */
export interface SeriesSpec {
  readonly ticker: string
  readonly kind: SeriesKind
  readonly title: string
  readonly category: string
  readonly tags: ReadonlyArray<string> | null
  readonly frequency: string
  readonly cadence: string | undefined
  readonly periodWords: ReadonlyArray<string>
  readonly asset: Asset
  readonly structure: PriceStructure
  readonly exchangeIndex: number
  readonly strikeStep: number
  readonly strikeCount: number
  /** Subtracted from a round strike, e.g. 0.01 in T80749.99. */
  readonly strikeShave: number
  readonly strikeDecimals: number
  readonly openLead: number
  readonly createdLead: number
  readonly createdJitter: number
  readonly determineDelay: readonly [least: number, most: number]
  readonly timerSeconds: number
  /** Events a second and market when nothing is at stake, and added when everything is. */
  readonly quietRate: number
  readonly busyRate: number
  /** The longest time, in ms, between two looks at the underlying. */
  readonly lookEvery: number
  /** The longest time, in ms, from opening to the first quote; 18 s when absent. */
  readonly firstQuoteWithin?: number
  /** The next closing time after an instant. */
  readonly nextClose: (after: number) => number
  readonly eventName: (closeMs: number) => string
}

const everyHour = (after: number): number => Math.floor(after / hour) * hour + hour
const hourName = (closeMs: number): string => {
  const parts = toEastern(closeMs)
  return `${tickerDate(parts)}${pad(parts.hour)}`
}

const tradingHours = (after: number): number => {
  let close = everyHour(after)
  for (;;) {
    const parts = toEastern(close)
    if (parts.hour >= 10 && parts.hour <= 16 && parts.weekday >= 1 && parts.weekday <= 5) return close
    close += hour
  }
}

const endOfDay = (after: number): number => {
  const today = toEastern(after).dayNumber
  const close = easternMidnight(today + 1) - minute
  return close > after ? close : easternMidnight(today + 2) - minute
}

const rateMeeting = (after: number): number => {
  let dayNumber = toEastern(after).dayNumber
  for (;;) {
    const close = easternMidnight(dayNumber) + 14 * hour
    if (toEastern(close).day === 18 && close > after) return close
    dayNumber += 1
  }
}

const hourly = {
  category: "Crypto",
  frequency: "hourly",
  cadence: "hourly",
  periodWords: ["hour", "hourly"],
  exchangeIndex: 2,
  openLead: hour,
  createdLead: 3 * hour,
  createdJitter: 20 * minute,
  determineDelay: [25_000, 110_000],
  timerSeconds: 60,
  quietRate: 0.002,
  busyRate: 0.3,
  lookEvery: 45_000,
  nextClose: everyHour,
  eventName: hourName
} as const

const bitcoin: Asset = { name: "BTC", base: 87_400, hourly: 0.0045, decimals: 2 }
const ether: Asset = { name: "ETH", base: 2_910, hourly: 0.006, decimals: 2 }
const solana: Asset = { name: "SOL", base: 138.2, hourly: 0.007, decimals: 4 }
const index: Asset = { name: "INX", base: 6_710, hourly: 0.0012, decimals: 4 }

const temperature = (ticker: string, city: string, base: number): SeriesSpec => ({
  ticker,
  kind: "temperature",
  title: `Highest temperature in ${city}`,
  category: "Climate and Weather",
  tags: ["Daily temperature"],
  frequency: "daily",
  cadence: "daily",
  periodWords: ["day", "daily"],
  asset: { name: ticker, base, hourly: 0, decimals: 0 },
  structure: linearCent,
  exchangeIndex: 0,
  strikeStep: 2,
  strikeCount: 6,
  strikeShave: 0,
  strikeDecimals: 1,
  openLead: 34 * hour,
  createdLead: 38 * hour,
  createdJitter: 20 * minute,
  determineDelay: [8 * hour, 8.2 * hour],
  timerSeconds: 300,
  quietRate: 0.002,
  busyRate: 0.04,
  lookEvery: 180_000,
  nextClose: endOfDay,
  eventName: (closeMs) => tickerDate(toEastern(closeMs))
})

/** Hourly markets that only exist when somebody asks for many at once. */
export const burstSeries: SeriesSpec = {
  ...hourly,
  ticker: "KXXRPD",
  kind: "above",
  title: "XRP price above/below",
  tags: ["XRP", "Hourly"],
  asset: { name: "XRP", base: 2.41, hourly: 0.008, decimals: 4 },
  structure: linearCent,
  strikeStep: 0.02,
  strikeCount: 10,
  strikeShave: 0.0001,
  strikeDecimals: 4,
  quietRate: 0.2,
  firstQuoteWithin: 1_000
}

export const allSeries: ReadonlyArray<SeriesSpec> = [
  {
    ...hourly,
    ticker: "KXBTCD",
    kind: "above",
    title: "Bitcoin price above/below",
    tags: ["BTC", "Hourly"],
    asset: bitcoin,
    structure: linearCent,
    strikeStep: 250,
    strikeCount: 80,
    strikeShave: 0.01,
    strikeDecimals: 2
  },
  {
    ...hourly,
    ticker: "KXBTC",
    kind: "range",
    title: "Bitcoin price range",
    tags: ["BTC", "Hourly"],
    asset: bitcoin,
    structure: taperedDeciCent,
    strikeStep: 250,
    strikeCount: 62,
    strikeShave: 0.01,
    strikeDecimals: 2
  },
  {
    ...hourly,
    ticker: "KXETHD",
    kind: "above",
    title: "Ethereum price above/below",
    tags: ["ETH", "Hourly"],
    asset: ether,
    structure: deciCent,
    strikeStep: 20,
    strikeCount: 40,
    strikeShave: 0.01,
    strikeDecimals: 2
  },
  {
    ...hourly,
    ticker: "KXSOLD",
    kind: "above",
    title: "Solana price above/below",
    tags: null,
    asset: solana,
    structure: noveltyStructure,
    frequency: "custom",
    strikeStep: 0.5,
    strikeCount: 24,
    strikeShave: 0.0001,
    strikeDecimals: 4
  },
  {
    ...hourly,
    ticker: "KXINXU",
    kind: "above",
    title: "S&P 500 hourly above/below",
    category: "Financials",
    tags: ["S&P", "Hourly"],
    asset: index,
    structure: linearCent,
    exchangeIndex: 0,
    strikeStep: 10,
    strikeCount: 30,
    strikeShave: 0.0001,
    strikeDecimals: 4,
    nextClose: tradingHours,
    eventName: (closeMs) => {
      const parts = toEastern(closeMs)
      return `${tickerDate(parts)}H${pad(parts.hour)}00`
    }
  },
  temperature("KXHIGHNY", "New York City", 62),
  temperature("KXHIGHCHI", "Chicago", 58),
  temperature("KXHIGHMIA", "Miami", 82),
  temperature("KXHIGHLAX", "Los Angeles", 74),
  temperature("KXHIGHAUS", "Austin", 80),
  temperature("KXHIGHDEN", "Denver", 64),
  temperature("KXHIGHPHIL", "Philadelphia", 63),
  {
    ...hourly,
    ticker: "KXBTC15M",
    kind: "updown",
    title: "BTC price up in next 15 mins?",
    tags: ["BTC", "15 min"],
    asset: bitcoin,
    structure: deciCent,
    frequency: "fifteen_min",
    cadence: "fifteen_min",
    periodWords: [],
    strikeStep: 1,
    strikeCount: 1,
    strikeShave: 0,
    strikeDecimals: 2,
    openLead: 15 * minute,
    createdLead: 2 * hour,
    createdJitter: 2 * minute,
    timerSeconds: 5,
    nextClose: (after) => Math.floor(after / (15 * minute)) * 15 * minute + 15 * minute,
    eventName: (closeMs) => {
      const parts = toEastern(closeMs)
      return `${tickerDate(parts)}${pad(parts.hour)}${pad(parts.minute)}`
    }
  },
  {
    ...hourly,
    ticker: "KXFED",
    kind: "rate",
    title: "Fed funds rate after the meeting",
    category: "Economics",
    tags: ["Fed"],
    frequency: "monthly",
    cadence: undefined,
    periodWords: ["month"],
    asset: { name: "FED", base: 3.6, hourly: 0.002, decimals: 2 },
    structure: linearCent,
    exchangeIndex: 0,
    strikeStep: 0.25,
    strikeCount: 12,
    strikeShave: 0,
    strikeDecimals: 2,
    openLead: 40 * day,
    createdLead: 41 * day,
    timerSeconds: 3600,
    quietRate: 0.0002,
    busyRate: 0.001,
    lookEvery: hour,
    nextClose: rateMeeting,
    eventName: (closeMs) => {
      const parts = toEastern(closeMs)
      return `${pad(parts.year % 100)}${monthName(parts.month)}`
    }
  },
  {
    ...hourly,
    ticker: "KXMVECROSSCATEGORY",
    kind: "combo",
    title: "Combo",
    category: "Exotics",
    tags: null,
    frequency: "custom",
    cadence: undefined,
    periodWords: [],
    asset: { name: "MVE", base: 100, hourly: 0.05, decimals: 2 },
    structure: { name: "center_deci_edge_centi_cent", ranges: deciCent.ranges },
    exchangeIndex: 1,
    strikeStep: 6,
    strikeCount: 24,
    strikeShave: 0,
    strikeDecimals: 2,
    openLead: 2 * hour,
    createdLead: 2.5 * hour,
    quietRate: 0.001,
    busyRate: 0.01,
    nextClose: everyHour,
    eventName: (closeMs) =>
      `S${toEastern(closeMs).year}${Math.floor(closeMs / minute)
        .toString(16)
        .toUpperCase()}`
  }
]
