import { hour, minute, monthName, toEastern } from "./Calendar.ts"
import type { PriceStructure } from "./Prices.ts"
import { combine, hash, uuid } from "./Random.ts"
import { allSeries, type SeriesSpec } from "./SeriesSpec.ts"
import { chanceAbove, chanceWarmer, highestTemperature, priceAt, published } from "./Underlying.ts"

export type StrikeType = "greater" | "less" | "between" | "greater_or_equal" | "custom"

/** An event of the simulated world. All times are exchange milliseconds. */
export interface EventSpec {
  order: number
  readonly ticker: string
  readonly series: SeriesSpec
  readonly createdMs: number
  readonly openMs: number
  readonly closeMs: number
  readonly determineDelay: number
  readonly strikePeriod: string
  readonly title: string
  readonly subTitle: string
  readonly exclusive: boolean
  feeOverride: FeeOverride | undefined
  markets: ReadonlyArray<MarketSpec>
}

export interface Pause {
  readonly fromMs: number
  readonly toMs: number
}

export interface CloseMove {
  readonly atMs: number
  readonly closeMs: number
}

/** `undefined` fields are null for the exchange. */
export interface FeeOverride {
  readonly atMs: number
  readonly type: string | undefined
  readonly multiplier: number | undefined
}

export interface LevelMove {
  readonly atMs: number
  readonly structure: PriceStructure
}

/** A result that is questioned, or replaced by the other one. */
export interface Ruling {
  readonly atMs: number
  readonly stage: "disputed" | "amended"
}

/** One market. Its lists are ascending and only ever appended to, at the present. */
export interface MarketSpec {
  readonly ticker: string
  readonly marketId: string
  readonly event: EventSpec
  readonly index: number
  readonly createdMs: number
  readonly strikeType: StrikeType
  readonly floor: number | undefined
  readonly cap: number | undefined
  yesSubTitle: string
  renamedMs: number | undefined
  readonly noSubTitle: string
  pauses: ReadonlyArray<Pause>
  closeMoves: ReadonlyArray<CloseMove>
  levelMoves: ReadonlyArray<LevelMove>
  rulings: ReadonlyArray<Ruling>
}

/** The closing time as it is known at an instant. */
export const closeAt = (market: MarketSpec, millis: number): number => {
  let close = market.event.closeMs
  for (const move of market.closeMoves) if (move.atMs <= millis) close = move.closeMs
  return close
}

export const pausedAt = (market: MarketSpec, millis: number): boolean => {
  for (const pause of market.pauses) if (millis >= pause.fromMs && millis < pause.toMs) return true
  return false
}

export const determinedAt = (market: MarketSpec, millis: number): number =>
  closeAt(market, millis) + market.event.determineDelay + market.index * 20

export const rulingAt = (market: MarketSpec, millis: number): Ruling | undefined =>
  market.rulings.findLast((ruling) => ruling.atMs <= millis)

/** When the market settles, as it is known at an instant: never, while its result is disputed. */
export const settledAt = (market: MarketSpec, millis: number): number => {
  const timer = market.event.series.timerSeconds * 1000
  const ruling = market.rulings.length === 0 ? undefined : rulingAt(market, millis)
  if (ruling === undefined) return determinedAt(market, millis) + timer
  return ruling.stage === "disputed" ? Number.POSITIVE_INFINITY : ruling.atMs + timer
}

export const structureAt = (market: MarketSpec, millis: number): PriceStructure => {
  let { structure } = market.event.series
  for (const move of market.levelMoves) if (move.atMs <= millis) structure = move.structure
  return structure
}

export type Status =
  | "initialized"
  | "active"
  | "inactive"
  | "closed"
  | "determined"
  | "disputed"
  | "amended"
  | "finalized"

export const statusAt = (market: MarketSpec, millis: number): Status => {
  if (millis < market.event.openMs) return "initialized"
  const close = closeAt(market, millis)
  if (millis < close) return pausedAt(market, millis) ? "inactive" : "active"
  if (millis < determinedAt(market, millis)) return "closed"
  return millis < settledAt(market, millis) ? (rulingAt(market, millis)?.stage ?? "determined") : "finalized"
}

const days = (millis: number): number => toEastern(millis).dayNumber

/** The fair value of YES, between 0 and 1. */
export const fairValue = (seed: number, market: MarketSpec, millis: number): number => {
  const { event } = market
  const remaining = closeAt(market, millis) - millis
  const { asset, kind } = event.series
  if (kind === "temperature") {
    const day = days(event.closeMs)
    const above = (strike: number) => chanceWarmer(seed, asset, day, strike, millis, remaining)
    if (market.strikeType === "less") return 1 - above(market.cap! - 0.5)
    if (market.strikeType === "greater") return above(market.floor! + 0.5)
    return above(market.floor! - 0.5) - above(market.cap! + 0.5)
  }
  if (kind === "combo")
    return 0.5 * chanceAbove(asset, priceAt(seed, asset, millis + market.index * hour), 104, remaining)
  const value = priceAt(seed, asset, millis)
  if (market.strikeType === "between")
    return chanceAbove(asset, value, market.floor!, remaining) - chanceAbove(asset, value, market.cap!, remaining)
  if (market.strikeType === "less") return 1 - chanceAbove(asset, value, market.cap!, remaining)
  return chanceAbove(asset, value, market.floor!, remaining)
}

