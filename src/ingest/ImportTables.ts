import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlError } from "effect/sql/SqlError"
import { ImportedCatalog, type ImportedEvent, type ImportedMarket } from "../store/ImportedCatalog.ts"
import { type ImportedDocument, ImportedDocuments } from "../store/ImportedDocuments.ts"
import {
  type ImportedForecast,
  ImportedForecasts,
  type ImportedRun,
  type StoredForecast
} from "../store/ImportedForecasts.ts"
import {
  type ImportedCandle,
  ImportedHistory,
  type ImportedLifecycle,
  type ImportedTick
} from "../store/ImportedHistory.ts"
import { type Fault, type FaultKind, faultKinds } from "../store/ImportFaults.ts"
import { ImportLedger, type ImportRun } from "../store/ImportLedger.ts"
import { OriginalDatabase, type Position } from "../store/OriginalDatabase.ts"
import type {
  OriginalCandle,
  OriginalDocument,
  OriginalEvent,
  OriginalForecast,
  OriginalLifecycle,
  OriginalMarket,
  OriginalRun,
  OriginalTable,
  OriginalTick
} from "../store/OriginalRows.ts"
import { judgeCandle } from "./OriginalCandles.ts"
import { judgeEvent, judgeMarket } from "./OriginalCatalog.ts"
import { judgeDocument } from "./OriginalDocuments.ts"
import { judgeForecast, judgeRun } from "./OriginalForecasts.ts"
import { judgeLifecycle } from "./OriginalLifecycle.ts"
import { type Judged, judgeTick } from "./OriginalTicks.ts"

export interface Keyed {
  readonly digest: string
}

/** A row of the source and what is wrong with it. `micros`: the stamp of the row as stored. */
export interface Marked<From> {
  readonly from: From
  readonly faults: ReadonlyArray<Fault>
  readonly micros: number | undefined
}

export interface Kept<From, Row> extends Marked<From> {
  readonly row: Row
}

/** How rows of one table of the original are read, judged and stored. */
export interface Table<From, Row> {
  readonly page: (after: Position | undefined, limit: number) => Effect.Effect<ReadonlyArray<From>, SqlError>
  /** Most rows of a transaction. */
  readonly batchRows: number
  readonly position: (from: From) => Position
  readonly ticker: (from: From) => string | undefined
  readonly micros: (row: Row) => number | undefined
  readonly judge: (from: From, nowMillis: number) => Judged<Row>
  /** What has to be there before the transaction. */
  readonly prepare: (kept: ReadonlyArray<Kept<From, Row>>) => Effect.Effect<void, SqlError>
  /** `marked`: rows whose faults are to be written down. */
  readonly store: (
    run: ImportRun,
    kept: ReadonlyArray<Kept<From, Row>>
  ) => Effect.Effect<
    { readonly imported: number; readonly already: number; readonly marked: ReadonlyArray<Marked<From>> },
    SqlError
  >
  /** Faults that are found again whenever the table is read from its start. */
  readonly judgedAnew: ReadonlyArray<FaultKind>
}

/** The tables that are brought over. */
export class ImportTables extends Context.Service<
  ImportTables,
  {
    readonly events: Table<OriginalEvent, ImportedEvent>
    readonly markets: Table<OriginalMarket, ImportedMarket>
    readonly ticks: Table<OriginalTick, ImportedTick>
    readonly lifecycle: Table<OriginalLifecycle, ImportedLifecycle>
    readonly candles: Table<OriginalCandle, ImportedCandle>
    readonly runs: Table<OriginalRun, ImportedRun>
    readonly forecasts: Table<OriginalForecast, ImportedForecast>
    readonly documents: Table<OriginalDocument, ImportedDocument>
  }
