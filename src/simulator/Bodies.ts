import { day, iso, isoMicros, minute } from "./Calendar.ts"
import type { CandleSpec, Distribution } from "./Candles.ts"
import { closeAt, determinedAt, type EventSpec, type MarketSpec, settledAt, statusAt, structureAt } from "./Catalog.ts"
import type { Strictness } from "./Options.ts"
import { contracts, dollars, oneDollar, rangesBody } from "./Prices.ts"
import { combine, hash, unit, uuid } from "./Random.ts"
import type { SeriesSpec } from "./SeriesSpec.ts"
import type { Fill, Side, Tape } from "./Tape.ts"
import type { World } from "./World.ts"

/** Response objects with the exchange's keys, in alphabetical order as it writes them. */

const rules = (market: MarketSpec): string =>
  `If the value of ${market.event.series.asset.name} is ${market.yesSubTitle} at ${iso(market.event.closeMs)}, then the market resolves to Yes.`

/** True for a seeded share of names: where something unheard of is added. */
export const novel = (share: number, name: string): boolean => unit(combine(hash(name), 0x6e6f76)) < share

export const micros = (fill: Fill, ticker: string): number => combine(hash(ticker), fill.index) % 1000

export const tradeId = (ticker: string, fill: Fill): string => uuid(`${ticker}/${fill.index}`)

/** When the market's record (not its trading) last changed. */
export const updatedMs = (market: MarketSpec, now: number): number => {
  let updated = market.createdMs
  const consider = (ms: number) => {
    if (ms <= now && ms > updated) updated = ms
  }
  consider(market.event.openMs + 100)
  for (const move of market.closeMoves) consider(move.atMs)
  for (const pause of market.pauses) {
    consider(pause.fromMs)
    consider(pause.toMs)
  }
  for (const move of market.levelMoves) consider(move.atMs)
  for (const ruling of market.rulings) consider(ruling.atMs)
  if (market.renamedMs !== undefined) consider(market.renamedMs)
  consider(determinedAt(market, now))
  consider(settledAt(market, now))
  return updated
}

export const marketBody = (world: World, market: MarketSpec, strictness: Strictness) => {
  const { now } = world
  const { event } = market
  const { series } = event
  const status = statusAt(market, now)
  const structure = structureAt(market, now)
  const outcome = world.outcome(market)
  const tape = status === "initialized" ? undefined : world.tape(market)
  const top = tape?.top
  const before = tape === undefined || event.openMs > now - day ? undefined : tape.topAt(now - day)
  const close = closeAt(market, now)
  const bid = top?.bid ?? 0
  const ask = top?.ask ?? oneDollar
  const value = outcome?.result === "yes" ? "1.0000" : "0.0000"
  return {
    can_close_early: true,
    ...(market.cap === undefined ? {} : { cap_strike: market.cap }),
    close_time: iso(close),
    created_time: isoMicros(market.createdMs, hash(market.ticker) % 1000),
    ...(market.strikeType === "custom" ? { custom_strike: { leg: market.marketId } } : {}),
    event_ticker: event.ticker,
    exchange_index: series.exchangeIndex,
    expected_expiration_time: iso(close + 5 * minute),
    expiration_time: iso(event.closeMs + 7 * day),
    expiration_value: outcome?.expirationValue ?? "",
    ...(market.floor === undefined ? {} : { floor_strike: market.floor }),
    last_price_dollars: dollars(top?.last ?? 0),
    latest_expiration_time: iso(event.closeMs + 7 * day),
    liquidity_dollars: "0.0000",
    market_type: "binary",
    ...(series.kind === "combo"
      ? {
          mve_collection_ticker: `${series.ticker}-R`,
          mve_selected_legs: [{ event_ticker: "KXNBAGAME-X", market_ticker: "KXNBAGAME-X-BOS", side: "yes" }]
        }
      : {}),
    no_ask_dollars: dollars(oneDollar - bid),
    no_bid_dollars: dollars(oneDollar - ask),
    no_sub_title: market.noSubTitle,
    notional_value_dollars: "1.0000",
    open_interest_fp: contracts(top?.openInterest ?? 0),
    open_time: iso(event.openMs),
    previous_price_dollars: dollars(before?.last ?? 0),
    previous_yes_ask_dollars: before === undefined ? "0.0000" : dollars(before.ask),
    previous_yes_bid_dollars: dollars(before?.bid ?? 0),
    price_level_structure: structure.name,
    price_ranges: rangesBody(structure),
    result: outcome?.result ?? "",
    rules_primary: rules(market),
    rules_secondary: "Nothing herein is a fact: this exchange is simulated.",
    settlement_timer_seconds: series.timerSeconds,
    ...(status === "finalized" ? { settlement_ts: isoMicros(settledAt(market, now), 0) } : {}),
    ...(outcome === undefined ? {} : { settlement_value_dollars: value }),
    status,
    strike_type: market.strikeType,
    subtitle: market.yesSubTitle,
    ticker: market.ticker,
    title: event.title,
    updated_time: isoMicros(updatedMs(market, now), hash(market.ticker) % 997),
    volume_24h_fp: contracts((top?.volume ?? 0) - (before?.volume ?? 0)),
    volume_fp: contracts(top?.volume ?? 0),
    ...(novel(strictness.novelty, market.ticker) ? { xperimental_margin: { rate: 0.5, tiers: null } } : {}),
    yes_ask_dollars: dollars(ask),
    yes_ask_size_fp: contracts(top?.askSize ?? 0),
    yes_bid_dollars: dollars(bid),
    yes_bid_size_fp: contracts(top?.bidSize ?? 0),
    yes_sub_title: market.yesSubTitle
  }
}

