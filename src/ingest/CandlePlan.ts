import type { CandleInterval } from "../market/Candle.ts"
import { endAtOrAfter, endAtOrBefore, lengthOf } from "../market/CandlePeriod.ts"

/** The candles of one market that end after `fromMillis` and not after `toMillis`, epoch milliseconds. */
export interface CandleRequest {
  readonly ticker: string
  /** Absent: the exchange is asked on the route that does not need it. */
  readonly seriesTicker: string | undefined
  readonly periodMinutes: CandleInterval
  readonly fromMillis: number
  readonly toMillis: number
}

interface Span {
  readonly fromMillis: number
  readonly toMillis: number
}

/** One call to the exchange, for candles that end after `fromMillis` and not after `toMillis`. */
export type CandleCall = Span & { readonly interval: CandleInterval } & (
    | { readonly _tag: "Batch"; readonly tickers: ReadonlyArray<string> }
    | { readonly _tag: "Single"; readonly ticker: string; readonly seriesTicker: string }
    | { readonly _tag: "Historical"; readonly ticker: string }
  )

/** What one call may ask for, counted by the range and not by what exists in it. */
export interface CandleLimits {
  /** Markets of one batch. */
  readonly tickers: number
  /** Markets × periods of one batch. */
  readonly batchPeriods: number
  /** Periods of one market. */
  readonly periods: number
  /** Hours of one call's range. */
  readonly hours: number
}

export const exchangeLimits: CandleLimits = {
  tickers: 100,
  batchPeriods: 10_000,
  periods: 5_000,
  hours: Number.POSITIVE_INFINITY
}

export const tickersOf = (call: CandleCall): ReadonlyArray<string> =>
  call._tag === "Batch" ? call.tickers : [call.ticker]

/** How many ends of periods may lie in a span. */
export const periodsIn = (interval: CandleInterval, { fromMillis, toMillis }: Span): number =>
  Math.ceil((toMillis - fromMillis) / lengthOf(interval))

interface Block extends Span {
  readonly tickers: ReadonlyArray<string>
}

interface Wanted {
  readonly seriesTicker: string | undefined
  readonly spans: ReadonlyArray<Span>
}

/** Ranges of each market on the grid, without overlaps, ascending. Two that are no further apart than `bridge` become one. */
const wantedOf = (
  interval: CandleInterval,
  requests: ReadonlyArray<CandleRequest>,
  bridgeMillis: number
): ReadonlyMap<string, Wanted> => {
  const byTicker = new Map<string, { seriesTicker: string | undefined; asked: Array<Span> }>()
  for (const { fromMillis, seriesTicker, ticker, toMillis } of requests) {
    const span = { fromMillis: endAtOrBefore(interval, fromMillis), toMillis: endAtOrAfter(interval, toMillis) }
    if (toMillis <= fromMillis) continue
    const found = byTicker.get(ticker)
    if (found === undefined) byTicker.set(ticker, { seriesTicker, asked: [span] })
    else {
      found.asked.push(span)
      found.seriesTicker ??= seriesTicker
    }
  }
  const wanted = new Map<string, Wanted>()
  for (const [ticker, { asked, seriesTicker }] of byTicker) {
    const spans: Array<Span> = []
    for (const span of asked.sort((a, b) => a.fromMillis - b.fromMillis)) {
      const last = spans.at(-1)
      if (last === undefined || span.fromMillis - last.toMillis > bridgeMillis) spans.push(span)
      else
        spans[spans.length - 1] = {
          fromMillis: last.fromMillis,
          toMillis: Math.max(last.toMillis, span.toMillis)
        }
    }
    wanted.set(ticker, { seriesTicker, spans })
  }
  return wanted
}

/** Cuts a span into parts of at most so many periods. */
const cut = (interval: CandleInterval, span: Span, periods: number): ReadonlyArray<Span> => {
  const length = lengthOf(interval)
  const parts: Array<Span> = []
  let from = span.fromMillis
  while (from < span.toMillis) {
    const reach = from + periods * length
    const onGrid = endAtOrBefore(interval, reach)
    const to = Math.min(span.toMillis, onGrid > from ? onGrid : reach)
    parts.push({ fromMillis: from, toMillis: to })
    from = to
  }
  return parts
}

