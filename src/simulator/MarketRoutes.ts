import { setImmediate } from "node:timers/promises"
import { eventBody, eventUpdatedMs, marketBody, seriesBody, updatedMs } from "./Bodies.ts"
import { closeAt, type EventSpec, type MarketSpec, type Status, settledAt } from "./Catalog.ts"
import { decodeCursor, encodeCursor } from "./Cursor.ts"
import type { Strictness } from "./Options.ts"
import { flag, integer, limit, list, refuse, text } from "./Query.ts"
import { combine, unit } from "./Random.ts"
import { historicalNotFound, json, notFound, type Reply } from "./Reply.ts"
import type { World } from "./World.ts"

/** What a route may read. */
export interface Scene {
  readonly world: World
  readonly strictness: Strictness
  readonly startMs: number
  /** False while the exchange is under maintenance. */
  readonly active: () => boolean
}

const statusesOf = (filter: string, strictness: Strictness): ReadonlySet<Status> => {
  const paused = strictness.inactiveUnder === "paused"
  switch (filter) {
    case "unopened":
      return new Set(["initialized"])
    case "open":
      return new Set(paused ? ["active"] : ["active", "inactive"])
    case "paused":
      return new Set(paused ? ["inactive"] : [])
    case "closed":
      return new Set(["closed", "determined", "disputed", "amended"])
    default:
      return new Set(["finalized"])
  }
}

const slice = 400

/** Bodies of many markets, letting sockets breathe in between. */
export const marketBodies = async (scene: Scene, markets: ReadonlyArray<MarketSpec>): Promise<Array<unknown>> => {
  const bodies: Array<unknown> = []
  let sinceBreath = 0
  for (const market of markets) {
    const before = scene.world.knows(market)
    bodies.push(marketBody(scene.world, market, scene.strictness))
    sinceBreath += before ? 1 : 20
    if (sinceBreath >= slice) {
      sinceBreath = 0
      await setImmediate()
    }
  }
  return bodies
}

interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly cursor: string | null
}

/** Cuts a page out of an ordered list. `key` is the place of an item in the order. */
export const paginate = <A>(
  scene: Scene,
  query: URLSearchParams,
  most: number,
  items: Iterable<A>,
  key: (item: A) => ReadonlyArray<string | number>,
  after: (item: A, position: ReadonlyArray<unknown>) => boolean
): Page<A> => {
  const { lastCursor, shortPages } = scene.strictness
  const given = text(query, "cursor")
  const position = given === undefined ? undefined : (decodeCursor(query, given) ?? refuse("invalid cursor"))
  const cut = unit(combine(most, given?.length ?? 0)) < shortPages ? Math.max(1, Math.ceil(most / 2)) : most
  const page: Array<A> = []
  for (const item of items) {
    if (position !== undefined && !after(item, position)) continue
    if (page.length === cut) return { items: page, cursor: encodeCursor(query, key(page[page.length - 1]!)) }
    page.push(item)
  }
  return { items: page, cursor: lastCursor === "empty" ? "" : null }
}

const eventStatuses = ["unopened", "open", "closed", "settled"]

const ordered = (scene: Scene): ReadonlyArray<EventSpec> =>
  scene.strictness.newestFirst ? scene.world.catalog.events.toReversed() : scene.world.catalog.events

const afterOrder = (scene: Scene, order: number, position: unknown): boolean =>
  scene.strictness.newestFirst ? order < Number(position) : order > Number(position)

