import { day } from "./Calendar.ts"
import {
  Catalog,
  closeAt,
  type EventSpec,
  type FeeOverride,
  type MarketSpec,
  type Outcome,
  outcomeOf,
  rulingAt,
  settledAt,
  statusAt
} from "./Catalog.ts"
import type { PriceStructure } from "./Prices.ts"
import { Tape } from "./Tape.ts"

const keptTapes = 3000

/** The simulated exchange's state at one instant of its time, `now`. Only `now`, the cutoffs and interventions change. */
export class World {
  readonly catalog: Catalog
  readonly seed: number
  readonly genesisMs: number
  /** Exchange milliseconds up to which everything has happened. */
  now: number
  /** Markets settled, and trades made, before these live in the historical tier. */
  marketCutoffMs: number
  tradeCutoffMs: number
  readonly #tapes = new Map<string, Tape>()

  constructor(seed: number, startMs: number) {
    const midnight = Math.floor(startMs / day) * day
    this.seed = seed
    this.genesisMs = midnight - 3 * day
    this.now = startMs
    this.marketCutoffMs = midnight - 2 * day
    this.tradeCutoffMs = midnight - 2 * day
    this.catalog = new Catalog(seed, this.genesisMs)
    while (this.catalog.nextCreatedMs <= startMs) this.catalog.create()
  }

  status(market: MarketSpec) {
    return statusAt(market, this.now)
  }

  settled(market: MarketSpec): boolean {
    return settledAt(market, this.now) <= this.now
  }

  archived(market: MarketSpec): boolean {
    return settledAt(market, this.now) < this.marketCutoffMs
  }

  /** A market that exists already, archived or not. */
  market(ticker: string): MarketSpec | undefined {
    const market = this.catalog.market(ticker)
    return market !== undefined && market.createdMs <= this.now ? market : undefined
  }

  liveMarket(ticker: string): MarketSpec | undefined {
    const market = this.market(ticker)
    return market !== undefined && !this.archived(market) ? market : undefined
  }

  visibleMarkets(event: EventSpec): ReadonlyArray<MarketSpec> {
    return event.markets.filter((market) => market.createdMs <= this.now && !this.archived(market))
  }

  /** The result, from determination on. */
  outcome(market: MarketSpec): Outcome | undefined {
    const close = closeAt(market, this.now)
    if (this.now < close + market.event.determineDelay + market.index * 20) return undefined
    const first = outcomeOf(this.seed, market, close)
    if (rulingAt(market, this.now)?.stage !== "amended") return first
    return { ...first, result: first.result === "yes" ? "no" : "yes" }
  }

  /** The market's history up to now. */
  tape(market: MarketSpec): Tape {
    const known = this.#tapes.get(market.ticker)
    if (known !== undefined) {
      known.advance(this.now)
      this.#tapes.delete(market.ticker)
      this.#tapes.set(market.ticker, known)
      return known
    }
    const tape = new Tape(this.seed, market)
    tape.advance(this.now)
    this.#keep(tape)
    return tape
  }

  /** The tape that the live feed steps; it is not moved to now here. */
  adopt(market: MarketSpec): Tape {
    const tape = this.#tapes.get(market.ticker) ?? new Tape(this.seed, market)
    this.#keep(tape)
    return tape
  }

  /** Whether the market's history is at hand or has to be made. */
  knows(market: MarketSpec): boolean {
    return this.now < market.event.openMs || this.#tapes.has(market.ticker)
  }

  #keep(tape: Tape): void {
    this.#tapes.set(tape.market.ticker, tape)
    if (this.#tapes.size <= keptTapes) return
    for (const [ticker, old] of this.#tapes) {
      if (this.#tapes.size <= keptTapes) break
      if (old.ended) this.#tapes.delete(ticker)
    }
  }

  /** Interventions happen now. */
  deactivate(market: MarketSpec): void {
    market.pauses = [...market.pauses, { fromMs: this.now + 1, toMs: Number.POSITIVE_INFINITY }]
  }

  activate(market: MarketSpec): void {
    market.pauses = market.pauses.map((pause) =>
      pause.fromMs <= this.now + 1 && pause.toMs > this.now ? { fromMs: pause.fromMs, toMs: this.now + 1 } : pause
    )
  }

  dispute(market: MarketSpec): void {
    market.rulings = [...market.rulings, { atMs: this.now, stage: "disputed" }]
  }

  /** The other result, and the settlement timer from the beginning. */
  amend(market: MarketSpec): void {
    market.rulings = [...market.rulings, { atMs: this.now, stage: "amended" }]
  }

  relevel(market: MarketSpec, structure: PriceStructure): void {
    market.levelMoves = [...market.levelMoves, { atMs: this.now, structure }]
  }

  rename(market: MarketSpec, yesSubTitle: string): void {
    market.yesSubTitle = yesSubTitle
    market.renamedMs = this.now
  }

  changeFees(event: EventSpec, override: Omit<FeeOverride, "atMs">): void {
    event.feeOverride = { ...override, atMs: this.now }
  }

  /** Forgets events of which nothing happened since an instant; tells which markets went. */
  forget(beforeMs: number): ReadonlyArray<MarketSpec> {
    const gone = this.catalog.forget(
      (event) => event.markets.length > 0 && event.markets.every((market) => settledAt(market, this.now) < beforeMs)
    )
    const markets = gone.flatMap((event) => event.markets)
    for (const market of markets) this.#tapes.delete(market.ticker)
    return markets
  }

  moveClose(market: MarketSpec, closeMs: number): void {
    market.closeMoves = [...market.closeMoves, { atMs: this.now, closeMs }]
  }
}
