import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import { fromMillis } from "../../src/market/Timestamp.ts"

/** The instant that these tests are about, on the exchange's clock. */
export const now = Date.parse("2026-08-24T15:30:00Z")
export const minute = 60_000
export const hour = 60 * minute

export interface MarketFixture {
  readonly ticker: string
  readonly status?: string
  readonly open?: number
  readonly close?: number
  readonly strikeType?: string
  readonly floor?: number
  readonly cap?: number
  readonly bid?: string
  readonly ask?: string
  readonly title?: string
}

/** Stores an event and its markets, each with a tick of ten seconds ago where it has a quote. */
export const event = Effect.fnUntraced(function* (
  ticker: string,
  markets: ReadonlyArray<MarketFixture>,
  facts: { readonly period?: string | null; readonly exclusive?: boolean; readonly title?: string } = {}
) {
  const sql = yield* PgClient.PgClient
  yield* sql`
    insert into events (event_ticker, series_ticker, title, strike_period, mutually_exclusive)
    values (${ticker}, ${ticker.split("-")[0]!}, ${facts.title ?? ticker}, ${facts.period === undefined ? "hour" : facts.period}, ${facts.exclusive ?? false})`
  for (const market of markets) {
    yield* sql`
      insert into markets (ticker, event_ticker, status, title, open_time, close_time, strike_type, floor_strike, cap_strike)
      values (
        ${market.ticker}, ${ticker}, ${market.status ?? "active"}, ${market.title ?? market.ticker},
        ${fromMillis(market.open ?? now - 20 * minute)}, ${fromMillis(market.close ?? now + 30 * minute)},
        ${market.strikeType ?? null}, ${market.floor ?? null}, ${market.cap ?? null})`
    if (market.bid === undefined || market.ask === undefined) continue
    yield* sql`insert into market_keys (ticker) values (${market.ticker}) on conflict do nothing`
    yield* tick(market.ticker, now - 10_000, market.bid, market.ask)
  }
})

export const tick = Effect.fnUntraced(function* (ticker: string, at: number, bid: string, ask: string) {
  const sql = yield* PgClient.PgClient
  yield* sql`
    insert into ticks (ts, received_ms, market_id, yes_bid_dollars, yes_ask_dollars, price_dollars)
    select ${fromMillis(at)}, 40, market_id, ${bid}::numeric, ${ask}::numeric, ${bid}::numeric from market_keys where ticker = ${ticker}`
})

export const settle = Effect.fnUntraced(function* (ticker: string, result: string | null, value: string | null = null) {
  const sql = yield* PgClient.PgClient
  yield* sql`
    update markets set status = 'finalized', result = ${result}, settlement_value_dollars = ${value}::numeric where ticker = ${ticker}`
})
