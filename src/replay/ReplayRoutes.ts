import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { decodeCursor, encodeCursor } from "../simulator/Cursor.ts"
import { endpointCosts, limits, schedule } from "../simulator/ExchangeRoutes.ts"
import { type Caller, signedOnly } from "../simulator/Front.ts"
import { flag, integer, limit, list, refuse, required, text } from "../simulator/Query.ts"
import { historicalNotFound, json, notFound, type Reply } from "../simulator/Reply.ts"
import { TokenBucket } from "../simulator/TokenBucket.ts"
import type { EventRow, MarketRow, ReplayCatalog } from "../store/ReplayCatalog.ts"
import type { Chosen } from "./FrameSource.ts"
import { candleBody, eventBody, marketBody, seriesBody, tradeBody } from "./ReplayBodies.ts"
import type { Levels } from "./ReplayFloor.ts"

/** What a route may read. */
export interface ReplayScene {
  readonly catalog: ReplayCatalog["Service"]
  readonly chosen: Chosen | undefined
  /** The replay's clock, epoch milliseconds. */
  readonly now: () => number
  readonly quote: (ticker: string) => Readonly<Record<string, unknown>> | undefined
  readonly levels: (ticker: string) => Levels | undefined
  readonly isPaused: () => boolean
  readonly unauthorizedCode: string
}

type Answer = Effect.Effect<Reply, SqlError>

const mostCandles = 5_000
const mostBatchCandles = 10_000
const mostTickers = 100

const stageOf: Readonly<Record<string, ReadonlyArray<string>>> = {
  unopened: ["initialized"],
  open: ["active"],
  paused: ["inactive"],
  closed: ["closed", "determined"],
  settled: ["finalized"]
}

const statuses = (query: URLSearchParams, allowed: ReadonlyArray<string>) => {
  const status = text(query, "status")
  if (status === undefined) return undefined
  if (status.includes(",") || query.getAll("status").length > 1) refuse("only one status filter may be supplied")
  if (!allowed.includes(status)) refuse("invalid status filter")
  return stageOf[status]
}

/** The last key of the page before; refuses a cursor of other filters. */
const afterOf = (query: URLSearchParams): string | undefined => {
  const cursor = text(query, "cursor")
  if (cursor === undefined) return undefined
  const [key] = decodeCursor(query, cursor) ?? refuse("invalid cursor")
  return String(key)
}

/** One row more than a page holds tells whether there is another one. */
const pageOf = <A>(query: URLSearchParams, rows: ReadonlyArray<A>, most: number, key: (row: A) => string) => {
  const items = rows.slice(0, most)
  const last = items.at(-1)
  return { items, cursor: rows.length > most && last !== undefined ? encodeCursor(query, [key(last)]) : "" }
}

const within = (wanted: ReadonlyArray<string> | undefined, chosen: ReadonlySet<string> | undefined) =>
  chosen === undefined ? wanted : wanted === undefined ? [...chosen] : wanted.filter((ticker) => chosen.has(ticker))

const noFilter = {
  statuses: undefined,
  tickers: undefined,
  events: undefined,
  series: undefined,
  minCloseSeconds: undefined,
  maxCloseSeconds: undefined,
  minUpdatedSeconds: undefined,
  after: undefined
}
const everything = 1_000_000

const marketsOf = (scene: ReplayScene, events: ReadonlyArray<string>) =>
  Effect.map(
    scene.catalog.markets(scene.now(), {
      ...noFilter,
      events,
      tickers: within(undefined, scene.chosen?.tickers),
      limit: everything
    }),
    (rows) => {
      const byEvent = new Map<string, Array<MarketRow>>()
      for (const row of rows) {
        const known = byEvent.get(row.event_ticker ?? "")
        if (known === undefined) byEvent.set(row.event_ticker ?? "", [row])
        else known.push(row)
      }
      return byEvent
    }
  )

const bodyOf = (scene: ReplayScene) => (row: MarketRow) => marketBody(row, scene.quote(row.ticker))

