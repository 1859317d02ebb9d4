import { levels, novel, tradeId } from "./Bodies.ts"
import { isoMicros, isoSecond, pad } from "./Calendar.ts"
import { closeAt, type EventSpec, type MarketSpec, settledAt } from "./Catalog.ts"
import { contracts, dollars, oneDollar, type PriceStructure, rangesBody } from "./Prices.ts"
import type { Delta, Fill, Tape, TopOfBook } from "./Tape.ts"

/** The `msg` part of every message, serialised once whoever gets it. */

const stamp = (ms: number): string => {
  const second = Math.floor(ms / 1000)
  return `"ts":${second},"ts_ms":${ms},"time":"${isoSecond(second)}.${pad(ms - second * 1000, 3)}${pad(ms % 997, 3)}Z"}`
}

/** A ticker message around the bid size, which load frames vary. */
export const tickerParts = (market: MarketSpec, top: TopOfBook): readonly [head: string, tail: string] => [
  `{"market_id":"${market.marketId}","market_ticker":"${market.ticker}","price_dollars":"${dollars(top.last)}","yes_bid_dollars":"${dollars(top.bid)}","yes_ask_dollars":"${dollars(top.ask)}","volume_fp":"${contracts(top.volume)}","open_interest_fp":"${contracts(top.openInterest)}","dollar_volume":${Math.floor(top.dollarVolume / 1_000_000)},"dollar_open_interest":${Math.floor((top.openInterest * top.last) / 1_000_000)},"yes_bid_size_fp":"`,
  `","yes_ask_size_fp":"${contracts(top.askSize)}","last_trade_size_fp":"${contracts(top.lastSize)}",`
]

export const withSize = (parts: readonly [string, string], bidSize: number, ms: number): string =>
  parts[0] + contracts(bidSize) + parts[1] + stamp(ms)

export const ticker = (market: MarketSpec, top: TopOfBook, novelty: number): string => {
  const text = withSize(tickerParts(market, top), top.bidSize, top.ms)
  return novelty > 0 && novel(novelty, `${market.ticker}${top.ms}`)
    ? `${text.slice(0, -1)},"xperimental_depth":{"levels":3}}`
    : text
}

export const trade = (market: MarketSpec, fill: Fill, ms: number): string =>
  JSON.stringify({
    trade_id: tradeId(market.ticker, fill),
    market_ticker: market.ticker,
    yes_price_dollars: dollars(fill.price),
    no_price_dollars: dollars(oneDollar - fill.price),
    count_fp: contracts(fill.count),
    taker_side: fill.taker,
    taker_outcome_side: fill.taker,
    taker_book_side: fill.taker === "yes" ? "bid" : "ask",
    is_block_trade: false,
    ts: Math.floor(ms / 1000),
    ts_ms: ms
  })

export const delta = (market: MarketSpec, { price, side, size }: Delta, ms: number, useYesPrice: boolean): string =>
  JSON.stringify({
    market_ticker: market.ticker,
    market_id: market.marketId,
    price_dollars: dollars(useYesPrice && side === "no" ? oneDollar - price : price),
    delta_fp: contracts(size),
    side,
    ts: isoMicros(ms, ms % 991),
    ts_ms: ms
  })

export const snapshot = (market: MarketSpec, tape: Tape | undefined, useYesPrice: boolean): string => {
  const yes = tape === undefined ? [] : levels(tape.yes, 0)
  const no =
    tape === undefined
      ? []
      : levels(
          useYesPrice ? { prices: tape.no.prices.map((price) => oneDollar - price), sizes: tape.no.sizes } : tape.no,
          0
        )
  return JSON.stringify({
    market_ticker: market.ticker,
    market_id: market.marketId,
    ...(yes.length === 0 ? {} : { yes_dollars_fp: yes }),
    ...(no.length === 0 ? {} : { no_dollars_fp: no })
  })
}

const seconds = (ms: number): number => Math.floor(ms / 1000)

export const created = (market: MarketSpec): string => {
  const { event } = market
  const { series } = event
  return JSON.stringify({
    market_ticker: market.ticker,
    open_ts: seconds(event.openMs),
    close_ts: seconds(event.closeMs),
    exchange_index: series.exchangeIndex,
    ...(series.kind === "combo"
      ? {}
      : { price_level_structure: series.structure.name, price_ranges: rangesBody(series.structure) }),
    additional_metadata: {
      name: event.title,
      title: event.title,
      yes_sub_title: market.yesSubTitle,
      no_sub_title: market.noSubTitle,
      rules_primary: `Resolves to Yes if ${market.yesSubTitle}.`,
      rules_secondary: "",
      can_close_early: true,
      event_ticker: event.ticker,
      expected_expiration_ts: seconds(event.closeMs + 300_000),
      strike_type: market.strikeType,
      ...(market.floor === undefined ? {} : { floor_strike: market.floor }),
      ...(market.cap === undefined ? {} : { cap_strike: market.cap })
    },
    event_type: "created"
  })
}

export const paused = (market: MarketSpec, isDeactivated: boolean): string =>
  JSON.stringify({
    market_ticker: market.ticker,
    is_deactivated: isDeactivated,
    event_type: isDeactivated ? "deactivated" : "activated"
  })

export const closeMoved = (market: MarketSpec, now: number): string =>
  JSON.stringify({
    market_ticker: market.ticker,
    close_ts: seconds(closeAt(market, now)),
    event_type: "close_date_updated"
  })

export const determined = (market: MarketSpec, atMs: number, result: string): string =>
  JSON.stringify({
    market_ticker: market.ticker,
    determination_ts: seconds(atMs),
    result,
    settlement_value: result === "yes" ? "1.0000" : "0.0000",
    event_type: "determined"
  })

export const settled = (market: MarketSpec, now: number): string =>
  JSON.stringify({ market_ticker: market.ticker, settled_ts: seconds(settledAt(market, now)), event_type: "settled" })

export const relevelled = (market: MarketSpec, structure: PriceStructure): string =>
  JSON.stringify({
    market_ticker: market.ticker,
    price_level_structure: structure.name,
    price_ranges: rangesBody(structure),
    event_type: "price_level_structure_updated"
  })

export const renamed = (market: MarketSpec): string =>
  JSON.stringify({
    market_ticker: market.ticker,
    strike_type: market.strikeType,
    ...(market.floor === undefined ? {} : { floor_strike: market.floor }),
    ...(market.cap === undefined ? {} : { cap_strike: market.cap }),
    yes_sub_title: market.yesSubTitle,
    event_type: "metadata_updated"
  })

export const feesChanged = (event: EventSpec): string =>
  JSON.stringify({
    event_ticker: event.ticker,
    fee_type_override: event.feeOverride?.type ?? null,
    fee_multiplier_override: event.feeOverride?.multiplier ?? null
  })

export const eventCreated = (event: EventSpec): string =>
  JSON.stringify({
    event_ticker: event.ticker,
    title: event.title,
    subtitle: event.subTitle,
    collateral_return_type: event.exclusive ? "MECNET" : "",
    series_ticker: event.series.ticker,
    exchange_index: event.series.exchangeIndex,
    ...(event.strikePeriod === "" ? { strike_date: seconds(event.closeMs) } : { strike_period: event.strikePeriod })
  })
