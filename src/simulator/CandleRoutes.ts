import { setImmediate } from "node:timers/promises"
import { candleBody, historicalCandleBody } from "./Bodies.ts"
import { type CandleSpec, candlesOf, type Interval } from "./Candles.ts"
import { closeAt, type MarketSpec } from "./Catalog.ts"
import type { Scene } from "./MarketRoutes.ts"
import { flag, list, refuse, required } from "./Query.ts"
import { historicalNotFound, json, notFound, type Reply } from "./Reply.ts"

const mostCandles = 5_000
const mostBatchCandles = 10_000
const mostTickers = 100

interface Range {
  readonly start: number
  readonly end: number
  readonly interval: Interval
  /** How many periods were asked for, a real number. */
  readonly periods: number
}

const rangeOf = (query: URLSearchParams): Range => {
  const start = required(query, "start_ts")
  const end = required(query, "end_ts")
  const minutes = required(query, "period_interval")
  if (end < start) refuse("end_ts must not be before start_ts")
  const interval = minutes === 1 || minutes === 60 || minutes === 1440 ? minutes : refuse("invalid period_interval")
  return { start, end, interval, periods: (end - start) / (60 * interval) }
}

const capped = (query: URLSearchParams): Range => {
  const range = rangeOf(query)
  if (range.periods > mostCandles)
    refuse(`requested time range with candlesticks: ${range.periods.toFixed(6)}, max candlesticks: ${mostCandles}`)
  return range
}

const all = (scene: Scene, market: MarketSpec, interval: Interval): ReadonlyArray<CandleSpec> => {
  const { world } = scene
  if (world.now < market.event.openMs) return []
  return candlesOf(world.tape(market), interval, Math.min(world.now, closeAt(market, world.now) + 59_000))
}

const inRange = (candles: ReadonlyArray<CandleSpec>, { end, start }: Range): ReadonlyArray<CandleSpec> =>
  candles.filter((candle) => candle.end >= start && candle.end <= end)

/** The last state before the range, told as a candle without trades at the range's first boundary. */
const latestBefore = (candles: ReadonlyArray<CandleSpec>, { interval, start }: Range): CandleSpec | undefined => {
  const before = candles.findLast((candle) => candle.end < start)
  if (before === undefined) return undefined
  const width = interval * 60
  const end =
    interval === 1440 ? before.end + Math.ceil((start - before.end) / width) * width : Math.ceil(start / width) * width
  if (candles.some((candle) => candle.end === end)) return undefined
  const still = (value: number) => ({ open: value, high: value, low: value, close: value })
  return {
    end,
    bid: still(before.bid.close),
    ask: still(before.ask.close),
    price: undefined,
    previous: before.price?.close ?? before.previous,
    volume: 0,
    openInterest: before.openInterest
  }
}

const bodies = (scene: Scene, market: MarketSpec, range: Range, withLatest: boolean) => {
  const candles = all(scene, market, range.interval)
  const latest = withLatest ? latestBefore(candles, range) : undefined
  return [...(latest === undefined ? [] : [latest]), ...inRange(candles, range)].map((candle) =>
    candleBody(candle, scene.strictness)
  )
}

export const marketCandles = (scene: Scene, query: URLSearchParams, series: string, ticker: string): Reply => {
  const range = capped(query)
  const market = scene.world.liveMarket(ticker)
  if (market === undefined || market.event.series.ticker !== series) return notFound
  return json({ candlesticks: bodies(scene, market, range, flag(query, "include_latest_before_start")), ticker })
}

export const batchCandles = async (scene: Scene, query: URLSearchParams): Promise<Reply> => {
  const range = rangeOf(query)
  const tickers = list(query, "market_tickers") ?? refuse("missing market_tickers")
  if (tickers.length > mostTickers) refuse(`too many market_tickers: ${tickers.length}, max: ${mostTickers}`)
  const asked = tickers.length * range.periods
  if (asked > mostBatchCandles)
    refuse(`requested candlesticks across all markets: ${Math.ceil(asked)}, max candlesticks: ${mostBatchCandles}`)
  const withLatest = flag(query, "include_latest_before_start")
  const markets: Array<unknown> = []
  for (const [at, ticker] of tickers.entries()) {
    const market = scene.world.liveMarket(ticker)
    if (market !== undefined)
      markets.push({ candlesticks: bodies(scene, market, range, withLatest), market_ticker: ticker })
    if (at % 20 === 19) await setImmediate()
  }
  return json({ markets })
}

export const eventCandles = async (
  scene: Scene,
  query: URLSearchParams,
  series: string,
  ticker: string
): Promise<Reply> => {
  const range = rangeOf(query)
  const event = scene.world.catalog.event(ticker)
  if (event === undefined || event.series.ticker !== series) return notFound
  const markets = scene.world.visibleMarkets(event)
  const allowed = Math.max(1, Math.floor(mostCandles / Math.max(1, markets.length)))
  const end = range.periods > allowed ? range.start + allowed * 60 * range.interval : range.end
  const cut: Range = { ...range, end }
  const market_candlesticks: Array<unknown> = []
  for (const [at, market] of markets.entries()) {
    market_candlesticks.push(bodies(scene, market, cut, false))
    if (at % 20 === 19) await setImmediate()
  }
  return json({ adjusted_end_ts: end, market_candlesticks, market_tickers: markets.map((market) => market.ticker) })
}

export const historicalCandles = (scene: Scene, query: URLSearchParams, ticker: string): Reply => {
  const range = capped(query)
  const market = scene.world.market(ticker)
  if (market === undefined || !scene.world.archived(market)) return historicalNotFound
  return json({ candlesticks: inRange(all(scene, market, range.interval), range).map(historicalCandleBody), ticker })
}