const source = (series: SeriesSpec) => [
  series.kind === "temperature"
    ? { name: "National Weather Service", url: "https://forecast.weather.gov" }
    : { name: "CF Benchmarks", url: "https://www.cfbenchmarks.com" }
]

export const eventUpdatedMs = (event: EventSpec, now: number): number => {
  let updated = event.createdMs
  for (const move of event.markets[0]?.closeMoves ?? [])
    if (move.atMs <= now && move.atMs > updated) updated = move.atMs
  if (event.feeOverride !== undefined) updated = Math.max(updated, event.feeOverride.atMs)
  return updated
}

/** `markets`: the nested bodies; absent leaves the key out. */
export const eventBody = (
  event: EventSpec,
  now: number,
  strictness: Strictness,
  markets: ReadonlyArray<unknown> | undefined
) => ({
  category: event.series.category,
  collateral_return_type: event.exclusive ? "MECNET" : "",
  event_ticker: event.ticker,
  exchange_index: event.series.exchangeIndex,
  ...(novel(strictness.novelty, event.ticker) ? { experimental_badges: ["new"] } : {}),
  fee_multiplier_override: event.feeOverride?.multiplier ?? null,
  fee_type_override: event.feeOverride?.type ?? null,
  last_updated_ts: hash(event.ticker) % 40 === 0 ? "0001-01-01T00:00:00Z" : iso(eventUpdatedMs(event, now)),
  ...(markets === undefined ? {} : { markets }),
  mutually_exclusive: event.exclusive,
  product_metadata:
    event.series.cadence !== undefined && (event.series.cadence === "fifteen_min" || hash(event.ticker) % 2 === 0)
      ? { cadence: event.series.cadence }
      : null,
  series_ticker: event.series.ticker,
  settlement_sources: source(event.series),
  strike_date: event.strikePeriod === "" ? iso(event.closeMs) : null,
  strike_period: event.strikePeriod,
  sub_title: event.subTitle,
  title: event.title
})