/** As many batches as markets of one and the same range need: the width that gives the fewest, and then the fewest cuts. */
const blocksOf = (
  interval: CandleInterval,
  span: Span,
  tickers: ReadonlyArray<string>,
  limits: CandleLimits,
  mostPeriods: number
): ReadonlyArray<Block> => {
  const periods = periodsIn(interval, span)
  let best = { calls: Number.POSITIVE_INFINITY, cuts: Number.POSITIVE_INFINITY, wide: 1, long: 1 }
  for (let wide = 1; wide <= Math.min(limits.tickers, tickers.length); wide++) {
    const long = Math.min(Math.floor(limits.batchPeriods / wide), mostPeriods)
    if (long < 1) break
    const cuts = Math.ceil(periods / long)
    const calls = Math.ceil(tickers.length / wide) * cuts
    if (calls < best.calls || (calls === best.calls && cuts <= best.cuts)) best = { calls, cuts, wide, long }
  }
  const parts = cut(interval, span, best.long)
  const blocks: Array<Block> = []
  for (let at = 0; at < tickers.length; at += best.wide) {
    const some = tickers.slice(at, at + best.wide)
    for (const part of parts) blocks.push({ ...part, tickers: some })
  }
  return blocks
}

interface OpenBlock {
  fromMillis: number
  toMillis: number
  readonly tickers: Set<string>
}

/** Blocks that a new one is compared with: the ones before it in time that are nearest. */
const lookBack = 48

const around = (a: Span, b: Span): Span => ({
  fromMillis: Math.min(a.fromMillis, b.fromMillis),
  toMillis: Math.max(a.toMillis, b.toMillis)
})

/** Puts blocks of different ranges into one call where the rectangle around them is still allowed. */
const merged = (
  interval: CandleInterval,
  blocks: ReadonlyArray<Block>,
  limits: CandleLimits,
  mostPeriods: number
): ReadonlyArray<Block> => {
  const sorted = [...blocks].sort((a, b) => a.fromMillis - b.fromMillis || a.toMillis - b.toMillis)
  const blocksOfTicker = new Map<string, Array<Block>>()
  for (const block of sorted)
    for (const ticker of block.tickers) {
      const found = blocksOfTicker.get(ticker)
      if (found === undefined) blocksOfTicker.set(ticker, [block])
      else found.push(block)
    }
  const callOf = new Map<Block, OpenBlock>()
  /** Whether the rectangle would ask again for what another call asks for. */
  const asksTwice = (open: OpenBlock, block: Block): boolean => {
    const { fromMillis, toMillis } = around(open, block)
    const isElsewhere = (other: Block) =>
      other !== block && callOf.get(other) !== open && other.fromMillis < toMillis && other.toMillis > fromMillis
    const found = (ticker: string) => {
      const some = blocksOfTicker.get(ticker)
      return some !== undefined && some.length > 1 && some.some(isElsewhere)
    }
    for (const ticker of open.tickers) if (found(ticker)) return true
    return block.tickers.some(found)
  }
  const calls: Array<OpenBlock> = []
  const growing: Array<OpenBlock> = []
  for (const block of sorted) {
    const fitting: Array<{ readonly open: OpenBlock; readonly grown: number }> = []
    for (const open of growing) {
      const periods = periodsIn(interval, around(open, block))
      if (periods > mostPeriods) continue
      let tickers = open.tickers.size
      for (const ticker of block.tickers) if (!open.tickers.has(ticker)) tickers++
      if (tickers > limits.tickers || tickers * periods > limits.batchPeriods) continue
      fitting.push({ open, grown: tickers * periods - open.tickers.size * periodsIn(interval, open) })
    }
    const chosen = fitting.sort((a, b) => a.grown - b.grown).find(({ open }) => !asksTwice(open, block))?.open
    if (chosen === undefined) {
      const made = { fromMillis: block.fromMillis, toMillis: block.toMillis, tickers: new Set(block.tickers) }
      calls.push(made)
      growing.push(made)
      if (growing.length > lookBack) growing.shift()
      callOf.set(block, made)
      continue
    }
    callOf.set(block, chosen)
    Object.assign(chosen, around(chosen, block))
    for (const ticker of block.tickers) chosen.tickers.add(ticker)
  }
  return calls.map(({ fromMillis, tickers, toMillis }) => ({ fromMillis, toMillis, tickers: [...tickers] }))
}

