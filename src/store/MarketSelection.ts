import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"

/** Markets of a series, of an event, or one; at least one of these. */
export interface Selection {
  readonly series: string | undefined
  readonly event: string | undefined
  readonly market: string | undefined
}

/** Which markets a person means. */
export class MarketSelection extends Context.Service<
  MarketSelection,
  {
    /** Those of them that were open within a span of exchange time, the earliest first. */
    tickers(
      selection: Selection,
      span: { readonly fromMillis: number; readonly toMillis: number }
    ): Effect.Effect<ReadonlyArray<string>, SqlError>
    /** Whether anything of a series is recorded. */
    hasSeries(series: string): Effect.Effect<boolean, SqlError>
  }
>()("kalshi-ingestor/store/MarketSelection") {
  static readonly layer = Layer.effect(
    MarketSelection,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return MarketSelection.of({
        tickers: Effect.fn("MarketSelection.tickers")(({ event, market, series }, span) =>
          sql<{ ticker: string }>`
            select m.ticker from markets m left join events e using (event_ticker)
            where m.open_time < ${fromMillis(span.toMillis)}::timestamptz and m.close_time > ${fromMillis(span.fromMillis)}::timestamptz
              and (${series ?? null}::text is null or e.series_ticker = ${series ?? null}::text)
              and (${event ?? null}::text is null or m.event_ticker = ${event ?? null}::text)
              and (${market ?? null}::text is null or m.ticker = ${market ?? null}::text)
            order by m.open_time, m.ticker`.pipe(Effect.map((rows) => rows.map(({ ticker }) => ticker)))
        ),
        hasSeries: Effect.fn("MarketSelection.hasSeries")((series: string) =>
          Effect.map(
            sql<{ known: boolean }>`select exists (select from events where series_ticker = ${series}) as known`,
            (rows) => rows[0]!.known
          )
        )
      })
    })
  )
}