export interface Outcome {
  readonly result: "yes" | "no"
  readonly expirationValue: string
}

/** What the market settles at, given its final closing time. */
export const outcomeOf = (seed: number, market: MarketSpec, closeMs: number): Outcome => {
  const { asset, kind } = market.event.series
  if (kind === "combo")
    return { result: combine(hash(market.ticker), seed) % 4 === 0 ? "yes" : "no", expirationValue: "" }
  const value =
    kind === "temperature"
      ? highestTemperature(seed, asset, days(market.event.closeMs))
      : published(asset, priceAt(seed, asset, closeMs))
  const yes =
    (market.floor === undefined || (market.strikeType === "between" ? value >= market.floor : value > market.floor)) &&
    (market.cap === undefined || (market.strikeType === "between" ? value <= market.cap : value < market.cap))
  const up = market.strikeType === "greater_or_equal" ? value >= market.floor! : yes
  return { result: up ? "yes" : "no", expirationValue: value.toFixed(asset.decimals) }
}

interface Strike {
  readonly suffix: string
  readonly type: StrikeType
  readonly floor?: number
  readonly cap?: number
  readonly words: string
}

const group = (value: number, decimals: number): string => {
  const [whole = "", fraction] = value.toFixed(decimals).split(".")
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",")
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

const strikesOf = (seed: number, event: EventSpec): Array<Strike> => {
  const { closeMs, createdMs, openMs, series } = event
  const { asset, strikeCount, strikeDecimals, strikeShave, strikeStep } = series
  const exact = (value: number) => Number(value.toFixed(strikeDecimals))
  const shown = Math.max(0, strikeDecimals - 2)
  if (series.kind === "temperature") {
    const middle = highestTemperature(seed, asset, days(closeMs)) + (combine(seed, days(closeMs)) % 5) - 2
    const low = middle - 4
    const buckets = [0, 1, 2, 3].map((i): Strike => {
      const floor = low + i * 2
      return { suffix: `B${floor}.5`, type: "between", floor, cap: floor + 1, words: `${floor}° to ${floor + 1}°` }
    })
    return [
      { suffix: `T${low}`, type: "less", cap: low, words: `${low - 1}° or below` },
      ...buckets,
      { suffix: `T${low + 7}`, type: "greater", floor: low + 7, words: `${low + 8}° or above` }
    ]
  }
  if (series.kind === "updown") {
    const floor = published(asset, priceAt(seed, asset, openMs))
    return [
      {
        suffix: String(toEastern(closeMs).minute).padStart(2, "0"),
        type: "greater_or_equal",
        floor,
        words: `Target price: $${group(floor, 2)}`
      }
    ]
  }
  if (series.kind === "combo")
    return Array.from({ length: strikeCount }, (_, i): Strike => {
      const suffix = combine(seed ^ i, closeMs / minute)
        .toString(16)
        .toUpperCase()
        .padStart(8, "0")
      return { suffix, type: "custom", words: "yes Boston, yes Over 7.5" }
    })
  const centre = Math.round(priceAt(seed, asset, createdMs) / strikeStep) * strikeStep
  if (series.kind === "range") {
    const inner = strikeCount - 2
    const low = centre - (inner / 2) * strikeStep
    const high = low + inner * strikeStep
    return [
      { suffix: `T${low}`, type: "less", cap: low, words: `$${group(low - strikeShave, 2)} or below` },
      ...Array.from({ length: inner }, (_, i): Strike => {
        const floor = low + i * strikeStep
        const cap = exact(floor + strikeStep - strikeShave)
        return {
          suffix: `B${floor + strikeStep / 2}`,
          type: "between",
          floor,
          cap,
          words: `$${group(floor, 0)} to ${group(cap, 2)}`
        }
      }),
      {
        suffix: `T${exact(high - strikeShave)}`,
        type: "greater",
        floor: exact(high - strikeShave),
        words: `$${group(high, 0)} or above`
      }
    ]
  }
  const lowest = Math.max(strikeStep, centre - Math.floor(strikeCount / 2) * strikeStep)
  return Array.from({ length: strikeCount }, (_, i): Strike => {
    const round = lowest + i * strikeStep
    const floor = exact(round - strikeShave)
    return {
      suffix: `T${floor.toFixed(strikeDecimals)}`,
      type: "greater",
      floor,
      words: series.kind === "rate" ? `Above ${round.toFixed(2)}%` : `$${group(round, shown)} or above`
    }
  })
}

const naturalPauses = (seed: number, market: string, event: EventSpec): ReadonlyArray<Pause> => {
  const dice = combine(hash(market), seed ^ 0x7061)
  if (dice % 60 !== 0) return []
  const life = event.closeMs - event.openMs
  const fromMs = Math.floor(event.openMs + life * (0.2 + ((dice >>> 8) % 100) / 250))
  return [{ fromMs, toMs: Math.floor(fromMs + Math.min(life * 0.1, 10 * minute)) }]
}

