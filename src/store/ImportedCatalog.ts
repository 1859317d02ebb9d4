import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { provenance } from "./Provenance.ts"
import * as Upsert from "./Upsert.ts"

type Row<Columns extends ReadonlyArray<Upsert.Column>> = {
  readonly [K in Columns[number]["name"]]: unknown
}

/** Ours is younger than the original's: it fills what is missing and changes nothing. */
const fill = <const Name extends string>(name: Name, type = "text") => ({
  name,
  type,
  merge: `coalesce(t.${name}, excluded.${name})`
})

/** JSON as text, so that its numbers stay as they are written. */
const fillJson = <const Name extends string>(name: Name) => ({ ...fill(name), read: `${name}::jsonb` })

const eventColumns = [
  fill("series_ticker"),
  fill("title"),
  fill("sub_title"),
  fill("category"),
  fill("collateral_return_type"),
  fill("mutually_exclusive", "boolean"),
  fill("strike_date", "timestamptz"),
  fill("strike_period"),
  fill("cadence")
] as const

const marketColumns = [
  fill("event_ticker"),
  fill("market_type"),
  fill("title"),
  fill("yes_sub_title"),
  fill("no_sub_title"),
  fill("status"),
  fill("created_time", "timestamptz"),
  fill("open_time", "timestamptz"),
  fill("close_time", "timestamptz"),
  fill("expected_expiration_time", "timestamptz"),
  fill("latest_expiration_time", "timestamptz"),
  fill("settlement_ts", "timestamptz"),
  fill("settlement_timer_seconds", "integer"),
  fill("settlement_value_dollars", "numeric"),
  fill("result"),
  fill("can_close_early", "boolean"),
  fill("strike_type"),
  fill("floor_strike", "numeric"),
  fill("cap_strike", "numeric"),
  fill("functional_strike"),
  fillJson("custom_strike"),
  fill("rules_primary"),
  fill("rules_secondary"),
  fill("price_level_structure"),
  fillJson("price_ranges"),
  fill("is_multivariate", "boolean")
] as const

/** An absent field is one that the original lost. */
export type ImportedEvent = Row<typeof eventColumns> & { readonly event_ticker: string }
export type ImportedMarket = Row<typeof marketColumns> & { readonly ticker: string }

const { imported } = provenance

/** Events and markets of the Python original on their way into ours: they complete what is here and change nothing of it. */
export class ImportedCatalog extends Context.Service<
  ImportedCatalog,
  {
    /** Succeeds with the keys of rows that were new, or told us something. */
    events(rows: ReadonlyArray<ImportedEvent>): Effect.Effect<ReadonlySet<string>, SqlError>
    markets(rows: ReadonlyArray<ImportedMarket>): Effect.Effect<ReadonlySet<string>, SqlError>
    /** What imported lifecycle messages say about markets that lack it: result, settlement, times. Succeeds with how many changed. */
    readonly completeMarkets: Effect.Effect<number, SqlError>
    /** Marks as repaired what has been told to us after all. */
    readonly settleFaults: Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/ImportedCatalog") {
  static readonly layer = Layer.effect(
    ImportedCatalog,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient

      const save = (statement: string, rows: ReadonlyArray<object>) =>
        rows.length === 0
          ? Effect.succeed(new Set<string>())
          : sql
              .unsafe<{ key: string }>(statement, [JSON.stringify(rows)])
              .pipe(Effect.map((changed) => new Set(changed.map(({ key }) => key))))
      const eventUpsert = Upsert.statement("events", "event_ticker", eventColumns)
      const marketUpsert = Upsert.statement("markets", "ticker", marketColumns)

      const completeMarkets = sql<{ ticker: string }>`
        update markets m set
          result = coalesce(m.result, l.result),
          settlement_value_dollars = coalesce(m.settlement_value_dollars, l.value),
          determination_ts = coalesce(m.determination_ts, l.determined),
          settlement_ts = coalesce(m.settlement_ts, l.settled),
          status = next_status(m.status, case when l.is_settled then 'finalized' when l.is_determined then 'determined' end),
          updated_at = clock_timestamp()
        from (
          select market_ticker,
            (array_agg(result order by received_at desc, id desc) filter (where result is not null))[1] as result,
            (array_agg(settlement_value_dollars order by received_at desc, id desc)
              filter (where settlement_value_dollars is not null))[1] as value,
            max(ts) filter (where event_type = 'determined') as determined,
            max(ts) filter (where event_type = 'settled') as settled,
            bool_or(event_type = 'determined') as is_determined, bool_or(event_type = 'settled') as is_settled
          from lifecycle_events
          where provenance = ${imported} and event_type in ('determined', 'settled') and market_ticker is not null
          group by market_ticker
        ) l
        where m.ticker = l.market_ticker and (
          m.result is null and l.result is not null
          or m.settlement_value_dollars is null and l.value is not null
          or m.determination_ts is null and l.determined is not null
          or m.settlement_ts is null and l.settled is not null
          or m.status is distinct from
            next_status(m.status, case when l.is_settled then 'finalized' when l.is_determined then 'determined' end))
        returning m.ticker`.pipe(
        Effect.map((rows) => rows.length),
        Effect.withSpan("ImportedRows.completeMarkets")
      )

      const settleFaults = sql`
        update import_faults f set repaired = true, detail = null, row_key = null
        from markets m
        where f.source_table = 'markets' and m.ticker = f.ticker and not f.repaired and (
          f.kind = 'settlement_missing' and m.settlement_value_dollars is not null
          or f.kind = 'title_erased' and (m.title is not null or m.yes_sub_title is not null)
          or f.kind = 'times_erased' and m.open_time is not null and m.close_time is not null)`.pipe(
        Effect.andThen(sql`
          update import_faults f set repaired = true, detail = null, row_key = null
          from events e
          where f.source_table = 'events' and e.event_ticker = f.ticker and not f.repaired and f.kind = 'title_erased'
            and e.title is not null`),
        Effect.andThen(sql`
          update import_faults f set repaired = true
          from markets m
          where f.kind = 'market_unknown' and not f.repaired and m.ticker = f.ticker`),
        Effect.asVoid
      )

      return ImportedCatalog.of({
        events: (rows) => save(eventUpsert, rows),
        markets: (rows) => save(marketUpsert, rows),
        completeMarkets,
        settleFaults
      })
    })
  )
}
