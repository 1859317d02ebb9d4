import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Lifecycle } from "../market/Lifecycle.ts"
import { fromMillis } from "../market/Timestamp.ts"

const row = (one: Lifecycle) => {
  const common = {
    received_at: fromMillis(one.receivedMillis),
    event_type: one.kind,
    sid: one.sid,
    seq: one.seq,
    raw: one.raw
  }
  return one._tag === "EventLifecycle"
    ? { ...common, event_ticker: one.ticker }
    : {
        ...common,
        market_ticker: one.ticker,
        event_ticker: one.market.eventTicker,
        ts: one.market.determinationTime ?? one.market.settlementTime,
        result: one.market.result,
        settlement_value_dollars: one.market.settlementValue
      }
}

/** The append-only record of lifecycle messages. */
export class LifecycleEvents extends Context.Service<
  LifecycleEvents,
  {
    insert(events: ReadonlyArray<Lifecycle>): Effect.Effect<void, SqlError>
    /** Keeps messages of markets that the catalog does not know until it does, or for a day. Joins the caller's transaction. */
    wait(events: ReadonlyArray<Lifecycle>): Effect.Effect<void, SqlError>
    /** Claims what waits for markets that are known, and forgets what waited for a day. `nowMillis`: exchange time. */
    sweep(nowMillis: number): Effect.Effect<void, SqlError>
    /** Removes these messages, also those that wait. Joins the caller's transaction. */
    remove(events: ReadonlyArray<Lifecycle>): Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/LifecycleEvents") {
  static readonly layer = Layer.effect(
    LifecycleEvents,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return LifecycleEvents.of({
        insert: Effect.fnUntraced(function* (events) {
          if (events.length === 0) return
          yield* sql`
            insert into lifecycle_events (
              received_at, ts, market_ticker, event_ticker, event_type, result, settlement_value_dollars, sid, seq, raw)
            select received_at, ts, market_ticker, event_ticker, event_type, result, settlement_value_dollars, sid, seq, raw
            from jsonb_to_recordset(${JSON.stringify(events.map(row))}::jsonb) as r (
              received_at timestamptz, ts timestamptz, market_ticker text, event_ticker text, event_type text, result text,
              settlement_value_dollars numeric, sid integer, seq bigint, raw jsonb)`
        }),
        remove: Effect.fnUntraced(function* (events) {
          if (events.length === 0) return
          const gone = JSON.stringify(events.map(row))
          yield* sql`
            delete from lifecycle_events e
            using jsonb_to_recordset(${gone}::jsonb) as g (
              received_at timestamptz, market_ticker text, event_ticker text, event_type text, sid integer, seq bigint)
            where e.received_at = g.received_at and e.event_type = g.event_type and e.seq is not distinct from g.seq
              and e.market_ticker is not distinct from g.market_ticker
              and e.event_ticker is not distinct from g.event_ticker and e.sid is not distinct from g.sid`
          yield* sql`
            delete from lifecycle_waiting w
            using jsonb_to_recordset(${gone}::jsonb) as g (
              received_at timestamptz, market_ticker text, event_type text, sid integer, seq bigint)
            where w.market_ticker = g.market_ticker and w.received_at = g.received_at and w.event_type = g.event_type
              and w.seq is not distinct from g.seq and w.sid is not distinct from g.sid`
        }),
        wait: Effect.fnUntraced(function* (events) {
          if (events.length === 0) return
          yield* sql`
            insert into lifecycle_waiting (
              received_at, ts, market_ticker, event_type, result, settlement_value_dollars, sid, seq, raw)
            select received_at, ts, market_ticker, event_type, result, settlement_value_dollars, sid, seq, raw
            from jsonb_to_recordset(${JSON.stringify(events.map(row))}::jsonb) as r (
              received_at timestamptz, ts timestamptz, market_ticker text, event_type text, result text,
              settlement_value_dollars numeric, sid integer, seq bigint, raw jsonb)`
        }),
        sweep: Effect.fn("LifecycleEvents.sweep")((nowMillis) =>
          Effect.asVoid(sql`select sweep_waiting_lifecycle(${fromMillis(nowMillis)}::timestamptz)`)
        )
      })
    })
  )
}
