import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"
import { provenance } from "./Provenance.ts"

/** `reconcile`: the next one of the seamless sequence; `range`: read for its own sake, wherever it lies. */
export type WindowKind = "reconcile" | "range"

/** A span of exchange time, its start inclusive and its end exclusive, epoch milliseconds, of which every page was read. */
export interface CheckedWindow {
  readonly kind: WindowKind
  /** Absent: all known markets. */
  readonly ticker?: string | undefined
  readonly fromMillis: number
  readonly toMillis: number
  /** When the reading began: `TradeWindows.clock`. A market first seen later is not in the window. */
  readonly checkedAt: string
  /** Trades of known markets in the exchange's list. */
  readonly seenRest: number
  /** Why the window is not complete all the same; absent: it is. */
  readonly cause: string | undefined
}

/** The ledger of windows in which the stored trades of all known markets were compared with the exchange's list. */
export class TradeWindows extends Context.Service<
  TradeWindows,
  {
    /** The database's clock, by which markets are first seen. */
    readonly clock: Effect.Effect<string, SqlError>
    /** The end of the seamless sequence of windows. */
    readonly checkedUntilMillis: Effect.Effect<Option.Option<number>, SqlError>
    /** Once every trade of the window is stored: counts the window's rows and enters it. Read again, it can become complete and know more markets, never less. */
    record(window: CheckedWindow): Effect.Effect<void, SqlError>
    /** Whether every trade in a span is stored of every market that was open in it. */
    isCompleteForAll(fromMillis: number, toMillis: number): Effect.Effect<boolean, SqlError>
    /** Whether every trade of a market in a span is stored, proven by windows without a seam between them. */
    isComplete(ticker: string, fromMillis: number, toMillis: number): Effect.Effect<boolean, SqlError>
  }
>()("kalshi-ingestor/store/TradeWindows") {
  static readonly layer = Layer.effect(
    TradeWindows,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return TradeWindows.of({
        clock: sql<{ now: string }>`select clock_timestamp()::text as now`.pipe(Effect.map((rows) => rows[0]!.now)),
        checkedUntilMillis: sql<{ to_ts: Date }>`
          select to_ts from trade_windows where kind = 'reconcile' order by from_ts desc, to_ts desc limit 1`.pipe(
          Effect.map((rows) => Option.map(Option.fromNullishOr(rows[0]), (row) => row.to_ts.getTime()))
        ),
        record: Effect.fn("TradeWindows.record")(function* (window) {
          const from = fromMillis(window.fromMillis)
          const to = fromMillis(window.toMillis)
          const ticker = window.ticker ?? null
          yield* sql`
            insert into trade_windows as w (market_ticker, kind, from_ts, to_ts, checked_at, seen_rest, stored_live, repaired, complete, cause)
            select
              ${ticker}::text, ${window.kind}, ${from}::timestamptz, ${to}::timestamptz, ${window.checkedAt}::timestamptz,
              ${window.seenRest}::int,
              count(*) filter (where provenance = ${provenance.live}),
              count(*) filter (where provenance = ${provenance.repaired}),
              ${window.cause === undefined}::boolean, ${window.cause ?? null}::text
            from trades
            where ts >= ${from}::timestamptz and ts < ${to}::timestamptz
              and (${ticker}::text is null or market_id = (select market_id from market_keys where ticker = ${ticker}::text))
            on conflict (market_ticker, from_ts, to_ts) do update set
              kind = case when excluded.kind = 'reconcile' then excluded.kind else w.kind end, checked_at = excluded.checked_at,
              seen_rest = excluded.seen_rest, stored_live = excluded.stored_live, repaired = excluded.repaired,
              complete = excluded.complete, cause = excluded.cause
            where excluded.complete >= w.complete and excluded.checked_at >= w.checked_at`
        }),
        isCompleteForAll: Effect.fn("TradeWindows.isCompleteForAll")((fromMs, toMs) =>
          sql<{ complete: boolean }>`
            select not exists (
              select from markets m
              where m.open_time < ${fromMillis(toMs)}::timestamptz and m.close_time > ${fromMillis(fromMs)}::timestamptz
                and not trades_complete(m.ticker, ${fromMillis(fromMs)}::timestamptz, ${fromMillis(toMs)}::timestamptz)
            ) as complete`.pipe(Effect.map((rows) => rows[0]!.complete))
        ),
        isComplete: Effect.fn("TradeWindows.isComplete")((ticker, from, to) =>
          sql<{ complete: boolean }>`
            select trades_complete(${ticker}, ${fromMillis(from)}::timestamptz, ${fromMillis(to)}::timestamptz) as complete`.pipe(
            Effect.map((rows) => rows[0]!.complete)
          )
        )
      })
    })
  )
}
