import type { JournalEntry } from "../../src/ingest/JournalRecord.ts"

/** 2026-08-24T15:50:00Z */
export const start = 1_787_586_600_000

export const ticker = (ticker: string, millis: number, fields: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    type: "ticker",
    sid: 1,
    msg: {
      market_id: "9b0f6b43-5b68-4f9f-9f02-9a2d1b8ac1a1",
      market_ticker: ticker,
      price_dollars: "0.4700",
      yes_bid_dollars: "0.4500",
      yes_ask_dollars: "0.4700",
      volume_fp: "5123.00",
      open_interest_fp: "1834.25",
      dollar_volume: 2561,
      dollar_open_interest: 917,
      yes_bid_size_fp: "88.50",
      yes_ask_size_fp: "120.00",
      last_trade_size_fp: "5.00",
      ts: Math.floor(millis / 1000),
      ts_ms: millis,
      ...fields
    }
  })

export const lifecycle = (ticker: string, kind: string, fields: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    type: "market_lifecycle_v2",
    sid: 2,
    msg: { market_ticker: ticker, event_type: kind, ...fields }
  })

export const created = (
  ticker: string,
  eventTicker: string,
  openMillis: number,
  hours: number,
  metadata: Readonly<Record<string, unknown>> = {}
): string =>
  lifecycle(ticker, "created", {
    open_ts: openMillis / 1000,
    close_ts: openMillis / 1000 + hours * 3600,
    additional_metadata: { event_ticker: eventTicker, title: `Title of ${ticker}`, ...metadata }
  })

export const eventLifecycle = (eventTicker: string, fields: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    type: "event_lifecycle",
    sid: 2,
    msg: { event_ticker: eventTicker, title: `Event ${eventTicker}`, ...fields }
  })

export const entry = (kind: JournalEntry["kind"], receivedMillis: number, payload = ""): JournalEntry => ({
  kind,
  receivedMillis,
  monotonicMillis: receivedMillis,
  payload
})