const events = (scene: ReplayScene, query: URLSearchParams): Answer => {
  const most = limit(query, 200, 200)
  const nested = flag(query, "with_nested_markets")
  const milestones = flag(query, "with_milestones")
  const filter = {
    statuses: statuses(query, ["unopened", "open", "closed", "settled"]),
    tickers: within(list(query, "tickers"), scene.chosen?.events),
    series: text(query, "series_ticker"),
    minCloseSeconds: integer(query, "min_close_ts"),
    minUpdatedSeconds: integer(query, "min_updated_ts"),
    after: afterOf(query),
    limit: most + 1
  }
  return Effect.gen(function* () {
    const rows = yield* scene.catalog.events(scene.now(), filter)
    const { cursor, items } = pageOf(query, rows, most, (row) => row.event_ticker)
    const markets = nested
      ? yield* marketsOf(
          scene,
          items.map((row) => row.event_ticker)
        )
      : undefined
    return json({
      cursor,
      events: items.map((row) => eventBody(row, markets?.get(row.event_ticker)?.map(bodyOf(scene)))),
      ...(milestones ? { milestones: [] } : {})
    })
  })
}

const oneEvent = (scene: ReplayScene, ticker: string): Effect.Effect<EventRow | undefined, SqlError> =>
  scene.chosen?.events.has(ticker) === false
    ? Effect.undefined
    : Effect.map(scene.catalog.events(scene.now(), { ...noFilter, tickers: [ticker], limit: 1 }), (rows) => rows[0])

const event = (scene: ReplayScene, query: URLSearchParams, ticker: string): Answer => {
  const nested = flag(query, "with_nested_markets")
  return Effect.gen(function* () {
    const row = yield* oneEvent(scene, ticker)
    if (row === undefined) return notFound
    const bodies = ((yield* marketsOf(scene, [ticker])).get(ticker) ?? []).map(bodyOf(scene))
    return json({ event: eventBody(row, nested ? bodies : undefined), markets: nested ? [] : bodies })
  })
}

const markets = (scene: ReplayScene, query: URLSearchParams): Answer => {
  const most = limit(query, 100, 1000)
  const eventTicker = text(query, "event_ticker")
  if (eventTicker?.includes(",") === true) refuse("only one event_ticker may be supplied")
  for (const name of ["min_created_ts", "max_created_ts", "min_settled_ts", "max_settled_ts"])
    if (text(query, name) !== undefined) refuse(`${name} is not known to the replay`)
  const filter = {
    statuses: statuses(query, ["unopened", "open", "paused", "closed", "settled"]),
    tickers: within(list(query, "tickers"), scene.chosen?.tickers),
    events: eventTicker === undefined ? undefined : [eventTicker],
    series: text(query, "series_ticker"),
    minCloseSeconds: integer(query, "min_close_ts"),
    maxCloseSeconds: integer(query, "max_close_ts"),
    minUpdatedSeconds: integer(query, "min_updated_ts"),
    after: afterOf(query),
    limit: most + 1
  }
  return Effect.map(scene.catalog.markets(scene.now(), filter), (rows) => {
    const { cursor, items } = pageOf(query, rows, most, (row) => row.ticker)
    return json({ cursor, markets: items.map(bodyOf(scene)) })
  })
}

const oneMarket = (scene: ReplayScene, ticker: string): Effect.Effect<MarketRow | undefined, SqlError> =>
  scene.chosen?.tickers.has(ticker) === false
    ? Effect.undefined
    : Effect.map(scene.catalog.markets(scene.now(), { ...noFilter, tickers: [ticker], limit: 1 }), (rows) => rows[0])

const market = (scene: ReplayScene, ticker: string): Answer =>
  Effect.map(oneMarket(scene, ticker), (row) => (row === undefined ? notFound : json({ market: bodyOf(scene)(row) })))

const seriesList = (scene: ReplayScene, query: URLSearchParams): Answer => {
  const category = text(query, "category")
  const tags = list(query, "tags")
  return Effect.map(scene.catalog.series(undefined), (rows) =>
    json({
      series: rows
        .filter((row) => category === undefined || row.category === category)
        .filter((row) => tags === undefined || tags.some((tag) => row.tags?.includes(tag) === true))
        .map(seriesBody)
    })
  )
}

const series = (scene: ReplayScene, ticker: string): Answer =>
  Effect.map(scene.catalog.series(ticker), ([row]) =>
    row === undefined ? notFound : json({ series: seriesBody(row) })
  )

