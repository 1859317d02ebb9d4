import type { Frame } from "../kalshi/SocketWire.ts"
import type { Lifecycle } from "../market/Lifecycle.ts"
import type { GapCause, QuarantinedFrame } from "../store/CaptureLedger.ts"
import type { StoredTick } from "../store/Ticks.ts"
import type { JournalPosition, JournalRecord } from "./JournalRecord.ts"

export type GapChange =
  | { readonly _tag: "Open"; readonly atMillis: number; readonly cause: GapCause; readonly detail: string }
  | { readonly _tag: "Close"; readonly atMillis: number }

/** What one journal record means for the database. Instants are exchange time. */
export interface CaptureItem {
  readonly end: JournalPosition
  readonly frames: number
  /** Our wall clock. */
  readonly receivedMillis: number
  readonly tick: StoredTick | undefined
  readonly lifecycle: Lifecycle | undefined
  readonly quarantined: QuarantinedFrame | undefined
  /** The frame as received, while it may still be refused. */
  readonly raw: string | undefined
  readonly gap: GapChange | undefined
  /** The last sign of life of the feed up to here. */
  readonly lastAliveMillis: number | undefined
}

/** What the items so far say about the feed; carried from batch to batch. */
export interface FeedState {
  readonly lastAliveMillis: number | undefined
}

/**
 * Reads one record. `decode` understands a frame; `fromWall` maps our clock to the exchange's. Each disconnect, shutdown
 * and crash opens a gap at the last sign of life, and the next acknowledged subscription closes it.
 */
export const interpret = (
  record: JournalRecord,
  start: JournalPosition,
  state: FeedState,
  decode: (raw: string, receivedMillis: number) => Frame,
  fromWall: (wallMillis: number) => number
): { readonly item: CaptureItem; readonly state: FeedState } => {
  const at = fromWall(record.receivedMillis)
  const item = {
    end: record.end,
    frames: 0,
    receivedMillis: record.receivedMillis,
    tick: undefined,
    lifecycle: undefined,
    quarantined: undefined,
    raw: undefined,
    gap: undefined,
    lastAliveMillis: state.lastAliveMillis
  }
  const alive = { ...item, lastAliveMillis: at }
  const opened = (cause: GapCause, detail: string): CaptureItem => ({
    ...item,
    // Postgres text holds no NUL, and a detail may be the feed's own words.
    gap: { _tag: "Open", atMillis: state.lastAliveMillis ?? at, cause, detail: detail.replaceAll("\u0000", "") }
  })
  const afterwards = { lastAliveMillis: at }
  switch (record.kind) {
    case "started":
      return state.lastAliveMillis === undefined
        ? { item, state: state }
        : { item: opened("process_down", record.payload), state: state }
    case "stopping":
      return { item: opened("shutdown", record.payload), state: state }
    case "closed":
      return { item: opened("disconnect", record.payload), state: state }
    case "live":
      return { item: { ...alive, gap: { _tag: "Close", atMillis: at } }, state: afterwards }
    case "alive":
      return { item: alive, state: afterwards }
    case "frame":
    case "snapshot": {
      const frame = decode(record.payload, at)
      const framed = { ...alive, frames: 1, raw: record.payload }
      switch (frame._tag) {
        case "Ticker":
          return {
            item: { ...framed, tick: { ...frame.tick, provenance: record.kind === "snapshot" ? "snapshot" : "live" } },
            state: afterwards
          }
        case "MarketLifecycle":
        case "EventLifecycle":
          return { item: { ...framed, lifecycle: frame }, state: afterwards }
        case "Malformed":
          return {
            item: {
              ...framed,
              quarantined: {
                receivedMillis: at,
                segment: start.segment,
                offset: start.offset,
                cause: frame.cause,
                raw: record.payload
              }
            },
            state: afterwards
          }
        default:
          return { item: framed, state: afterwards }
      }
    }
  }
}
