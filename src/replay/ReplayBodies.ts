import type { CandleRow, EventRow, MarketRow, SeriesRow, TradeRow } from "../store/ReplayCatalog.ts"
import { padded } from "./DatabaseFrames.ts"

/** Response objects with the exchange's keys. What was never recorded is left out, not made up. */

const instant = (text: string | null) => text?.replace(/\.0+Z$/, "Z")

const present = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined))

const strike = (text: string | null) => (text === null ? undefined : Number(text))
const dollars = (text: string | null) => (text === null ? undefined : padded(text, 4))

const complement = (text: unknown) => (typeof text === "string" ? (1 - Number(text)).toFixed(4) : undefined)

/** `quote`: the last ticker message, if there is one. */
export const marketBody = (row: MarketRow, quote: Readonly<Record<string, unknown>> = {}) => {
  const text = (name: string, otherwise: string) => (typeof quote[name] === "string" ? quote[name] : otherwise)
  const bid = text("yes_bid_dollars", "0.0000")
  const ask = text("yes_ask_dollars", "1.0000")
  return present({
    can_close_early: row.can_close_early,
    cap_strike: strike(row.cap_strike),
    close_time: instant(row.close_time),
    created_time: instant(row.created_time),
    custom_strike: row.custom_strike,
    event_ticker: row.event_ticker,
    exchange_index: row.exchange_index,
    expected_expiration_time: instant(row.expected_expiration_time),
    expiration_value: row.expiration_value ?? "",
    floor_strike: strike(row.floor_strike),
    functional_strike: row.functional_strike,
    is_provisional: row.is_provisional,
    last_price_dollars: text("price_dollars", "0.0000"),
    latest_expiration_time: instant(row.latest_expiration_time),
    market_type: row.market_type ?? "binary",
    no_ask_dollars: complement(bid),
    no_bid_dollars: complement(ask),
    no_sub_title: row.no_sub_title ?? "",
    notional_value_dollars: "1.0000",
    open_interest_fp: text("open_interest_fp", "0.00"),
    open_time: instant(row.open_time),
    price_level_structure: row.price_level_structure,
    price_ranges: row.price_ranges,
    result: row.result ?? "",
    rules_primary: row.rules_primary ?? "",
    rules_secondary: row.rules_secondary ?? "",
    settlement_timer_seconds: row.settlement_timer_seconds,
    settlement_ts: instant(row.settlement_ts),
    settlement_value_dollars: dollars(row.settlement_value_dollars),
    status: row.status,
    strike_type: row.strike_type,
    subtitle: row.yes_sub_title ?? "",
    ticker: row.ticker,
    title: row.title ?? "",
    updated_time: instant(row.updated_time),
    volume_fp: text("volume_fp", "0.00"),
    yes_ask_dollars: ask,
    yes_ask_size_fp: text("yes_ask_size_fp", "0.00"),
    yes_bid_dollars: bid,
    yes_bid_size_fp: text("yes_bid_size_fp", "0.00"),
    yes_sub_title: row.yes_sub_title ?? ""
  })
}

/** `markets`: the nested bodies; undefined leaves the key out. */
export const eventBody = (row: EventRow, markets: ReadonlyArray<unknown> | undefined) => ({
  category: row.category ?? "",
  collateral_return_type: row.collateral_return_type ?? "",
  event_ticker: row.event_ticker,
  ...(row.exchange_index === null ? {} : { exchange_index: row.exchange_index }),
  fee_multiplier_override: strike(row.fee_multiplier_override) ?? null,
  fee_type_override: row.fee_type_override,
  last_updated_ts: instant(row.last_updated) ?? "0001-01-01T00:00:00Z",
  ...(markets === undefined ? {} : { markets }),
  mutually_exclusive: row.mutually_exclusive ?? false,
  product_metadata: row.cadence === null ? null : { cadence: row.cadence },
  series_ticker: row.series_ticker ?? "",
  strike_date: instant(row.strike_date) ?? null,
  strike_period: row.strike_period ?? "",
  sub_title: row.sub_title ?? "",
  title: row.title ?? ""
})

export const seriesBody = (row: SeriesRow) =>
  present({
    category: row.category ?? "",
    contract_url: row.contract_url,
    fee_multiplier: strike(row.fee_multiplier),
    fee_type: row.fee_type,
    frequency: row.frequency ?? "",
    last_updated_ts: instant(row.last_updated),
    tags: row.tags,
    ticker: row.ticker,
    title: row.title ?? ""
  })

export const tradeBody = (row: TradeRow) =>
  present({
    count_fp: padded(row.count, 2),
    created_time: row.created_time,
    is_block_trade: row.is_block_trade,
    no_price_dollars: dollars(row.no_price),
    taker_book_side: row.taker_side === null ? undefined : row.taker_side === "yes" ? "bid" : "ask",
    taker_outcome_side: row.taker_side,
    taker_side: row.taker_side,
    ticker: row.ticker,
    trade_id: row.trade_id,
    yes_price_dollars: dollars(row.yes_price)
  })

const quoteBody = (row: CandleRow, side: "bid" | "ask", empty: string) => {
  const of = (name: "open" | "high" | "low" | "close") => padded(row[`yes_${side}_${name}`] ?? empty, 4)
  return { close_dollars: of("close"), high_dollars: of("high"), low_dollars: of("low"), open_dollars: of("open") }
}

export const candleBody = (row: CandleRow) => ({
  end_period_ts: row.end_period_ts,
  open_interest_fp: padded(row.open_interest ?? "0", 2),
  price: present({
    close_dollars: dollars(row.close),
    high_dollars: dollars(row.high),
    low_dollars: dollars(row.low),
    mean_dollars: dollars(row.mean),
    open_dollars: dollars(row.open),
    previous_dollars: dollars(row.previous)
  }),
  volume_fp: padded(row.volume ?? "0", 2),
  yes_ask: quoteBody(row, "ask", "1"),
  yes_bid: quoteBody(row, "bid", "0")
})