const rangeOf = (query: URLSearchParams) => {
  const from = required(query, "start_ts")
  const to = required(query, "end_ts")
  const minutes = required(query, "period_interval")
  if (to < from) refuse("end_ts must not be before start_ts")
  if (minutes !== 1 && minutes !== 60 && minutes !== 1440) refuse("invalid period_interval")
  return { from, to, minutes, periods: (to - from) / (60 * minutes) }
}

const candlesOf = (
  scene: ReplayScene,
  tickers: ReadonlyArray<string>,
  { from, minutes, to }: { readonly from: number; readonly to: number; readonly minutes: number }
) =>
  Effect.map(scene.catalog.candles(scene.now(), tickers, minutes, from, to), (rows) => {
    const byMarket = new Map<string, Array<unknown>>(tickers.map((ticker) => [ticker, []]))
    for (const row of rows) byMarket.get(row.market_ticker)?.push(candleBody(row))
    return byMarket
  })

const knownOf = (scene: ReplayScene, tickers: ReadonlyArray<string>) =>
  Effect.map(
    scene.catalog.markets(scene.now(), {
      ...noFilter,
      tickers: within(tickers, scene.chosen?.tickers),
      limit: everything
    }),
    (rows) => rows.map((row) => row.ticker)
  )

const marketCandles = (scene: ReplayScene, query: URLSearchParams, ticker: string): Answer => {
  const range = rangeOf(query)
  if (range.periods > mostCandles)
    refuse(`requested time range with candlesticks: ${range.periods.toFixed(6)}, max candlesticks: ${mostCandles}`)
  return Effect.gen(function* () {
    if ((yield* oneMarket(scene, ticker)) === undefined) return notFound
    return json({ candlesticks: (yield* candlesOf(scene, [ticker], range)).get(ticker) ?? [], ticker })
  })
}

const batchCandles = (scene: ReplayScene, query: URLSearchParams): Answer => {
  const range = rangeOf(query)
  const tickers = list(query, "market_tickers") ?? refuse("missing market_tickers")
  if (tickers.length > mostTickers) refuse(`too many market_tickers: ${tickers.length}, max: ${mostTickers}`)
  const asked = tickers.length * range.periods
  if (asked > mostBatchCandles)
    refuse(`requested candlesticks across all markets: ${Math.ceil(asked)}, max candlesticks: ${mostBatchCandles}`)
  return Effect.gen(function* () {
    const candles = yield* candlesOf(scene, yield* knownOf(scene, tickers), range)
    return json({
      markets: [...candles].map(([market_ticker, candlesticks]) => ({ candlesticks, market_ticker }))
    })
  })
}

const eventCandles = (scene: ReplayScene, query: URLSearchParams, ticker: string): Answer => {
  const range = rangeOf(query)
  return Effect.gen(function* () {
    if ((yield* oneEvent(scene, ticker)) === undefined) return notFound
    const rows = (yield* marketsOf(scene, [ticker])).get(ticker) ?? []
    const allowed = Math.max(1, Math.floor(mostCandles / Math.max(1, rows.length)))
    const to = range.periods > allowed ? range.from + allowed * 60 * range.minutes : range.to
    const tickers = rows.map((row) => row.ticker)
    const candles = yield* candlesOf(scene, tickers, { ...range, to })
    return json({ adjusted_end_ts: to, market_candlesticks: [...candles.values()], market_tickers: tickers })
  })
}

const tradePosition = (query: URLSearchParams) => {
  const cursor = text(query, "cursor")
  if (cursor === undefined) return undefined
  const [ts, id] = decodeCursor(query, cursor) ?? refuse("invalid cursor")
  return { ts: Number(ts), id: String(id) }
}

const latestMillis = 4_000_000_000_000

const trades = (scene: ReplayScene, query: URLSearchParams): Answer => {
  const most = limit(query, 100, 1000)
  const ticker = text(query, "ticker")
  const least = integer(query, "min_ts")
  const greatest = integer(query, "max_ts")
  const after = tradePosition(query)
  if (flag(query, "is_block_trade")) return Effect.succeed(json({ cursor: "", trades: [] }))
  return Effect.map(
    scene.catalog.trades(scene.now(), {
      tickers: within(ticker === undefined ? undefined : [ticker], scene.chosen?.tickers),
      fromMillis: (least ?? 0) * 1000,
      toMillis: greatest === undefined ? latestMillis : (greatest + 1) * 1000,
      after,
      limit: most + 1
    }),
    (rows) => {
      const page = rows.slice(0, most)
      const last = page.at(-1)
      const cursor = rows.length > most && last !== undefined ? encodeCursor(query, [last.ts, last.trade_id]) : ""
      return json({ cursor, trades: page.map(tradeBody) })
    }
  )
}

