import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Tick } from "../market/Tick.ts"

/** How a row came to us. */
export const provenance = { live: 0, snapshot: 1, backfill: 2, repaired: 3, replay: 4 } as const
export type Provenance = keyof typeof provenance

export interface StoredTick extends Tick {
  readonly provenance: Provenance
}

const array = (values: ReadonlyArray<unknown>, oid: number) => Result.getOrThrow(PgTypes.array(values, oid))
// @effect-diagnostics-next-line globalDate:off the driver encodes an instant as a Date
const instant = (millis: number) => new Date(millis)
const numerics = (rows: ReadonlyArray<StoredTick>, pick: (row: StoredTick) => string | undefined) =>
  array(
    rows.map((row) => pick(row) ?? null),
    PgTypes.OID.numeric
  )

/**
 * Ticks, and the latest of each market. A market's number (`market_keys`) is given on first sight, so that a tick of a market
 * that the catalog does not know yet is stored like any other.
 */
export class Ticks extends Context.Service<
  Ticks,
  {
    /** Gives every ticker its number. Call it outside of the transaction that stores the ticks. */
    register(tickers: ReadonlySet<string>): Effect.Effect<void, SqlError>
    /** Appends ticks of registered markets and moves their latest state, in one statement. */
    insert(ticks: ReadonlyArray<StoredTick>): Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/Ticks") {
  static readonly layer = Layer.effect(
    Ticks,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const ids = new Map<string, number>()

      const register = Effect.fnUntraced(function* (tickers: ReadonlySet<string>) {
        const missing = [...tickers].filter((ticker) => !ids.has(ticker)).sort()
        if (missing.length === 0) return
        yield* sql`
          insert into market_keys (ticker)
          select ticker from unnest(${missing}::text[]) as wanted (ticker)
          where not exists (select from market_keys k where k.ticker = wanted.ticker)
          on conflict (ticker) do nothing`
        const rows = yield* sql<{ ticker: string; market_id: number }>`
          select ticker, market_id from market_keys where ticker = any(${missing})`
        for (const row of rows) ids.set(row.ticker, row.market_id)
      })

      const insert = Effect.fnUntraced(function* (ticks: ReadonlyArray<StoredTick>) {
        if (ticks.length === 0) return
        yield* sql`
          with incoming as (
            select * from unnest(
              ${array(
                ticks.map((tick) => instant(tick.exchangeMillis)),
                PgTypes.OID.timestamptz
              )},
              ${array(
                ticks.map((tick) => instant(tick.receivedMillis)),
                PgTypes.OID.timestamptz
              )},
              ${array(
                ticks.map((tick) => ids.get(tick.ticker) ?? null),
                PgTypes.OID.int4
              )},
              ${array(
                ticks.map((tick) => provenance[tick.provenance]),
                PgTypes.OID.int2
              )},
              ${numerics(ticks, (tick) => tick.price)}, ${numerics(ticks, (tick) => tick.yesBid)},
              ${numerics(ticks, (tick) => tick.yesAsk)}, ${numerics(ticks, (tick) => tick.yesBidSize)},
              ${numerics(ticks, (tick) => tick.yesAskSize)}, ${numerics(ticks, (tick) => tick.lastTradeSize)},
              ${numerics(ticks, (tick) => tick.volume)}, ${numerics(ticks, (tick) => tick.openInterest)},
              ${numerics(ticks, (tick) => tick.dollarVolume)}, ${numerics(ticks, (tick) => tick.dollarOpenInterest)}
            ) with ordinality as r (
              ts, received_at, market_id, provenance, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size,
              yes_ask_size, last_trade_size, volume, open_interest, dollar_volume, dollar_open_interest, n)
          ), stored as (
            insert into ticks (
              ts, received_at, market_id, provenance, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size,
              yes_ask_size, last_trade_size, volume, open_interest, dollar_volume, dollar_open_interest)
            select
              ts, received_at, market_id, provenance, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size,
              yes_ask_size, last_trade_size, volume, open_interest, dollar_volume, dollar_open_interest
            from incoming
          )
          insert into ticks_latest as t (
            market_id, ts, received_at, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, yes_ask_size,
            last_trade_size, volume, open_interest)
          select distinct on (market_id)
            market_id, ts, received_at, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, yes_ask_size,
            last_trade_size, volume, open_interest
          from incoming
          order by market_id, ts desc, n desc
          on conflict (market_id) do update set
            ts = excluded.ts, received_at = excluded.received_at,
            price_dollars = coalesce(excluded.price_dollars, t.price_dollars),
            yes_bid_dollars = coalesce(excluded.yes_bid_dollars, t.yes_bid_dollars),
            yes_ask_dollars = coalesce(excluded.yes_ask_dollars, t.yes_ask_dollars),
            yes_bid_size = coalesce(excluded.yes_bid_size, t.yes_bid_size),
            yes_ask_size = coalesce(excluded.yes_ask_size, t.yes_ask_size),
            last_trade_size = coalesce(excluded.last_trade_size, t.last_trade_size),
            volume = coalesce(excluded.volume, t.volume),
            open_interest = coalesce(excluded.open_interest, t.open_interest)
          where t.ts <= excluded.ts`
      })

      return Ticks.of({ register, insert })
    })
  )
}