export const seriesBody = (series: SeriesSpec, startMs: number, withMetadata: boolean) => ({
  additional_prohibitions: null,
  categories: [series.category],
  category: series.category,
  contract_terms_url: `https://simulated.invalid/terms/${series.ticker}.pdf`,
  contract_url: `https://simulated.invalid/contract/${series.ticker}.pdf`,
  exchange_index: series.exchangeIndex,
  fee_multiplier: series.ticker === "KXINXU" ? 0.5 : 1,
  fee_type:
    series.kind === "combo"
      ? "quadratic_with_combo_maker_fees"
      : series.ticker === "KXFED"
        ? "margin_market_maker_program_fees"
        : "quadratic",
  frequency: series.frequency,
  last_updated_ts: iso(startMs - day),
  ...(withMetadata ? { product_metadata: series.cadence === undefined ? null : { cadence: series.cadence } } : {}),
  settlement_sources: source(series),
  tags: series.tags,
  ticker: series.ticker,
  title: series.title
})

export const tradeBody = (ticker: string, fill: Fill) => ({
  count_fp: contracts(fill.count),
  created_time: isoMicros(fill.ms, micros(fill, ticker)),
  is_block_trade: false,
  no_price_dollars: dollars(oneDollar - fill.price),
  taker_book_side: fill.taker === "yes" ? "bid" : "ask",
  taker_outcome_side: fill.taker,
  taker_side: fill.taker,
  ticker,
  trade_id: tradeId(ticker, fill),
  yes_price_dollars: dollars(fill.price)
})

/** The best `depth` levels, ascending; all of them when `depth` is not positive. */
export const levels = (side: Side, depth: number): Array<[string, string]> => {
  const from = depth > 0 ? Math.max(0, side.prices.length - depth) : 0
  return side.prices.slice(from).map((price, i) => [dollars(price), contracts(side.sizes[from + i]!)])
}

export const bookBody = (tape: Tape | undefined, depth: number) => ({
  no_dollars: tape === undefined ? [] : levels(tape.no, depth),
  yes_dollars: tape === undefined ? [] : levels(tape.yes, depth)
})

const quoteBody = ({ close, high, low, open }: Distribution) => ({
  close_dollars: dollars(close),
  high_dollars: dollars(high),
  low_dollars: dollars(low),
  open_dollars: dollars(open)
})

export const candleBody = (candle: CandleSpec, strictness: Strictness) => {
  const { price } = candle
  const none = strictness.nullPrices
    ? { close_dollars: null, high_dollars: null, low_dollars: null, mean_dollars: null, open_dollars: null }
    : {}
  return {
    end_period_ts: candle.end,
    open_interest_fp: contracts(candle.openInterest),
    price: {
      ...(price === undefined
        ? none
        : {
            close_dollars: dollars(price.close),
            high_dollars: dollars(price.high),
            low_dollars: dollars(price.low),
            mean_dollars: dollars(price.mean),
            open_dollars: dollars(price.open)
          }),
      ...(candle.previous > 0 ? { previous_dollars: dollars(candle.previous) } : {})
    },
    volume_fp: contracts(candle.volume),
    yes_ask: quoteBody(candle.ask),
    yes_bid: quoteBody(candle.bid)
  }
}

const oldQuoteBody = ({ close, high, low, open }: Distribution) => ({
  close: dollars(close),
  high: dollars(high),
  low: dollars(low),
  open: dollars(open)
})

/** The historical tier's spelling of the same candle. */
export const historicalCandleBody = (candle: CandleSpec) => {
  const { price } = candle
  return {
    end_period_ts: candle.end,
    open_interest: contracts(candle.openInterest),
    price: {
      close: price === undefined ? null : dollars(price.close),
      high: price === undefined ? null : dollars(price.high),
      low: price === undefined ? null : dollars(price.low),
      mean: price === undefined ? null : dollars(price.mean),
      open: price === undefined ? null : dollars(price.open),
      previous: candle.previous > 0 ? dollars(candle.previous) : null
    },
    volume: contracts(candle.volume),
    yes_ask: oldQuoteBody(candle.ask),
    yes_bid: oldQuoteBody(candle.bid)
  }
}
