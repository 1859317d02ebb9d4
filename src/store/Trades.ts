import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis, microsBeyond, toMillis } from "../market/Timestamp.ts"
import type { Trade } from "../market/Trade.ts"
import { MarketKeys } from "./MarketKeys.ts"
import { type Provenance, provenance } from "./Provenance.ts"
import { transaction } from "./Transaction.ts"

/** `receivedMillis`: when the frame left the socket; absent when the exchange's list showed the trade. */
export interface StoredTrade extends Trade {
  readonly receivedMillis: number | undefined
  readonly provenance: Provenance
}

/** The live feed stamps a trade in milliseconds, the list in microseconds: the two stamps of one trade are never further apart. */
const stampsApart = 1_000

const column =
  <A>(oid: number) =>
  (trades: ReadonlyArray<StoredTrade>, pick: (trade: StoredTrade) => A | undefined) =>
    Result.getOrThrow(
      PgTypes.array(
        trades.map((trade) => pick(trade) ?? null),
        oid
      )
    )
const texts = column<string>(PgTypes.OID.text)
const numerics = column<string>(PgTypes.OID.numeric)
const integers = column<number>(PgTypes.OID.int4)
const smallIntegers = column<number>(PgTypes.OID.int2)
const booleans = column<boolean>(PgTypes.OID.bool)
const instants = column<Date>(PgTypes.OID.timestamptz)
// @effect-diagnostics-next-line globalDate:off the driver encodes an instant as a Date
const instant = (millis: number | undefined) => (millis === undefined ? undefined : new Date(millis))

/** Public trades, each once, however often and from wherever it is seen. */
export class Trades extends Context.Service<
  Trades,
  {
    /**
     * Stores trades of markets registered with MarketKeys; returns how many were new. A trade that is stored already only gains
     * what its row lacks: the time of reception, the microseconds. Joins the caller's transaction.
     */
    insert(trades: ReadonlyArray<StoredTrade>): Effect.Effect<number, SqlError>
    /** The exchange's stamp of the oldest trade that the live feed brought. */
    readonly firstLiveMillis: Effect.Effect<Option.Option<number>, SqlError>
    /** Whether the live feed brought a trade at this instant or later. */
    hasLiveSince(millis: number): Effect.Effect<boolean, SqlError>
  }
>()("kalshi-ingestor/store/Trades") {
  static readonly layer = Layer.effect(
    Trades,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const keys = yield* MarketKeys

      /**
       * The key (trade_id, ts) holds off a second row only where both stamps are equal. So whoever stores from the list waits for
       * those who store live to commit, and they for it; those who store live need not wait for each other.
       */
      const takeTurns = (isLive: boolean) =>
        isLive
          ? sql`select pg_advisory_xact_lock_shared(hashtext('trades'))`
          : sql`select pg_advisory_xact_lock(hashtext('trades'))`

      const store = Effect.fnUntraced(function* (trades: ReadonlyArray<StoredTrade>) {
        const stamps = trades.map(({ createdTime }) => toMillis(createdTime))
        const lowest = fromMillis(stamps.reduce((least, at) => Math.min(least, at)) - stampsApart)
        const highest = fromMillis(stamps.reduce((most, at) => Math.max(most, at)) + stampsApart)
        const rows = yield* sql<{ stored: number }>`
          with incoming as (
            select distinct on (trade_id) *
            from (
              select ts, received_at, id::uuid as trade_id, market_id, micros, provenance, count, yes, no, taker_yes, is_block
              from unnest(
                ${instants(trades, ({ createdTime }) => instant(toMillis(createdTime)))},
                ${instants(trades, ({ receivedMillis }) => instant(receivedMillis))},
                ${texts(trades, ({ tradeId }) => tradeId)}, ${integers(trades, ({ ticker }) => keys.idOf(ticker))},
                ${smallIntegers(trades, (trade) => (trade.receivedMillis === undefined ? microsBeyond(trade.createdTime) : undefined))},
                ${smallIntegers(trades, (trade) => provenance[trade.provenance])},
                ${numerics(trades, ({ count }) => count)}, ${numerics(trades, ({ yesPrice }) => yesPrice)},
                ${numerics(trades, ({ noPrice }) => noPrice)},
                ${booleans(trades, ({ takerSide }) => (takerSide === undefined ? undefined : takerSide === "yes"))},
                ${booleans(trades, ({ isBlockTrade }) => isBlockTrade)}
              ) as r (ts, received_at, id, market_id, micros, provenance, count, yes, no, taker_yes, is_block)
            ) sightings
            order by trade_id, received_at, ts
          ), met as (
            select i.trade_id, i.ts, i.received_at, i.micros, i.provenance, t.ts as stored_ts
            from incoming i
            join trades t on t.trade_id = i.trade_id
              and t.ts between i.ts - interval '1 ms' * ${stampsApart}::int and i.ts + interval '1 ms' * ${stampsApart}::int
            where t.ts between ${lowest}::timestamptz and ${highest}::timestamptz
          ), completed as (
            update trades t set
              received_at = coalesce(t.received_at, m.received_at),
              provenance = case when t.received_at is null and m.received_at is not null then m.provenance else t.provenance end,
              micros = coalesce(t.micros, case when m.ts = t.ts then m.micros end)
            from met m
            where t.trade_id = m.trade_id and t.ts = m.stored_ts
              and t.ts between ${lowest}::timestamptz and ${highest}::timestamptz
              and (
                t.received_at is null and m.received_at is not null
                or t.micros is null and m.micros is not null and m.ts = t.ts
              )
          ), stored as (
            insert into trades (
              ts, received_at, trade_id, market_id, micros, provenance, count, yes_price_dollars, no_price_dollars, taker_yes,
              is_block_trade)
            select
              ts, received_at, trade_id, market_id, micros, provenance, count, yes, nullif(no, 1 - yes), taker_yes, is_block
            from incoming i
            where not exists (select from met where met.trade_id = i.trade_id)
            order by trade_id
            on conflict (trade_id, ts) do nothing
            returning 1
          )
          select count(*)::int as stored from stored`
        return rows[0]!.stored
      })

      const insert = Effect.fnUntraced(function* (trades: ReadonlyArray<StoredTrade>) {
        if (trades.length === 0) return 0
        const isLive = trades.every(({ receivedMillis }) => receivedMillis !== undefined)
        const inTurn = Effect.andThen(takeTurns(isLive), store(trades))
        const open = yield* Effect.serviceOption(sql.transactionService)
        return yield* Option.isSome(open) ? inTurn : transaction(sql)(inTurn)
      })

      const firstLiveMillis = sql<{ at: Date | null }>`
        select min(ts) as at from trades where provenance = ${provenance.live}`.pipe(
        Effect.map((rows) => Option.map(Option.fromNullishOr(rows[0]?.at), (at) => at.getTime()))
      )
      const hasLiveSince = Effect.fnUntraced(function* (millis: number) {
        const rows = yield* sql<{ found: boolean }>`
          select exists (
            select from trades where ts >= ${fromMillis(millis)}::timestamptz and provenance = ${provenance.live}
          ) as found`
        return rows[0]!.found
      })

      return Trades.of({ insert, firstLiveMillis, hasLiveSince })
    })
  )
}
