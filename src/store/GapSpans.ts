import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMillis } from "../market/Timestamp.ts"

/** A gap of the ledger; exchange clock, epoch milliseconds. */
export interface GapSpan {
  readonly feed: string
  readonly market: string | null
  readonly fromMillis: number
  readonly toMillis: number | null
  readonly cause: string
}

/** The gap ledger, for programs that go along the time. */
export class GapSpans extends Context.Service<
  GapSpans,
  {
    /** Gaps that touch the span, repaired or not, by when they begin. */
    within(fromMillis: number, toMillis: number): Effect.Effect<ReadonlyArray<GapSpan>, SqlError>
  }
>()("kalshi-ingestor/store/GapSpans") {
  static readonly layer = Layer.effect(
    GapSpans,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const millis = (column: string) => sql.literal(`floor(extract(epoch from ${column}) * 1000)::float8`)
      return GapSpans.of({
        within: Effect.fn("GapSpans.within")(
          (from, to) => sql<GapSpan>`
            select g.feed, g.market_ticker as market, ${millis("g.from_ts")} as "fromMillis", ${millis("g.to_ts")} as "toMillis", g.cause
            from capture_gaps g
            where g.from_ts < ${fromMillis(to)}::timestamptz
              and coalesce(g.to_ts, 'infinity') > ${fromMillis(from)}::timestamptz
            order by g.from_ts, g.id`
        )
      })
    })
  )
}
