import type { Event } from "./Event.ts"
import type { Market } from "./Market.ts"

/**
 * One message of the lifecycle feed about one market. `kind` is the exchange's word (`created`, `activated`,
 * `deactivated`, `close_date_updated`, `determined`, `settled`, `price_level_structure_updated`, `metadata_updated`;
 * unknown words are kept). `market` holds what the message says about the market, and nothing else.
 */
export interface MarketLifecycle {
  readonly _tag: "MarketLifecycle"
  readonly kind: string
  readonly ticker: string
  readonly sid: number
  readonly seq: number | undefined
  readonly receivedMillis: number
  readonly market: Market
  readonly raw: unknown
}

/** A new event, announced on the lifecycle feed. */
export interface EventLifecycle {
  readonly _tag: "EventLifecycle"
  readonly kind: "event_lifecycle" | "event_fee_update"
  readonly ticker: string
  readonly sid: number
  readonly seq: number | undefined
  readonly receivedMillis: number
  readonly event: Event
  readonly raw: unknown
}

export type Lifecycle = MarketLifecycle | EventLifecycle

const statuses: Readonly<Record<string, string>> = {
  created: "initialized",
  activated: "active",
  deactivated: "inactive",
  determined: "determined",
  settled: "finalized"
}

/** The status a market has once a message of this kind was sent; nothing when the kind says nothing about it. */
export const statusAfter = (kind: string): string | undefined => statuses[kind]
