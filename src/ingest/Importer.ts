import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { ImportedCatalog } from "../store/ImportedCatalog.ts"
import { ImportLedger, type ImportRun, noProgress, type Outcome, type Progress } from "../store/ImportLedger.ts"
import { OriginalDatabase, type Position } from "../store/OriginalDatabase.ts"
import { leftTables, type OriginalTable, originalTables } from "../store/OriginalRows.ts"
import { transaction } from "../store/Transaction.ts"
import { ImportTables, type Kept, type Keyed, type Marked, type Table } from "./ImportTables.ts"

/** Another process imports into this database. */
export class ImportBusy extends Schema.TaggedError<ImportBusy>()("ImportBusy", {}) {
  override get message(): string {
    return "another import into this database is running"
  }
}

/** `source` = `imported` + `already` + `refused`, or the table does not reconcile. */
export interface TableReport extends Outcome {
  readonly source: number
  /** Rows by kind of fault, all imports of this source together; `repaired` of them are right here all the same. */
  readonly faults: Readonly<Record<string, number>>
  readonly repaired: Readonly<Record<string, number>>
}

export interface ImportReport {
  readonly from: string
  readonly run: number
  /** An earlier attempt was interrupted, and this one went on from there. */
  readonly resumed: boolean
  readonly reconciled: boolean
  readonly tables: Readonly<Record<string, TableReport>>
  /** Tables that the source does not have. */
  readonly absent: ReadonlyArray<string>
  /** Tables that were left, and why. */
  readonly left: Readonly<Record<string, string>>
  /** Markets whose result or settlement imported lifecycle messages told. */
  readonly completedMarkets: number
}

export interface ImportOptions {
  /** Rows of one transaction. */
  readonly batchRows: number
  /** Hears how far a table is. */
  readonly onBatch: (table: OriginalTable, read: number, source: number) => Effect.Effect<void>
}

/**
 * Brings a database of the Python original over: what the exchange said rather than what the original made of it, with the known faults
 * of its rows marked. Every source row is read once in a frozen view; rows, marks and position are stored in one transaction, so that an
 * interrupted import goes on where it stopped and a repeated one finds every row here.
 */
export class Importer extends Context.Service<
  Importer,
  {
    run(options: ImportOptions): Effect.Effect<ImportReport, SqlError | ImportBusy>
  }