const liveCalls = (
  interval: CandleInterval,
  requests: ReadonlyArray<CandleRequest>,
  limits: CandleLimits
): ReadonlyArray<CandleCall> => {
  const mostPeriods = longest(interval, limits)
  // A range more costs a place of one batch: as much as so many periods.
  const place = Math.floor(limits.batchPeriods / limits.tickers)
  const wanted = wantedOf(interval, requests, place * lengthOf(interval))
  const classes = new Map<string, { span: Span; tickers: Array<string> }>()
  for (const [ticker, { spans }] of wanted)
    for (const span of spans) {
      const key = `${span.fromMillis} ${span.toMillis}`
      const found = classes.get(key)
      if (found === undefined) classes.set(key, { span, tickers: [ticker] })
      else found.tickers.push(ticker)
    }
  const blocks = [...classes.values()].flatMap(({ span, tickers }) =>
    blocksOf(interval, span, tickers, limits, mostPeriods)
  )
  return merged(interval, blocks, limits, mostPeriods).map(({ fromMillis, tickers, toMillis }): CandleCall => {
    const span = { interval, fromMillis, toMillis }
    const [ticker, ...others] = tickers
    const seriesTicker = others.length === 0 && ticker !== undefined ? wanted.get(ticker)?.seriesTicker : undefined
    return ticker === undefined || seriesTicker === undefined
      ? { _tag: "Batch", tickers, ...span }
      : { _tag: "Single", ticker, seriesTicker, ...span }
  })
}

const historicalCalls = (
  interval: CandleInterval,
  requests: ReadonlyArray<CandleRequest>,
  limits: CandleLimits
): ReadonlyArray<CandleCall> => {
  const mostPeriods = longest(interval, limits)
  const calls: Array<CandleCall> = []
  for (const [ticker, { spans }] of wantedOf(interval, requests, 0)) {
    const parts: Array<Span> = []
    for (const span of spans) {
      let from = span.fromMillis
      const last = parts.at(-1)
      if (last !== undefined) {
        const reach = endAtOrBefore(interval, last.fromMillis + mostPeriods * lengthOf(interval))
        if (reach > from) {
          parts[parts.length - 1] = { fromMillis: last.fromMillis, toMillis: Math.min(reach, span.toMillis) }
          from = Math.min(reach, span.toMillis)
        }
      }
      if (from < span.toMillis) parts.push(...cut(interval, { fromMillis: from, toMillis: span.toMillis }, mostPeriods))
    }
    for (const part of parts) calls.push({ _tag: "Historical", interval, ticker, ...part })
  }
  return calls
}

const longest = (interval: CandleInterval, { hours, periods }: CandleLimits): number =>
  Math.max(1, Math.min(periods, Math.floor((hours * 3_600_000) / lengthOf(interval))))

const intervals: ReadonlyArray<CandleInterval> = [1, 60, 1440]

/**
 * Few calls that together ask for every requested period once. The live tier comes first, and what is nearest to leaving it first:
 * there one call serves many markets, in the historical tier one.
 */
export const plan = (
  requests: ReadonlyArray<CandleRequest>,
  isArchived: (ticker: string) => boolean,
  limits: CandleLimits = exchangeLimits
): ReadonlyArray<CandleCall> => {
  const oldestFirst = (calls: ReadonlyArray<CandleCall>) => [...calls].sort((a, b) => a.toMillis - b.toMillis)
  const of = (
    archived: boolean,
    make: (
      interval: CandleInterval,
      some: ReadonlyArray<CandleRequest>,
      limits: CandleLimits
    ) => ReadonlyArray<CandleCall>
  ) =>
    oldestFirst(
      intervals.flatMap((interval) =>
        make(
          interval,
          requests.filter(({ periodMinutes, ticker }) => periodMinutes === interval && isArchived(ticker) === archived),
          limits
        )
      )
    )
  return [...of(false, liveCalls), ...of(true, historicalCalls)]
}