>()("kalshi-ingestor/ingest/ImportTables") {
  static readonly layer = Layer.effect(
    ImportTables,
    Effect.gen(function* () {
      const source = yield* OriginalDatabase
      const ledger = yield* ImportLedger
      const catalog = yield* ImportedCatalog
      const history = yield* ImportedHistory
      const forecasts = yield* ImportedForecasts
      const documents = yield* ImportedDocuments

      const upsert = Effect.fnUntraced(function* <From, Row>(
        kept: ReadonlyArray<Kept<From, Row>>,
        save: (rows: ReadonlyArray<Row>) => Effect.Effect<ReadonlySet<unknown>, SqlError>
      ) {
        const changed = yield* save(kept.map(({ row }) => row))
        return { imported: changed.size, already: kept.length - changed.size, marked: kept }
      })

      const fresh = Effect.fnUntraced(function* <From, Row>(
        kept: ReadonlyArray<Kept<From, Row>>,
        insert: (rows: ReadonlyArray<Row>) => Effect.Effect<ReadonlySet<number>, SqlError>
      ) {
        const places = yield* insert(kept.map(({ row }) => row))
        return {
          imported: places.size,
          already: kept.length - places.size,
          marked: kept.filter((_, place) => places.has(place))
        }
      })

      /** Which rows are here is known by their ids; that they still are is looked up. */
      const append = Effect.fnUntraced(function* <From, Row extends { readonly id: bigint }>(
        run: ImportRun,
        name: OriginalTable,
        kept: ReadonlyArray<Kept<From, Row>>,
        here: (rows: ReadonlyArray<Row>, known: ReadonlySet<bigint>) => Effect.Effect<ReadonlySet<number>, SqlError>,
        insert: (rows: ReadonlyArray<Row>) => Effect.Effect<number, SqlError>
      ) {
        const rows = kept.map(({ row }) => row)
        const known = yield* ledger.known(
          run,
          name,
          rows.map(({ id }) => id)
        )
        const places = yield* here(rows, known)
        const others = kept.filter((_, place) => !places.has(place))
        const imported = yield* insert(others.map(({ row }) => row))
        const ids = others.flatMap(({ row }) => (known.has(row.id) ? [] : [row.id]))
        yield* ledger.remember(run, name, ids)
        return { imported, already: kept.length - others.length, marked: others }
      })

      return ImportTables.of({
        events: {
          page: source.events,
          batchRows: 2_000,
          position: (from) => [from.event_ticker],
          ticker: (from) => from.event_ticker,
          micros: () => undefined,
          judge: judgeEvent,
          prepare: () => Effect.void,
          store: (_, kept) => upsert(kept, catalog.events),
          judgedAnew: faultKinds
        },
        markets: {
          page: source.markets,
          batchRows: 1_000,
          position: (from) => [from.ticker],
          ticker: (from) => from.ticker,
          micros: () => undefined,
          judge: judgeMarket,
          prepare: () => Effect.void,
          store: (_, kept) => upsert(kept, catalog.markets),
          judgedAnew: faultKinds
        },
        ticks: {
          page: source.ticks,
          batchRows: 10_000,
          position: (from) => [String(from.id)],
          ticker: (from) => from.ticker,
          micros: (row) => row.micros,
          judge: judgeTick,
          prepare: (kept) =>
            history.prepare({
              tickers: kept.map(({ row }) => row.ticker),
              tickMicros: kept.map(({ row }) => row.micros)
            }),
          store: (run, kept) => append(run, "market_ticks", kept, history.ticksHere, history.insertTicks),
          judgedAnew: []
        },
        lifecycle: {
          page: source.lifecycle,
          batchRows: 1_000,
          position: (from) => [String(from.id)],
          ticker: (from) => from.market_ticker ?? undefined,
          micros: (row) => row.micros,
          judge: judgeLifecycle,
          prepare: () => Effect.void,
          store: (run, kept) => append(run, "lifecycle_events", kept, history.lifecycleHere, history.insertLifecycle),
          judgedAnew: ["repeated"]
        },
        candles: {
          page: source.candles,
          batchRows: 5_000,
          position: (from) => [from.market_ticker, String(from.period_interval_minutes), from.text],
          ticker: (from) => from.market_ticker,
          micros: (row) => row.endMicros,
          judge: judgeCandle,
          prepare: (kept) => history.prepare({ candleMicros: kept.map(({ row }) => row.endMicros) }),
          store: (_, kept) => fresh(kept, history.insertCandles),
          judgedAnew: []
        },
        runs: {
          page: source.runs,
          batchRows: 1_000,
          position: (from) => [String(from.id)],
          ticker: (from) => from.event_ticker ?? undefined,
          micros: (row) => row.micros,
          judge: judgeRun,
          prepare: () => Effect.void,
          store: (run, kept) => upsert(kept, (rows) => forecasts.saveRuns(run, rows)),
          judgedAnew: faultKinds
        },
        forecasts: {
          page: source.forecasts,
          batchRows: 500,
          position: (from) => [String(from.id)],
          ticker: (from) => from.market_ticker ?? from.event_ticker ?? undefined,
          micros: (row) => row.micros,
          judge: judgeForecast,
          prepare: () => Effect.void,
          store: Effect.fnUntraced(function* (run, kept) {
            const stored = yield* forecasts.insertForecasts(
              run,
              kept.map(({ row }) => row)
            )
            const marked = stored.map((one) => {
              const { faults, ...rest } = kept[one.at]!
              return { ...rest, faults: [...faults, ...faultsHere(one)] }
            })
            return { imported: stored.length, already: kept.length - stored.length, marked }
          }),
          judgedAnew: ["forecast_of_failed_run"]
        },
        documents: {
          page: source.documents,
          batchRows: 200,
          position: (from) => [String(from.id)],
          ticker: (from) => from.market_ticker ?? from.event_ticker ?? undefined,
          micros: () => undefined,
          judge: judgeDocument,
          prepare: () => Effect.void,
          store: (_, kept) => fresh(kept, documents.save),
          judgedAnew: ["document_empty"]
        }
      })
    })
  )
}

const faultsHere = ({ afterClose, marketUnknown, runMissing }: StoredForecast): ReadonlyArray<Fault> => [
  ...(runMissing ? [{ kind: "run_missing", repaired: false } as const] : []),
  ...(marketUnknown ? [{ kind: "market_unknown", repaired: false } as const] : []),
  ...(afterClose ? [{ kind: "after_close", repaired: false } as const] : [])
]