const eventsPage = async (scene: Scene, query: URLSearchParams, most: number, combos: boolean): Promise<Reply> => {
  const { strictness, world } = scene
  const status = text(query, "status")
  if (status !== undefined && !eventStatuses.includes(status)) refuse("invalid status filter")
  const statuses = status === undefined ? undefined : statusesOf(status, strictness)
  const series = text(query, "series_ticker")
  const collection = text(query, "collection_ticker")
  if (combos && series !== undefined && collection !== undefined)
    refuse("series_ticker and collection_ticker are mutually exclusive")
  const tickers = list(query, "tickers")
  const minClose = integer(query, "min_close_ts")
  const minUpdated = integer(query, "min_updated_ts")
  const nested = flag(query, "with_nested_markets")
  const milestones = flag(query, "with_milestones")
  const wanted = (event: EventSpec): boolean =>
    (event.series.kind === "combo") === combos &&
    (series === undefined || event.series.ticker === series) &&
    (collection === undefined || `${event.series.ticker}-R` === collection) &&
    (tickers === undefined || tickers.includes(event.ticker)) &&
    (minClose === undefined || event.markets.some((market) => closeAt(market, world.now) > minClose * 1000)) &&
    (minUpdated === undefined || eventUpdatedMs(event, world.now) > minUpdated * 1000) &&
    (statuses === undefined ||
      event.markets.some((market) => market.createdMs <= world.now && statuses.has(world.status(market))))
  const page = paginate(
    scene,
    query,
    most,
    ordered(scene).filter(wanted),
    (event) => [event.order],
    (event, [order]) => afterOrder(scene, event.order, order)
  )
  const events: Array<unknown> = []
  for (const event of page.items) {
    const visible = nested ? world.visibleMarkets(event) : []
    const markets = visible.length === 0 ? undefined : await marketBodies(scene, visible)
    events.push(eventBody(event, world.now, strictness, markets))
  }
  return json({ cursor: page.cursor, events, ...(milestones ? { milestones: [] } : {}) })
}

export const events = (scene: Scene, query: URLSearchParams) => eventsPage(scene, query, limit(query, 200, 200), false)
export const comboEvents = (scene: Scene, query: URLSearchParams) =>
  eventsPage(scene, query, limit(query, 100, 200), true)

export const event = async (scene: Scene, query: URLSearchParams, ticker: string): Promise<Reply> => {
  const { strictness, world } = scene
  const found = world.catalog.event(ticker)
  if (found === undefined) return notFound
  const nested = flag(query, "with_nested_markets")
  const visible = world.visibleMarkets(found)
  const bodies = await marketBodies(scene, visible)
  return json({
    event: eventBody(found, world.now, strictness, nested && bodies.length > 0 ? bodies : undefined),
    markets: nested ? [] : bodies
  })
}

export const eventMetadata = (scene: Scene, ticker: string): Reply => {
  const found = scene.world.catalog.event(ticker)
  if (found === undefined) return notFound
  return json({
    image_url: `https://simulated.invalid/${found.series.ticker}.webp`,
    market_details: scene.world.visibleMarkets(found).map((market) => ({
      color_code: "#1a9e5f",
      image_url: "",
      market_ticker: market.ticker
    })),
    settlement_sources: []
  })
}

const marketStatuses = ["unopened", "open", "paused", "closed", "settled"]

const statusFilter = (query: URLSearchParams): string | undefined => {
  const status = text(query, "status")
  if (status === undefined) return undefined
  if (status.includes(",") || query.getAll("status").length > 1) refuse("only one status filter may be supplied")
  if (!marketStatuses.includes(status)) refuse("invalid status filter")
  return status
}

/** Which timestamp filters go with which status: refuses the others. */
const checkFilters = (query: URLSearchParams, status: string | undefined): void => {
  const has = (name: string) => text(query, name) !== undefined
  const groups = [
    { name: "created", given: has("min_created_ts") || has("max_created_ts"), statuses: ["unopened", "open"] },
    { name: "close", given: has("min_close_ts") || has("max_close_ts"), statuses: ["closed"] },
    { name: "settled", given: has("min_settled_ts") || has("max_settled_ts"), statuses: ["settled"] }
  ]
  const used = groups.filter((group) => group.given)
  if (used.length > 1) refuse("timestamp filters are mutually exclusive")
  for (const group of used)
    if (status !== undefined && !group.statuses.includes(status))
      refuse(`${group.name} timestamp filters are not compatible with status ${status}`)
  if (!has("min_updated_ts")) return
  const combosExcluded = text(query, "mve_filter") === "exclude"
  const others = ["status", "event_ticker", "tickers", ...(combosExcluded ? [] : ["series_ticker", "mve_filter"])]
  if (used.length > 0 || others.some(has)) refuse("min_updated_ts is not compatible with other filters")
}

const within = (query: URLSearchParams, group: string, millis: () => number): boolean => {
  const least = integer(query, `min_${group}_ts`)
  const most = integer(query, `max_${group}_ts`)
  return (
    (least === undefined || millis() >= least * 1000) && (most === undefined || Math.floor(millis() / 1000) <= most)
  )
}

