import * as Schema from "effect/Schema"
import type { Decimal } from "../market/Decimal.ts"
import { Timestamp } from "../market/Timestamp.ts"
import { type Decode, decoding, type Page } from "./RestWire.ts"
import { payload } from "./Unknowns.ts"
import * as Vocabulary from "./Vocabulary.ts"
import * as Wire from "./Wire.ts"

/** Settled markets before `marketsSettled`, and fills before `tradesCreated`, are in the historical tier only. */
export interface HistoricalCutoff {
  readonly marketsSettled: Timestamp
  readonly tradesCreated: Timestamp
}

export const historicalCutoff: Decode<HistoricalCutoff> = decoding(
  Schema.Struct({
    market_settled_ts: Timestamp,
    trades_created_ts: Timestamp,
    orders_updated_ts: Wire.Unread,
    market_positions_last_updated_ts: Wire.Unread
  }).annotate(payload("historical_cutoff")),
  (wire) => ({ marketsSettled: wire.market_settled_ts, tradesCreated: wire.trades_created_ts })
)

export interface ExchangeStatus {
  readonly exchangeActive: boolean
  readonly tradingActive: boolean
  readonly estimatedResumeTime: Timestamp | undefined
}

export const exchangeStatus: Decode<ExchangeStatus> = decoding(
  Schema.Struct({
    exchange_active: Schema.Boolean,
    trading_active: Schema.Boolean,
    exchange_estimated_resume_time: Wire.Time,
    intra_exchange_transfers_active: Wire.Unread,
    exchange_index_statuses: Wire.Unread
  }).annotate(payload("exchange_status")),
  (wire) => ({
    exchangeActive: wire.exchange_active,
    tradingActive: wire.trading_active,
    estimatedResumeTime: Wire.time(wire.exchange_estimated_resume_time)
  })
)

const weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const
export type Weekday = (typeof weekdays)[number]

/** Times of day are `HH:MM` in US Eastern time; a close of 00:00 is the day's end. */
export interface ExchangeSchedule {
  readonly standardHours: ReadonlyArray<{
    readonly start: Timestamp | undefined
    readonly end: Timestamp | undefined
    readonly sessions: Readonly<Record<Weekday, ReadonlyArray<{ readonly open: string; readonly close: string }>>>
  }>
  readonly maintenanceWindows: ReadonlyArray<{
    readonly start: Timestamp | undefined
    readonly end: Timestamp | undefined
  }>
}

const Sessions = Schema.optionalKey(
  Schema.NullOr(Schema.Array(Schema.Struct({ open_time: Schema.String, close_time: Schema.String })))
)
const Hours = Schema.Struct({
  start_time: Wire.Time,
  end_time: Wire.Time,
  monday: Sessions,
  tuesday: Sessions,
  wednesday: Sessions,
  thursday: Sessions,
  friday: Sessions,
  saturday: Sessions,
  sunday: Sessions
})

const sessions = (hours: typeof Hours.Type, day: Weekday) =>
  hours[day]?.map(({ open_time, close_time }) => ({ open: open_time, close: close_time })) ?? []

export const exchangeSchedule: Decode<ExchangeSchedule> = decoding(
  Schema.Struct({
    schedule: Schema.Struct({
      standard_hours: Schema.Array(Hours),
      maintenance_windows: Schema.optionalKey(
        Schema.NullOr(Schema.Array(Schema.Struct({ start_datetime: Wire.Time, end_datetime: Wire.Time })))
      )
    })
  }).annotate(payload("exchange_schedule")),
  ({ schedule }) => ({
    standardHours: schedule.standard_hours.map((hours) => ({
      start: Wire.time(hours.start_time),
      end: Wire.time(hours.end_time),
      sessions: {
        monday: sessions(hours, "monday"),
        tuesday: sessions(hours, "tuesday"),
        wednesday: sessions(hours, "wednesday"),
        thursday: sessions(hours, "thursday"),
        friday: sessions(hours, "friday"),
        saturday: sessions(hours, "saturday"),
        sunday: sessions(hours, "sunday")
      }
    })),
    maintenanceWindows:
      schedule.maintenance_windows?.map((window) => ({
        start: Wire.time(window.start_datetime),
        end: Wire.time(window.end_datetime)
      })) ?? []
  })
)

/** Tokens a second and how many may pile up, for reads and writes. */
export interface AccountLimits {
  readonly usageTier: string
  readonly read: { readonly refillRate: number; readonly capacity: number }
  readonly write: { readonly refillRate: number; readonly capacity: number }
}

const Positive = Schema.Finite.check(Schema.isGreaterThan(0))
const Bucket = Schema.Struct({ refill_rate: Positive, bucket_capacity: Positive })

export const accountLimits: Decode<AccountLimits> = decoding(
  Schema.Struct({
    usage_tier: Wire.Word(Vocabulary.usageTiers),
    read: Bucket,
    write: Bucket,
    grants: Wire.Unread
  }).annotate(payload("account_limits")),
  ({ read, usage_tier, write }) => ({
    usageTier: usage_tier ?? "",
    read: { refillRate: read.refill_rate, capacity: read.bucket_capacity },
    write: { refillRate: write.refill_rate, capacity: write.bucket_capacity }
  })
)

/** A change of fees to come, or one that was; `undefined` where the override ends. */
export interface FeeChange {
  readonly id: string
  readonly seriesTicker: string | undefined
  readonly eventTicker: string | undefined
  readonly feeType: string | undefined
  readonly feeMultiplier: Decimal | undefined
  readonly scheduled: Timestamp
}

const Id = Schema.Union([Schema.String, Schema.Finite])

export const seriesFeeChanges: Decode<ReadonlyArray<FeeChange>> = decoding(
  Schema.Struct({
    series_fee_change_arr: Schema.Array(
      Schema.Struct({
        id: Id,
        series_ticker: Schema.String,
        fee_type: Wire.Word(Vocabulary.feeTypes),
        fee_multiplier: Wire.DecimalField,
        scheduled_ts: Timestamp
      }).annotate(payload("series_fee_change"))
    )
  }).annotate(payload("series_fee_changes")),
  (wire) =>
    wire.series_fee_change_arr.map((change) => ({
      id: String(change.id),
      seriesTicker: change.series_ticker,
      eventTicker: undefined,
      feeType: Wire.text(change.fee_type),
      feeMultiplier: Wire.decimal(change.fee_multiplier),
      scheduled: change.scheduled_ts
    }))
)

export const eventFeeChangesPage: Decode<Page<FeeChange>> = decoding(
  Schema.Struct({
    cursor: Wire.Text,
    event_fee_changes: Schema.Array(
      Schema.Struct({
        id: Id,
        event_ticker: Schema.String,
        series_ticker: Wire.Text,
        fee_type_override: Wire.Word(Vocabulary.feeTypes),
        fee_multiplier_override: Wire.DecimalField,
        scheduled_ts: Timestamp
      }).annotate(payload("event_fee_change"))
    )
  }).annotate(payload("event_fee_changes")),
  (wire) => ({
    cursor: Wire.text(wire.cursor),
    items: wire.event_fee_changes.map((change) => ({
      id: String(change.id),
      seriesTicker: Wire.text(change.series_ticker),
      eventTicker: change.event_ticker,
      feeType: Wire.text(change.fee_type_override),
      feeMultiplier: Wire.decimal(change.fee_multiplier_override),
      scheduled: change.scheduled_ts
    }))
  })
)
