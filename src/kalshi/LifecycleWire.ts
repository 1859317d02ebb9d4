import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Event } from "../market/Event.ts"
import type { Market } from "../market/Market.ts"
import { PriceRanges, priceRanges } from "./MarketWire.ts"
import { oneOf, payload, reporter, type Unknowns } from "./Unknowns.ts"
import * as Vocabulary from "./Vocabulary.ts"
import * as Wire from "./Wire.ts"

const Seconds = Schema.optionalKey(
  Schema.NullOr(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 253402300799 })))
)

const strike = {
  strike_type: Wire.Word(Vocabulary.strikeTypes),
  floor_strike: Wire.DecimalField,
  cap_strike: Wire.DecimalField,
  functional_strike: Wire.Text,
  custom_strike: Wire.Unread
}

const Metadata = Schema.Struct({
  ...strike,
  name: Wire.Unread,
  title: Wire.Text,
  yes_sub_title: Wire.Text,
  no_sub_title: Wire.Text,
  rules_primary: Wire.Text,
  rules_secondary: Wire.Text,
  can_close_early: Wire.Flag,
  event_ticker: Wire.Text,
  expected_expiration_ts: Seconds
})

export const MarketLifecycleWire = Schema.Struct({
  ...strike,
  market_ticker: Schema.String.check(Schema.isMinLength(1)),
  event_type: Schema.String.annotate(oneOf(Vocabulary.lifecycleKinds)),
  market_id: Wire.Unread,
  open_ts: Seconds,
  close_ts: Seconds,
  determination_ts: Seconds,
  settled_ts: Seconds,
  result: Wire.Word(Vocabulary.results),
  settlement_value: Wire.DecimalField,
  is_deactivated: Wire.Unread,
  exchange_index: Wire.Int,
  price_level_structure: Wire.Word(Vocabulary.priceLevelStructures),
  price_ranges: PriceRanges,
  yes_sub_title: Wire.Text,
  additional_metadata: Schema.optionalKey(Schema.NullOr(Metadata))
}).annotate(payload("market_lifecycle_v2"))

export const EventLifecycleWire = Schema.Struct({
  event_ticker: Schema.String.check(Schema.isMinLength(1)),
  title: Wire.Text,
  subtitle: Wire.Text,
  collateral_return_type: Wire.Word(Vocabulary.collateralReturnTypes),
  series_ticker: Wire.Text,
  exchange_index: Wire.Int,
  strike_date: Seconds,
  strike_period: Wire.Text,
  fee_type_override: Wire.Word(Vocabulary.feeTypes),
  fee_multiplier_override: Wire.DecimalField
}).annotate(payload("event_lifecycle"))

const decodeMarket = Wire.decoder(MarketLifecycleWire)
const decodeEvent = Wire.decoder(EventLifecycleWire)
const reportMarket = reporter(MarketLifecycleWire)
const reportEvent = reporter(EventLifecycleWire)

/** The status that a kind of message puts a market in; the others say nothing about it. */
const statusOf: Readonly<Record<string, string>> = {
  activated: "active",
  deactivated: "inactive",
  determined: "determined",
  settled: "finalized"
}

/** The `msg` of a `market_lifecycle_v2` frame. */
export const marketLifecycle = (
  msg: unknown,
  unknowns: Unknowns
): Result.Result<{ readonly kind: string; readonly market: Market }, string> => {
  reportMarket(msg, unknowns)
  return Result.map(decodeMarket(msg), (wire) => {
    const metadata = wire.additional_metadata ?? {}
    return {
      kind: wire.event_type,
      market: Wire.present({
        ticker: wire.market_ticker,
        eventTicker: Wire.text(metadata.event_ticker),
        title: Wire.text(metadata.title),
        yesSubTitle: Wire.text(wire.yes_sub_title) ?? Wire.text(metadata.yes_sub_title),
        noSubTitle: Wire.text(metadata.no_sub_title),
        status: statusOf[wire.event_type],
        openTime: Wire.timeOfSeconds(wire.open_ts),
        closeTime: Wire.timeOfSeconds(wire.close_ts),
        expectedExpirationTime: Wire.timeOfSeconds(metadata.expected_expiration_ts),
        determinationTime: Wire.timeOfSeconds(wire.determination_ts),
        settlementTime: Wire.timeOfSeconds(wire.settled_ts),
        settlementValue: Wire.decimal(wire.settlement_value),
        result: Wire.text(wire.result),
        canCloseEarly: Wire.some(metadata.can_close_early),
        strikeType: Wire.text(wire.strike_type) ?? Wire.text(metadata.strike_type),
        floorStrike: Wire.decimal(wire.floor_strike) ?? Wire.decimal(metadata.floor_strike),
        capStrike: Wire.decimal(wire.cap_strike) ?? Wire.decimal(metadata.cap_strike),
        functionalStrike: Wire.text(wire.functional_strike) ?? Wire.text(metadata.functional_strike),
        customStrike: Wire.some(wire.custom_strike) ?? Wire.some(metadata.custom_strike),
        rulesPrimary: Wire.text(metadata.rules_primary),
        rulesSecondary: Wire.text(metadata.rules_secondary),
        priceLevelStructure: Wire.text(wire.price_level_structure),
        priceRanges: priceRanges(wire.price_ranges),
        exchangeIndex: Wire.some(wire.exchange_index)
      })
    }
  })
}

/** The `msg` of an `event_lifecycle` or `event_fee_update` frame. */
export const eventLifecycle = (msg: unknown, unknowns: Unknowns): Result.Result<Event, string> => {
  reportEvent(msg, unknowns)
  return Result.map(decodeEvent(msg), (wire) =>
    Wire.present({
      eventTicker: wire.event_ticker,
      seriesTicker: Wire.text(wire.series_ticker),
      title: Wire.text(wire.title),
      subTitle: Wire.text(wire.subtitle),
      collateralReturnType: Wire.text(wire.collateral_return_type),
      strikeDate: Wire.timeOfSeconds(wire.strike_date),
      strikePeriod: Wire.text(wire.strike_period),
      hasFeeOverride: Wire.isAny(wire.fee_type_override, wire.fee_multiplier_override),
      feeTypeOverride: Wire.text(wire.fee_type_override),
      feeMultiplierOverride: Wire.decimal(wire.fee_multiplier_override),
      exchangeIndex: Wire.some(wire.exchange_index)
    })
  )
}
