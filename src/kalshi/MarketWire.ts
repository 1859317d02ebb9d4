import * as Schema from "effect/Schema"
import type { Market } from "../market/Market.ts"
import { payload } from "./Unknowns.ts"
import * as Vocabulary from "./Vocabulary.ts"
import * as Wire from "./Wire.ts"

const PriceRange = Schema.Struct({
  start: Wire.RequiredDecimal,
  end: Wire.RequiredDecimal,
  step: Wire.RequiredDecimal
})
export const PriceRanges = Schema.optionalKey(Schema.NullOr(Schema.Array(PriceRange)))

export const priceRanges = (ranges: ReadonlyArray<typeof PriceRange.Type> | null | undefined): Market["priceRanges"] =>
  ranges?.map(({ start, end, step }) => ({
    start: Wire.toDecimal(start)!,
    end: Wire.toDecimal(end)!,
    step: Wire.toDecimal(step)!
  }))

/** A market as REST gives it, live or historical. */
export const MarketWire = Schema.Struct({
  ticker: Schema.String.check(Schema.isMinLength(1)),
  event_ticker: Wire.Text,
  market_type: Wire.Word(Vocabulary.marketTypes),
  title: Wire.Text,
  subtitle: Wire.Unread,
  yes_sub_title: Wire.Text,
  no_sub_title: Wire.Text,
  created_time: Wire.Time,
  updated_time: Wire.Time,
  open_time: Wire.Time,
  close_time: Wire.Time,
  expected_expiration_time: Wire.Time,
  expiration_time: Wire.Unread,
  latest_expiration_time: Wire.Time,
  settlement_timer_seconds: Wire.Int,
  status: Wire.Word(Vocabulary.marketStatuses),
  yes_bid_dollars: Wire.DecimalField,
  yes_ask_dollars: Wire.DecimalField,
  no_bid_dollars: Wire.Unread,
  no_ask_dollars: Wire.Unread,
  yes_bid_size_fp: Wire.DecimalField,
  yes_ask_size_fp: Wire.DecimalField,
  last_price_dollars: Wire.DecimalField,
  previous_yes_bid_dollars: Wire.Unread,
  previous_yes_ask_dollars: Wire.Unread,
  previous_price_dollars: Wire.Unread,
  volume_fp: Wire.DecimalField,
  volume_24h_fp: Wire.DecimalField,
  open_interest_fp: Wire.DecimalField,
  notional_value_dollars: Wire.Unread,
  liquidity_dollars: Wire.Unread,
  result: Wire.Word(Vocabulary.results),
  settlement_value_dollars: Wire.DecimalField,
  settlement_ts: Wire.Time,
  expiration_value: Wire.Text,
  occurrence_datetime: Wire.Unread,
  fee_waiver_expiration_time: Wire.Unread,
  early_close_condition: Wire.Unread,
  can_close_early: Wire.Flag,
  strike_type: Wire.Word(Vocabulary.strikeTypes),
  floor_strike: Wire.DecimalField,
  cap_strike: Wire.DecimalField,
  functional_strike: Wire.Text,
  custom_strike: Wire.Unread,
  rules_primary: Wire.Text,
  rules_secondary: Wire.Text,
  mve_collection_ticker: Wire.Text,
  mve_selected_legs: Wire.Unread,
  primary_participant_key: Wire.Unread,
  price_level_structure: Wire.Word(Vocabulary.priceLevelStructures),
  price_ranges: PriceRanges,
  is_provisional: Wire.Flag,
  exchange_index: Wire.Int
}).annotate(payload("market"))

export const toMarket = (wire: typeof MarketWire.Type): Market =>
  Wire.present({
    ticker: wire.ticker,
    eventTicker: Wire.text(wire.event_ticker),
    marketType: Wire.text(wire.market_type),
    title: Wire.text(wire.title),
    yesSubTitle: Wire.text(wire.yes_sub_title),
    noSubTitle: Wire.text(wire.no_sub_title),
    status: Wire.text(wire.status),
    createdTime: Wire.time(wire.created_time),
    updatedTime: Wire.time(wire.updated_time),
    openTime: Wire.time(wire.open_time),
    closeTime: Wire.time(wire.close_time),
    expectedExpirationTime: Wire.time(wire.expected_expiration_time),
    latestExpirationTime: Wire.time(wire.latest_expiration_time),
    settlementTime: Wire.time(wire.settlement_ts),
    settlementTimerSeconds: Wire.some(wire.settlement_timer_seconds),
    settlementValue: Wire.decimal(wire.settlement_value_dollars),
    result: Wire.text(wire.result),
    expirationValue: Wire.text(wire.expiration_value),
    canCloseEarly: Wire.some(wire.can_close_early),
    strikeType: Wire.text(wire.strike_type),
    floorStrike: Wire.decimal(wire.floor_strike),
    capStrike: Wire.decimal(wire.cap_strike),
    functionalStrike: Wire.text(wire.functional_strike),
    customStrike: Wire.some(wire.custom_strike),
    rulesPrimary: Wire.text(wire.rules_primary),
    rulesSecondary: Wire.text(wire.rules_secondary),
    priceLevelStructure: Wire.text(wire.price_level_structure),
    priceRanges: priceRanges(wire.price_ranges),
    isProvisional: Wire.some(wire.is_provisional),
    isMultivariate: Wire.text(wire.mve_collection_ticker) === undefined ? undefined : true,
    exchangeIndex: Wire.some(wire.exchange_index),
    quote: quote(wire)
  })

const quote = (wire: typeof MarketWire.Type): Market["quote"] => {
  const found = Wire.present({
    price: Wire.decimal(wire.last_price_dollars),
    yesBid: Wire.decimal(wire.yes_bid_dollars),
    yesAsk: Wire.decimal(wire.yes_ask_dollars),
    yesBidSize: Wire.decimal(wire.yes_bid_size_fp),
    yesAskSize: Wire.decimal(wire.yes_ask_size_fp),
    volume: Wire.decimal(wire.volume_fp),
    volume24h: Wire.decimal(wire.volume_24h_fp),
    openInterest: Wire.decimal(wire.open_interest_fp)
  })
  return Object.keys(found).length === 0 ? undefined : found
}