export const markets = async (scene: Scene, query: URLSearchParams): Promise<Reply> => {
  const { strictness, world } = scene
  const most = limit(query, 100, 1000)
  const status = statusFilter(query)
  checkFilters(query, status)
  const statuses = status === undefined ? undefined : statusesOf(status, strictness)
  const eventTicker = text(query, "event_ticker")
  if (eventTicker?.includes(",") === true) refuse("only one event_ticker may be supplied")
  const series = text(query, "series_ticker")
  const tickers = list(query, "tickers")
  const combos = text(query, "mve_filter")
  if (combos !== undefined && combos !== "only" && combos !== "exclude") refuse("invalid mve_filter")
  const minUpdated = integer(query, "min_updated_ts")
  const settles = text(query, "min_settled_ts") !== undefined || text(query, "max_settled_ts") !== undefined
  const wantedEvent = (event: EventSpec): boolean =>
    (eventTicker === undefined || event.ticker === eventTicker) &&
    (series === undefined || event.series.ticker === series) &&
    (combos === undefined || (event.series.kind === "combo") === (combos === "only"))
  const wanted = (market: MarketSpec): boolean =>
    market.createdMs <= world.now &&
    !world.archived(market) &&
    (statuses === undefined || statuses.has(world.status(market))) &&
    (tickers === undefined || tickers.includes(market.ticker)) &&
    within(query, "created", () => market.createdMs) &&
    within(query, "close", () => closeAt(market, world.now)) &&
    (!settles || (world.settled(market) && within(query, "settled", () => settledAt(market, world.now)))) &&
    (minUpdated === undefined || updatedMs(market, world.now) > minUpdated * 1000)
  const page = marketPage(scene, query, most, wantedEvent, wanted)
  return json({ cursor: page.cursor, markets: await marketBodies(scene, page.items) })
}

const marketPage = (
  scene: Scene,
  query: URLSearchParams,
  most: number,
  wantedEvent: (event: EventSpec) => boolean,
  wanted: (market: MarketSpec) => boolean
): Page<MarketSpec> =>
  paginate(
    scene,
    query,
    most,
    ordered(scene)
      .filter(wantedEvent)
      .flatMap((found) => found.markets.filter(wanted)),
    (market) => [market.event.order, market.index],
    (market, [order, index]) =>
      market.event.order === order ? market.index > Number(index) : afterOrder(scene, market.event.order, order)
  )

export const market = (scene: Scene, ticker: string): Reply => {
  const found = scene.world.liveMarket(ticker)
  return found === undefined ? notFound : json({ market: marketBody(scene.world, found, scene.strictness) })
}

export const historicalMarkets = async (scene: Scene, query: URLSearchParams): Promise<Reply> => {
  const most = limit(query, 100, 1000)
  const eventTicker = text(query, "event_ticker")
  const series = text(query, "series_ticker")
  const tickers = list(query, "tickers")
  const combos = text(query, "mve_filter")
  if ([eventTicker, series, tickers, combos].filter((filter) => filter !== undefined).length > 1)
    refuse("tickers, event_ticker, series_ticker and mve_filter are mutually exclusive")
  const page = marketPage(
    scene,
    query,
    most,
    (found) =>
      (eventTicker === undefined || found.ticker === eventTicker) &&
      (series === undefined || found.series.ticker === series) &&
      (combos !== "exclude" || found.series.kind !== "combo"),
    (found) => scene.world.archived(found) && (tickers === undefined || tickers.includes(found.ticker))
  )
  return json({ cursor: page.cursor, markets: await marketBodies(scene, page.items) })
}

export const historicalMarket = (scene: Scene, ticker: string): Reply => {
  const found = scene.world.market(ticker)
  return found === undefined || !scene.world.archived(found)
    ? historicalNotFound
    : json({ market: marketBody(scene.world, found, scene.strictness) })
}

export const seriesList = (scene: Scene, query: URLSearchParams): Reply => {
  const category = text(query, "category")
  const tags = list(query, "tags")
  const metadata = flag(query, "include_product_metadata")
  const minUpdated = integer(query, "min_updated_ts")
  const found = [...scene.world.catalog.series.values()].filter(
    (series) =>
      (category === undefined || series.category === category) &&
      (tags === undefined || tags.some((tag) => series.tags?.includes(tag) === true)) &&
      (minUpdated === undefined || scene.startMs - 86_400_000 > minUpdated * 1000)
  )
  return json({ series: found.map((series) => seriesBody(series, scene.startMs, metadata)) })
}

export const series = (scene: Scene, ticker: string): Reply => {
  const found = scene.world.catalog.series.get(ticker)
  return found === undefined ? notFound : json({ series: seriesBody(found, scene.startMs, true) })
}
