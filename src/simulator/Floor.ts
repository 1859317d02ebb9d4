import * as Frames from "./Frames.ts"
import type { Entry } from "./Outbox.ts"
import type { World } from "./World.ts"

/** A message of a market as it stands, and what it is counted as. */
export interface Standing {
  readonly msg: string
  readonly entry: Entry
}

/** What a session has to know of the markets behind it. */
export interface Floor {
  readonly tickers: () => Iterable<string>
  /** The tickers of these market ids, as far as they are known. */
  readonly tickersOfIds: (ids: ReadonlySet<string>) => ReadonlyArray<string>
  /** The current ticker message; nothing while there is none. */
  readonly ticker: (ticker: string) => Standing | undefined
  /** The current book message; nothing while there is none. */
  readonly book: (ticker: string, useYesPrice: boolean) => string | undefined
}

/** The floor of the simulated world. */
export const floorOf = (world: World): Floor => {
  const everyMarket = () => world.catalog.events.flatMap((event) => event.markets)
  return {
    tickers: () => everyMarket().map((market) => market.ticker),
    tickersOfIds: (ids) =>
      everyMarket()
        .filter((market) => ids.has(market.marketId))
        .map((market) => market.ticker),
    ticker: (ticker) => {
      const market = world.market(ticker)
      if (market === undefined || world.status(market) !== "active") return undefined
      const now = { ...world.tape(market).top, ms: world.now }
      return { msg: Frames.ticker(market, now, 0), entry: { type: "ticker", ticker, key: now.ms } }
    },
    book: (ticker, useYesPrice) => {
      const market = world.liveMarket(ticker)
      if (market === undefined) return undefined
      const tape = world.now < market.event.openMs ? undefined : world.tape(market)
      return Frames.snapshot(market, tape, useYesPrice)
    }
  }
}
