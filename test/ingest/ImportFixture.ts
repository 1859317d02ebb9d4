import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import type { ImportOptions } from "../../src/ingest/Importer.ts"
import { Importer } from "../../src/ingest/Importer.ts"
import { ImportTables } from "../../src/ingest/ImportTables.ts"
import { ImportedCatalog } from "../../src/store/ImportedCatalog.ts"
import { ImportedDocuments } from "../../src/store/ImportedDocuments.ts"
import { ImportedForecasts } from "../../src/store/ImportedForecasts.ts"
import { ImportedHistory } from "../../src/store/ImportedHistory.ts"
import { ImportLedger } from "../../src/store/ImportLedger.ts"
import { MarketKeys } from "../../src/store/MarketKeys.ts"
import { OriginalDatabase } from "../../src/store/OriginalDatabase.ts"
import { Partitions } from "../../src/store/Partitions.ts"
import { Original } from "../store/Original.ts"
import { TestDatabase } from "../support/Database.ts"

/** One import into the database of the test, with services of its own, as a process would have. */
export const importOnce = (options: Partial<ImportOptions> = {}) =>
  Effect.gen(function* () {
    const { url } = yield* Original
    return yield* Importer.use((importer) =>
      importer.run({ batchRows: 10_000, onBatch: () => Effect.void, ...options })
    ).pipe(
      Effect.provide(
        Layer.fresh(
          Importer.layer.pipe(
            Layer.provide(ImportTables.layer),
            Layer.provide([
              ImportLedger.layer,
              ImportedCatalog.layer,
              ImportedForecasts.layer,
              ImportedDocuments.layer,
              ImportedHistory.layer.pipe(Layer.provide([MarketKeys.layer, Partitions.layer])),
              OriginalDatabase.layer({ url, setting: "--from" })
            ])
          )
        )
      )
    )
  })

/** Runs a test with a database of the original and an empty one of ours, both its own. */
export const between = <A, E>(
  original: Layer.Layer<Original, unknown>,
  test: Effect.Effect<A, E, PgClient.PgClient | SqlClient.SqlClient | TestDatabase | Original>
) => test.pipe(Effect.provide(original.pipe(Layer.provideMerge(TestDatabase.layer))), Effect.scoped)

const select: Readonly<Record<string, string>> = {
  events: `select event_ticker, series_ticker, title, sub_title, category, mutually_exclusive, strike_date, strike_period, cadence
    from events order by 1`,
  markets: `select ticker, event_ticker, title, yes_sub_title, status, created_time, open_time, close_time, latest_expiration_time,
      determination_ts, settlement_ts, settlement_value_dollars, result, floor_strike, cap_strike, custom_strike, price_ranges,
      is_multivariate
    from markets order by 1`,
  ticks: `select ts, ticker, price_dollars, yes_bid_dollars, yes_ask_dollars, yes_bid_size, yes_ask_size, last_trade_size, volume,
      open_interest, dollar_volume, dollar_open_interest, implied_yes_mid, received_at
    from market_ticks where provenance = 'imported' order by ts, ticker, volume, price_dollars`,
  latest: "select ticker, ts, price_dollars, yes_bid_dollars, volume, received_at from market_ticks_latest order by 1",
  lifecycle: `select received_at, ts, market_ticker, event_ticker, event_type, result, settlement_value_dollars, raw
    from lifecycle_events where provenance = 5 order by received_at, market_ticker, event_type`,
  candles: `select market_ticker, period_interval_minutes, end_period_ts, start_period_ts, open, high, low, close, mean, previous,
      yes_bid_open, yes_bid_low, yes_bid_close, yes_ask_high, yes_ask_close, volume, open_interest
    from market_candles where provenance = 5 order by 1, 2, 3`,
  runs: `select imported_id, run_ts, event_ticker, handler, agent_name, model_name, prompt, outcome, failure, markets, forecasts, metadata
    from prediction_runs where imported_from is not null order by 1`,
  forecasts: `select p.imported_id, r.imported_id, p.predicted_at, p.event_ticker, p.market_ticker, p.handler, p.agent_name, p.model_name,
      p.yes_prob, p.confidence, p.rationale, p.raw, p.close_time, p.quote_mid_dollars, p.scored, p.not_scored
    from market_predictions p left join prediction_runs r on r.id = p.run_id where p.imported_from is not null order by 1`,
  documents: `select source, sources, title, piece, pieces, left(content, 30), content_hash, nullif(published_at, case when published_at > '2026-04-01Z'
        then published_at end), metadata, embedding, embedding_model, superseded_at
    from rag_documents order by source`,
  faults: `select source_table, kind, repaired, ticker, day, row_key, rows, first_ts, last_ts, detail
    from import_faults order by 1, 2, 3, 4, 5, 6`,
  ranges: "select source_table, from_id, to_id from import_ranges order by 1, 2"
}

/** Rows as text, values between bars; a null is empty. */
export const dump = Effect.fnUntraced(function* (name: string) {
  const sql = yield* PgClient.PgClient
  const rows = yield* sql.unsafe<{ row: string }>(
    `select concat_ws('|', variadic array(
       select coalesce(value #>> '{}', '') from json_each(row_to_json(t)) with ordinality as e (key, value, place) order by place)) as row
     from (${select[name]!}) t`
  )
  return rows.map(({ row }) => row.replaceAll("+00:00", "Z"))
})

export const dumpAll = Effect.map(
  Effect.forEach(Object.keys(select), (name) => Effect.map(dump(name), (rows) => [name, rows] as const)),
  (all) => Object.fromEntries(all)
)
