import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Tick } from "../market/Tick.ts"
import { MarketKeys } from "./MarketKeys.ts"
import { PgArray } from "./PgArray.ts"
import { clockJumpMillis, type TickBatch } from "./TickBatch.ts"

/** Ticks, and the latest of each market. */
export class Ticks extends Context.Service<
  Ticks,
  {
    /** Appends ticks of registered markets (`MarketKeys`) and moves their latest state. Joins the caller's transaction. */
    insert(ticks: TickBatch): Effect.Effect<void, SqlError>
    /** Leaves one of equal ticks, within a minute of an instant of each market (exchange milliseconds). */
    collapse(around: ReadonlyMap<string, number>): Effect.Effect<void, SqlError>
    /** Removes the ticks of these markets, stamps and times of reception. Joins the caller's transaction. */
    remove(ticks: TickBatch): Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/Ticks") {
  static readonly layer = Layer.effect(
    Ticks,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const keys = yield* MarketKeys

      // unnest in the select list streams: in the from clause it materializes every column first, which takes twice as long.
      const append = (ticks: TickBatch) => sql`
        insert into ticks (
          ts, received_ms, market_id, provenance, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, yes_ask_size,
          last_trade_size, volume, open_interest, dollar_volume, dollar_open_interest)
        select
          unnest(${ticks.ts.parameter}), unnest(${ticks.receivedMs.parameter}), unnest(${keys.idsOf(ticks.tickers)}),
          unnest(${ticks.provenance.parameter}), unnest(${ticks.price.parameter}), unnest(${ticks.yesBid.parameter}),
          unnest(${ticks.yesAsk.parameter}), unnest(${ticks.yesBidSize.parameter}), unnest(${ticks.yesAskSize.parameter}),
          unnest(${ticks.lastTradeSize.parameter}), unnest(${ticks.volume.parameter}), unnest(${ticks.openInterest.parameter}),
          unnest(${ticks.dollarVolume.parameter}), unnest(${ticks.dollarOpenInterest.parameter})`

      // Markets in one order for every writer, so that two of them wait for each other and never deadlock.
      const moveLatest = (latest: ReadonlyArray<Tick>) => {
        const ts = PgArray.instants()
        const receivedAt = PgArray.instants()
        const numerics = latestFields.map(() => PgArray.numerics())
        for (const tick of latest) {
          ts.instant(tick.exchangeMillis)
          receivedAt.instant(tick.receivedMillis)
          latestFields.forEach((field, index) => {
            numerics[index]!.decimal(tick[field])
          })
        }
        const [price, yesBid, yesAsk, yesBidSize, yesAskSize, lastTradeSize, volume, openInterest] = numerics.map(
          (column) => column.parameter
        )
        return sql`
          insert into ticks_latest as t (
            market_id, ts, received_at, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, yes_ask_size,
            last_trade_size, volume, open_interest)
          select * from unnest(
            ${keys.idsOf(latest.map(({ ticker }) => ticker))}, ${ts.parameter}, ${receivedAt.parameter}, ${price!}, ${yesBid!},
            ${yesAsk!}, ${yesBidSize!}, ${yesAskSize!}, ${lastTradeSize!}, ${volume!}, ${openInterest!})
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
          where t.ts <= excluded.ts
            or (t.received_at < excluded.received_at and t.ts - excluded.ts >= ${clockJumpMillis} * interval '1 millisecond')`
      }

      const appendFrames = ({ raw, receivedMs, tickers, ts }: TickBatch["frames"]) => sql`
        insert into tick_frames (ts, received_ms, market_id, raw)
        select f.ts, f.received_ms, f.market_id, f.raw::json
        from unnest(${ts.parameter}, ${receivedMs.parameter}, ${keys.idsOf(tickers)}, ${raw.parameter})
          as f (ts, received_ms, market_id, raw)`

      const insert = Effect.fnUntraced(function* (ticks: TickBatch) {
        if (ticks.length === 0) return
        yield* append(ticks)
        if (ticks.frames.tickers.length > 0) yield* appendFrames(ticks.frames)
        yield* moveLatest(
          [...ticks.latest.values()].sort((a, b) => (keys.idOf(a.ticker) ?? 0) - (keys.idOf(b.ticker) ?? 0))
        )
      })

      const remove = Effect.fnUntraced(function* (ticks: TickBatch) {
        for (const table of ["ticks", "tick_frames"])
          yield* sql`
            delete from ${sql(table)} t
            using unnest(${keys.idsOf(ticks.tickers)}, ${ticks.ts.parameter}, ${ticks.receivedMs.parameter})
              as g (market_id, ts, received_ms)
            where t.market_id = g.market_id and t.ts = g.ts and t.received_ms = g.received_ms`
      })

      const collapse = (around: ReadonlyMap<string, number>) => {
        const since = PgArray.instants()
        for (const millis of around.values()) since.instant(millis)
        return Effect.asVoid(sql`
          delete from ticks t
          using unnest(${keys.idsOf([...around.keys()])}, ${since.parameter}) as g (market_id, since), ticks o
          where t.market_id = g.market_id and t.ts >= g.since - interval '1 minute' and t.ts < g.since + interval '1 minute'
            and o.market_id = t.market_id and o.ts = t.ts and o.tableoid = t.tableoid and o.ctid < t.ctid
            and (o.price_dollars, o.yes_bid_dollars, o.yes_ask_dollars, o.yes_bid_size, o.yes_ask_size, o.volume, o.open_interest)
              is not distinct from
              (t.price_dollars, t.yes_bid_dollars, t.yes_ask_dollars, t.yes_bid_size, t.yes_ask_size, t.volume, t.open_interest)`)
      }

      return Ticks.of({ insert, collapse, remove })
    })
  )
}

const latestFields = [
  "price",
  "yesBid",
  "yesAsk",
  "yesBidSize",
  "yesAskSize",
  "lastTradeSize",
  "volume",
  "openInterest"
] as const satisfies ReadonlyArray<keyof Tick>
