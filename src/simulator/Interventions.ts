import { type MarketSpec, structureAt } from "./Catalog.ts"
import type { Engine } from "./Engine.ts"
import { deciCent, linearCent } from "./Prices.ts"

/** Something done to one market now; tells why it cannot be done. */
export type Intervention = (engine: Engine, market: MarketSpec) => string | undefined

const only = (
  engine: Engine,
  market: MarketSpec,
  statuses: ReadonlyArray<string>,
  act: () => void
): string | undefined => {
  const status = engine.world.status(market)
  if (!statuses.includes(status)) return `market is ${status}`
  act()
  return undefined
}

export const moveClose = (engine: Engine, market: MarketSpec, closeMs: number): string | undefined =>
  only(engine, market, ["initialized", "active", "inactive", "closed"], () => engine.feed.moveClose(market, closeMs))

export const dispute: Intervention = (engine, market) =>
  only(engine, market, ["determined"], () => engine.feed.dispute(market))

export const amend: Intervention = (engine, market) =>
  only(engine, market, ["determined", "disputed"], () => engine.feed.amend(market))

export const changePriceLevels: Intervention = (engine, market) =>
  only(engine, market, ["initialized", "active", "inactive"], () =>
    engine.feed.relevel(market, structureAt(market, engine.world.now).name === linearCent.name ? deciCent : linearCent)
  )