const naturalMoves = (seed: number, event: EventSpec): ReadonlyArray<CloseMove> => {
  const dice = combine(hash(event.ticker), seed ^ 0x636c)
  if (event.series.kind !== "temperature" || dice % 6 !== 0) return []
  return [{ atMs: event.closeMs - 5 * hour, closeMs: event.closeMs - hour }]
}

/** Everything that was ever listed, made as time reaches it, oldest first. */
export class Catalog {
  readonly #series = new Map<string, SeriesSpec>(allSeries.map((series) => [series.ticker, series]))
  readonly #seed: number
  readonly #upcoming: Array<{ readonly series: SeriesSpec; event: EventSpec }> = []
  #events: Array<EventSpec> = []
  readonly #byTicker = new Map<string, EventSpec>()
  readonly #markets = new Map<string, MarketSpec>()
  #order = 0

  /** `genesisMs`: nothing closed before it. */
  constructor(seed: number, genesisMs: number) {
    this.#seed = seed
    for (const series of allSeries) {
      const event = this.#make(series, series.nextClose(genesisMs))
      this.#upcoming.push({ series, event })
    }
  }

  get series(): ReadonlyMap<string, SeriesSpec> {
    return this.#series
  }

  /** Events created so far, in the order of creation. */
  get events(): ReadonlyArray<EventSpec> {
    return this.#events
  }

  event(ticker: string): EventSpec | undefined {
    return this.#byTicker.get(ticker)
  }

  market(ticker: string): MarketSpec | undefined {
    return this.#markets.get(ticker)
  }

  get nextCreatedMs(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { event } of this.#upcoming) if (event.createdMs < next) next = event.createdMs
    return next
  }

  /** Lists the next event to be created. */
  create(): EventSpec {
    let first = this.#upcoming[0]!
    for (const candidate of this.#upcoming) if (candidate.event.createdMs < first.event.createdMs) first = candidate
    const event = first.event
    let next = this.#make(first.series, first.series.nextClose(event.closeMs))
    // The hour that New York repeats in autumn has one event, not two of the same name.
    while (next.ticker === event.ticker) next = this.#make(first.series, first.series.nextClose(next.closeMs))
    first.event = next
    return this.list(event)
  }

  /** Lists an event that is being created now; its markets are made here. */
  list(event: EventSpec): EventSpec {
    if (!this.#series.has(event.series.ticker)) this.#series.set(event.series.ticker, event.series)
    event.order = this.#order++
    event.markets = this.#marketsOf(event)
    this.#events.push(event)
    this.#byTicker.set(event.ticker, event)
    for (const market of event.markets) this.#markets.set(market.ticker, market)
    return event
  }

  /** Forgets that there ever were such events. */
  forget(gone: (event: EventSpec) => boolean): ReadonlyArray<EventSpec> {
    const forgotten = this.#events.filter(gone)
    if (forgotten.length === 0) return forgotten
    const outdated = new Set(forgotten)
    this.#events = this.#events.filter((event) => !outdated.has(event))
    for (const event of forgotten) {
      this.#byTicker.delete(event.ticker)
      for (const market of event.markets) this.#markets.delete(market.ticker)
    }
    return forgotten
  }

  #make(series: SeriesSpec, closeMs: number): EventSpec {
    const ticker = `${series.ticker}-${series.eventName(closeMs)}`
    const dice = combine(hash(ticker), this.#seed)
    const [least, most] = series.determineDelay
    const word = dice % 8 < series.periodWords.length ? series.periodWords[dice % 8]! : ""
    const parts = toEastern(closeMs)
    const when = `${monthName(parts.month)} ${parts.day}, ${parts.year}`
    return {
      order: 0,
      ticker,
      series,
      createdMs: closeMs - series.openLead - series.createdLead + (dice % series.createdJitter),
      openMs: closeMs - series.openLead,
      closeMs,
      determineDelay: Math.floor(least + ((dice >>> 5) % 1000) * ((most - least) / 1000)),
      strikePeriod: word,
      title: `${series.title} on ${when}?`,
      subTitle:
        series.kind === "temperature" || series.kind === "rate" ? `On ${when}` : `${when} at ${parts.hour}:00 EDT`,
      exclusive: series.kind === "range" || series.kind === "temperature",
      feeOverride: undefined,
      markets: []
    }
  }

  #marketsOf(event: EventSpec): ReadonlyArray<MarketSpec> {
    const moves = naturalMoves(this.#seed, event)
    return strikesOf(this.#seed, event).map((strike, index): MarketSpec => {
      const ticker = `${event.ticker}-${strike.suffix}`
      return {
        ticker,
        marketId: uuid(ticker),
        event,
        index,
        createdMs: event.createdMs + 200 + index * 20,
        strikeType: strike.type,
        floor: strike.floor,
        cap: strike.cap,
        yesSubTitle: strike.words,
        renamedMs: undefined,
        noSubTitle: strike.words,
        pauses: naturalPauses(this.#seed, ticker, event),
        closeMoves: moves,
        levelMoves: [],
        rulings: []
      }
    })
  }
}