const cut = (levels: Levels | undefined, depth: number) => {
  const best = (side: Levels["yes"]) => (depth > 0 ? side.slice(-depth) : side)
  return { no_dollars: best(levels?.no ?? []), yes_dollars: best(levels?.yes ?? []) }
}

const orderbook = (scene: ReplayScene, query: URLSearchParams, ticker: string): Answer => {
  const depth = integer(query, "depth") ?? 0
  if (depth > 100) refuse("depth must be between 0 and 100")
  return Effect.map(oneMarket(scene, ticker), (row) =>
    row === undefined ? notFound : json({ orderbook_fp: cut(scene.levels(ticker), depth) })
  )
}

const orderbooks = (scene: ReplayScene, query: URLSearchParams): Answer => {
  const tickers = list(query, "tickers") ?? refuse("missing tickers")
  if (tickers.length > 100) refuse(`too many tickers: ${tickers.length}, max: 100`)
  return Effect.map(knownOf(scene, tickers), (known) =>
    json({ orderbooks: known.map((ticker) => ({ orderbook_fp: cut(scene.levels(ticker), 0), ticker })) })
  )
}

const status = (scene: ReplayScene): Reply => {
  const active = !scene.isPaused()
  return json({
    exchange_active: active,
    ...(active ? {} : { exchange_estimated_resume_time: null }),
    intra_exchange_transfers_active: active,
    trading_active: active
  })
}

/** Everything is in the live tier: what was recorded never moves away. */
const cutoffTime = "1970-01-01T00:00:00Z"
const cutoff = json({
  market_positions_last_updated_ts: cutoffTime,
  market_settled_ts: cutoffTime,
  orders_updated_ts: cutoffTime,
  trades_created_ts: cutoffTime
})

const emptyPage = (name: string) => Effect.succeed(json({ cursor: "", [name]: [] }))

/** The REST side of a replay: the recorded catalog, as it stood at the replay's clock. */
export const replayRoutes =
  (scene: ReplayScene) =>
  (path: ReadonlyArray<string>, query: URLSearchParams, caller: Caller): Answer => {
    const [root, a, b, c, d] = path
    const now = Effect.succeed<Reply>
    const shape = path.length
    if (root === "events") {
      if (a === undefined) return events(scene, query)
      if (a === "multivariate") return emptyPage("events")
      if (a === "fee_changes") return emptyPage("event_fee_changes")
      if (shape === 2) return event(scene, query, a)
    }
    if (root === "markets") {
      if (a === undefined) return markets(scene, query)
      if (a === "trades") return trades(scene, query)
      if (a === "candlesticks") return batchCandles(scene, query)
      if (a === "orderbooks") return orderbooks(scene, query)
      if (b === "orderbook") return orderbook(scene, query, a)
      if (shape === 2) return market(scene, a)
    }
    if (root === "series") {
      if (a === undefined) return seriesList(scene, query)
      if (a === "fee_changes") return now(json({ series_fee_change_arr: [] }))
      if (shape === 2) return series(scene, a)
      if (b === "markets" && c !== undefined && d === "candlesticks") return marketCandles(scene, query, c)
      if (b === "events" && c !== undefined && d === "candlesticks") return eventCandles(scene, query, c)
    }
    if (root === "historical") {
      if (a === "cutoff") return now(cutoff)
      if (a === "trades" || (a === "markets" && b === undefined)) return emptyPage(a)
      if (a === "markets") return now(historicalNotFound)
    }
    if (root === "account" && a === "limits")
      return now(
        signedOnly(caller, true, scene.unauthorizedCode, () => limits(caller.bucket ?? new TokenBucket(0, 0, 0)))
      )
    if (root === "account" && a === "endpoint_costs") return now(endpointCosts)
    if (root === "exchange" && a === "status") return now(status(scene))
    if (root === "exchange" && a === "schedule") return now(schedule)
    if (root === "milestones" || root === "structured_targets") return emptyPage(root)
    return now(notFound)
  }