>()("kalshi-ingestor/ingest/Importer") {
  static readonly layer = Layer.effect(
    Importer,
    Effect.gen(function* () {
      const source = yield* OriginalDatabase
      const ledger = yield* ImportLedger
      const catalog = yield* ImportedCatalog
      const sql = yield* SqlClient.SqlClient

      const read = <From extends Keyed, Row>(
        run: ImportRun,
        name: OriginalTable,
        table: Table<From, Row>,
        { batchRows, onBatch }: ImportOptions
      ) =>
        Effect.gen(function* () {
          const whole = yield* source.tally(name, undefined)
          let progress = yield* resumePoint(run, name)
          if (progress.position === undefined) yield* ledger.forgetFaults(run, name, table.judgedAnew)
          // The source reads the next page while this one is stored.
          const page = (after: Position | undefined) =>
            Effect.forkChild(table.page(after, Math.min(batchRows, table.batchRows)), { startImmediately: true })
          let next = yield* page(progress.position)
          for (;;) {
            const rows = yield* Fiber.join(next)
            const last = rows.at(-1)
            if (last === undefined) break
            next = yield* page(table.position(last))
            const judged = sorted(rows, table, yield* Clock.currentTimeMillis)
            yield* table.prepare(judged.kept)
            progress = yield* storeBatch(run, name, table, judged, after(progress, rows, table.position(last)))
            yield* onBatch(name, progress.read, whole.rows)
          }
          progress = { ...progress, sourceRows: whole.rows }
          yield* ledger.saveProgress(run, name, progress)
          return progress
        })

      /** Where an earlier attempt stopped, if the source still holds the very rows that it read; else the start. */
      const resumePoint = Effect.fnUntraced(function* (run: ImportRun, name: OriginalTable) {
        const before = yield* ledger.progress(run, name)
        if (before.position === undefined) return noProgress
        const same = yield* source.tally(name, before.position)
        return same.rows === before.read && same.digest === before.digest ? before : noProgress
      })

      const storeBatch = <From extends Keyed, Row>(
        run: ImportRun,
        name: OriginalTable,
        table: Table<From, Row>,
        { kept, refused }: Sorted<From, Row>,
        before: Progress
      ) =>
        Effect.gen(function* () {
          const { already, imported, marked } = yield* table.store(run, kept)
          yield* ledger.addFaults(
            run,
            name,
            [...marked, ...refused].flatMap(({ faults, from, micros }) =>
              faults.map((fault) => ({
                ...fault,
                ticker: table.ticker(from),
                key: table.position(from).join(" "),
                micros
              }))
            )
          )
          const progress: Progress = {
            ...before,
            imported: before.imported + imported,
            already: before.already + already,
            refused: before.refused + refused.length
          }
          yield* ledger.saveProgress(run, name, progress)
          return progress
        }).pipe(transaction(sql))

      const tables = yield* ImportTables
      const readers: Record<
        OriginalTable,
        (run: ImportRun, options: ImportOptions) => Effect.Effect<Progress, SqlError>
      > = {
        events: (run, options) => read(run, "events", tables.events, options),
        markets: (run, options) => read(run, "markets", tables.markets, options),
        market_ticks: (run, options) => read(run, "market_ticks", tables.ticks, options),
        lifecycle_events: (run, options) => read(run, "lifecycle_events", tables.lifecycle, options),
        market_candles: (run, options) => read(run, "market_candles", tables.candles, options),
        prediction_runs: (run, options) => read(run, "prediction_runs", tables.runs, options),
        market_predictions: (run, options) => read(run, "market_predictions", tables.forecasts, options),
        rag_documents: (run, options) => read(run, "rag_documents", tables.documents, options)
      }

      const run = Effect.fn("Importer.run")(function* (options: ImportOptions) {
        if (!(yield* ledger.alone)) return yield* new ImportBusy()
        const current = yield* ledger.begin({ bornAt: source.bornAt, address: source.address })
        const present = originalTables.filter((table) => source.tables.has(table))
        const progress = yield* source.frozen(
          Effect.forEach(present, (name) =>
            Effect.map(readers[name](current, options), (done) => [name, done] as const)
          )
        )
        const completedMarkets = yield* catalog.completeMarkets
        yield* catalog.settleFaults
        const faults = yield* ledger.faults(current)
        const reports = progress.map(([name, done]): readonly [string, TableReport] => {
          const own = faults.filter(({ table }) => table === name)
          return [
            name,
            {
              source: done.sourceRows ?? 0,
              imported: done.imported,
              already: done.already,
              refused: done.refused,
              faults: Object.fromEntries(own.map(({ kind, rows }) => [kind, rows])),
              repaired: Object.fromEntries(
                own.flatMap(({ kind, repaired }) => (repaired > 0 ? [[kind, repaired]] : []))
              )
            }
          ]
        })
        const reconciled = reports.every(([, one]) => one.source === one.imported + one.already + one.refused)
        yield* ledger.finish(current, reconciled)
        return {
          from: source.address,
          run: current.runId,
          resumed: current.resumed,
          reconciled,
          tables: Object.fromEntries(reports),
          absent: originalTables.filter((table) => !source.tables.has(table)),
          left: Object.fromEntries(Object.entries(leftTables).filter(([table]) => source.tables.has(table))),
          completedMarkets
        }
      }, Effect.scoped)

      return Importer.of({ run })
    })
  )
}

const after = (progress: Progress, rows: ReadonlyArray<Keyed>, position: Position): Progress => ({
  ...progress,
  position,
  read: progress.read + rows.length,
  digest: rows.reduce((sum, { digest }) => sum + BigInt(digest), progress.digest)
})

interface Sorted<From, Row> {
  readonly kept: ReadonlyArray<Kept<From, Row>>
  readonly refused: ReadonlyArray<Marked<From>>
}

const sorted = <From, Row>(
  rows: ReadonlyArray<From>,
  table: Table<From, Row>,
  nowMillis: number
): Sorted<From, Row> => {
  const kept: Array<Kept<From, Row>> = []
  const refused: Array<Marked<From>> = []
  for (const from of rows) {
    const { faults, row } = table.judge(from, nowMillis)
    if (row === undefined) refused.push({ from, faults, micros: undefined })
    else kept.push({ row, from, faults, micros: table.micros(row) })
  }
  return { kept, refused }
}
