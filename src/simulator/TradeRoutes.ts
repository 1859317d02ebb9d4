import { setImmediate } from "node:timers/promises"
import { bookBody, tradeBody } from "./Bodies.ts"
import { minute } from "./Calendar.ts"
import { closeAt, type MarketSpec } from "./Catalog.ts"
import { decodeCursor, encodeCursor } from "./Cursor.ts"
import type { Scene } from "./MarketRoutes.ts"
import { flag, integer, limit, list, refuse, text } from "./Query.ts"
import { json, notFound, type Reply } from "./Reply.ts"
import type { Fill } from "./Tape.ts"

interface Print {
  readonly ticker: string
  readonly fill: Fill
}

const newestFirst = (a: Print, b: Print): number =>
  b.fill.ms - a.fill.ms || (a.ticker < b.ticker ? -1 : a.ticker > b.ticker ? 1 : 0) || b.fill.index - a.fill.index

const printsOf = (scene: Scene, market: MarketSpec, fromMs: number, toMs: number): Array<Print> => {
  const { ticker } = market
  const prints: Array<Print> = []
  for (const fill of scene.world.tape(market).fills)
    if (fill.ms >= fromMs && fill.ms < toMs) prints.push({ ticker, fill })
  return prints
}

const alive = (scene: Scene, fromMs: number, toMs: number): Array<MarketSpec> =>
  scene.world.catalog.events
    .filter((event) => event.openMs < toMs && event.closeMs + minute > fromMs)
    .flatMap((event) => event.markets.filter((market) => closeAt(market, scene.world.now) + minute > fromMs))

const position = (query: URLSearchParams): Print | undefined => {
  const cursor = text(query, "cursor")
  if (cursor === undefined) return undefined
  const [ms, ticker, index] = decodeCursor(query, cursor) ?? refuse("invalid cursor")
  return { ticker: String(ticker), fill: { ms: Number(ms), index: Number(index), price: 0, count: 0, taker: "yes" } }
}

/** Prints of the half-open range, newest first, at least `wanted` of them when there are so many. */
const collect = async (
  scene: Scene,
  ticker: string | undefined,
  fromMs: number,
  toMs: number,
  after: Print | undefined,
  wanted: number
) => {
  const last = (print: Print) => after === undefined || newestFirst(print, after) > 0
  const market = ticker === undefined ? undefined : scene.world.market(ticker)
  if (ticker !== undefined)
    return market === undefined ? [] : printsOf(scene, market, fromMs, toMs).sort(newestFirst).filter(last)
  const found: Array<Print> = []
  let end = after === undefined ? toMs : Math.min(toMs, after.fill.ms + 1)
  let width = 2 * minute
  while (end > fromMs && found.length < wanted) {
    const start = Math.max(fromMs, end - width)
    const chunk: Array<Print> = []
    for (const [at, candidate] of alive(scene, start, end).entries()) {
      chunk.push(...printsOf(scene, candidate, start, end))
      if (at % 50 === 49) await setImmediate()
    }
    for (const print of chunk.sort(newestFirst)) if (last(print)) found.push(print)
    end = start
    width = Math.min(width * 2, 30 * minute)
  }
  return found
}

const tradesPage = async (scene: Scene, query: URLSearchParams, fromMs: number, toMs: number): Promise<Reply> => {
  const most = limit(query, 100, 1000)
  const ticker = text(query, "ticker")
  const least = integer(query, "min_ts")
  const greatest = integer(query, "max_ts")
  const empty = scene.strictness.lastCursor === "empty" ? "" : null
  const after = position(query)
  if (flag(query, "is_block_trade")) return json({ cursor: empty, trades: [] })
  const from = Math.max(fromMs, least === undefined ? 0 : least * 1000)
  const to = Math.min(toMs, greatest === undefined ? Number.MAX_SAFE_INTEGER : (greatest + 1) * 1000)
  const prints = await collect(scene, ticker, from, to, after, most + 1)
  const page = prints.slice(0, most)
  const tail = page[page.length - 1]
  const cursor =
    prints.length > most && tail !== undefined
      ? encodeCursor(query, [tail.fill.ms, tail.ticker, tail.fill.index])
      : empty
  return json({ cursor, trades: page.map((print) => tradeBody(print.ticker, print.fill)) })
}

export const trades = (scene: Scene, query: URLSearchParams) =>
  tradesPage(scene, query, scene.world.tradeCutoffMs, scene.world.now + 1)

export const historicalTrades = (scene: Scene, query: URLSearchParams) =>
  tradesPage(scene, query, scene.world.genesisMs, scene.world.tradeCutoffMs)

const openTape = (scene: Scene, market: MarketSpec) =>
  scene.world.now < market.event.openMs ? undefined : scene.world.tape(market)

export const orderbook = (scene: Scene, query: URLSearchParams, ticker: string): Reply => {
  const depth = integer(query, "depth") ?? 0
  if (depth > 100) refuse("depth must be between 0 and 100")
  const market = scene.world.liveMarket(ticker)
  return market === undefined ? notFound : json({ orderbook_fp: bookBody(openTape(scene, market), depth) })
}

export const orderbooks = (scene: Scene, query: URLSearchParams): Reply => {
  const tickers = list(query, "tickers") ?? refuse("missing tickers")
  if (tickers.length > 100) refuse(`too many tickers: ${tickers.length}, max: 100`)
  const books = tickers.flatMap((ticker) => {
    const market = scene.world.liveMarket(ticker)
    return market === undefined ? [] : [{ orderbook_fp: bookBody(openTape(scene, market), 0), ticker }]
  })
  return json({ orderbooks: books })
}
