import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** The state of the record in a few figures. */
export interface Facts {
  /** When the newest tick of an active market arrived, exchange time; `null` where there is none. */
  readonly newestTickMillis: number | null
  readonly activeMarkets: number
  readonly openGaps: number
  /** Gaps of the last 24 hours of exchange time, open or closed. */
  readonly gapsLastDay: number
  /** Frames of the last 24 hours that could not be read or stored, by feed; counted up to 100,000. */
  readonly quarantined: Readonly<Record<string, number>>
  readonly databaseBytes: number
}

/** Figures for whoever watches the record, cheap enough to be asked for often. */
export class RecordFacts extends Context.Service<
  RecordFacts,
  {
    readonly read: (exchangeMillis: number) => Effect.Effect<Facts, SqlError>
  }
>()("kalshi-ingestor/store/RecordFacts") {
  static readonly layer = Layer.effect(
    RecordFacts,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const databaseBytes = yield* sql<{ readonly bytes: number }>`
        select pg_database_size(current_database())::float8 as bytes`.pipe(
        Effect.map((rows) => rows[0]!.bytes),
        Effect.cachedWithTTL("5 minutes")
      )
      return RecordFacts.of({
        read: Effect.fn("RecordFacts.read")(function* (exchangeMillis) {
          const [[facts], quarantined, bytes] = yield* Effect.all([
            sql<Omit<Facts, "quarantined" | "databaseBytes">>`
              select
                (select extract(epoch from max(t.received_at)) * 1000 from active_markets a
                  join market_keys k on k.ticker = a.ticker
                  join ticks_latest t on t.market_id = k.market_id)::float8 as "newestTickMillis",
                (select count(*) from active_markets)::int as "activeMarkets",
                (select count(*) from capture_gaps where to_ts is null)::int as "openGaps",
                (select count(*) from capture_gaps g
                  where coverage_span(g.from_ts, coalesce(g.to_ts, 'infinity'))
                    && tstzrange(to_timestamp(${exchangeMillis}::float8 / 1000) - interval '1 day', null))::int as "gapsLastDay"`,
            sql<{ readonly feed: string; readonly n: number }>`
              select feed, count(*)::int as n from (
                select feed from quarantine where at > clock_timestamp() - interval '1 day' limit 100000) q group by feed`,
            databaseBytes
          ])
          return {
            ...facts!,
            quarantined: Object.fromEntries(quarantined.map(({ feed, n }) => [feed, n])),
            databaseBytes: bytes
          }
        })
      })
    })
  )
}
