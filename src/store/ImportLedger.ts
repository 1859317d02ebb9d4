import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMicros } from "../market/Timestamp.ts"
import { type FaultKind, isToldByRow, type RowFault } from "./ImportFaults.ts"
import type { Position } from "./OriginalDatabase.ts"
import type { OriginalTable } from "./OriginalRows.ts"
import { transaction } from "./Transaction.ts"

export interface ImportRun {
  readonly sourceId: number
  readonly runId: number
  /** An earlier attempt of this run did not come to its end. */
  readonly resumed: boolean
}

export interface Outcome {
  readonly imported: number
  readonly already: number
  readonly refused: number
}

/** How far a run has read a table; `position` is undefined before the first row. */
export interface Progress extends Outcome {
  readonly position: Position | undefined
  readonly read: number
  readonly digest: bigint
  /** Rows of the source, once the table is done. */
  readonly sourceRows: number | undefined
}

export const noProgress: Progress = {
  position: undefined,
  read: 0,
  digest: 0n,
  imported: 0,
  already: 0,
  refused: 0,
  sourceRows: undefined
}

export interface FaultCount {
  readonly table: OriginalTable
  readonly kind: string
  readonly rows: number
  readonly repaired: number
}

/**
 * What was imported from where: sources, runs, how far each has come, which rows are here, what is wrong with them. Writes join the
 * caller's transaction.
 */
export class ImportLedger extends Context.Service<
  ImportLedger,
  {
    /** Held until the scope closes; nothing when another process imports into this database. */
    readonly alone: Effect.Effect<boolean, SqlError, Scope.Scope>
    /** The unfinished run of this source, or a new one. */
    begin(source: { readonly bornAt: string; readonly address: string }): Effect.Effect<ImportRun, SqlError>
    finish(run: ImportRun, reconciled: boolean): Effect.Effect<void, SqlError>
    progress(run: ImportRun, table: OriginalTable): Effect.Effect<Progress, SqlError>
    saveProgress(run: ImportRun, table: OriginalTable, progress: Progress): Effect.Effect<void, SqlError>
    /** Those of the ids that were stored before. */
    known(
      source: ImportRun,
      table: OriginalTable,
      ids: ReadonlyArray<bigint>
    ): Effect.Effect<ReadonlySet<bigint>, SqlError>
    /** Remembers ids, in ascending order, as stored; none of them is known yet. */
    remember(run: ImportRun, table: OriginalTable, ids: ReadonlyArray<bigint>): Effect.Effect<void, SqlError>
    addFaults(run: ImportRun, table: OriginalTable, faults: ReadonlyArray<RowFault>): Effect.Effect<void, SqlError>
    /** Forgets faults of these kinds: before a table is read from its start, of rows that are then judged anew. */
    forgetFaults(run: ImportRun, table: OriginalTable, kinds: ReadonlyArray<FaultKind>): Effect.Effect<void, SqlError>
    faults(run: ImportRun): Effect.Effect<ReadonlyArray<FaultCount>, SqlError>
  }
>()("kalshi-ingestor/store/ImportLedger") {
  static readonly layer = Layer.effect(
    ImportLedger,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient

      const alone = Effect.gen(function* () {
        const connection = yield* sql.reserve
        // The server may take a moment to notice that a process that held it is gone.
        const held = yield* connection
          .executeValuesUnprepared("select pg_try_advisory_lock(hashtext('kalshi-ingestor import'))", [])
          .pipe(
            Effect.map((rows) => rows[0]?.[0] === true),
            Effect.repeat({ until: (locked) => locked, schedule: Schedule.spaced("250 millis"), times: 5 })
          )
        if (!held) return false
        yield* Effect.addFinalizer(() =>
          Effect.ignore(connection.executeRaw("select pg_advisory_unlock(hashtext('kalshi-ingestor import'))", []))
        )
        return true
      })

      const begin = Effect.fn("ImportLedger.begin")(function* (source: {
        readonly bornAt: string
        readonly address: string
      }) {
        const sources = yield* sql<{ source_id: number }>`
          insert into import_sources as s (born_at, address) values (${source.bornAt}::timestamptz, ${source.address})
          on conflict (born_at) do update set address = excluded.address
          returning source_id`
        const sourceId = sources[0]!.source_id
        const open = yield* sql<{ run_id: bigint }>`
          select run_id from import_runs where source_id = ${sourceId} and finished_at is null`
        const [run] =
          open.length > 0
            ? open
            : yield* sql<{ run_id: bigint }>`insert into import_runs (source_id) values (${sourceId}) returning run_id`
        return { sourceId, runId: Number(run!.run_id), resumed: open.length > 0 }
      }, transaction(sql))

      const progress = Effect.fn("ImportLedger.progress")(function* (run: ImportRun, table: OriginalTable) {
        const rows = yield* sql<{
          position: Position | null
          rows_read: bigint
          digest: string
          imported: bigint
          already: bigint
          refused: bigint
          source_rows: bigint | null
        }>`
          select position, rows_read, digest::numeric(40, 0)::text as digest, imported, already, refused, source_rows
          from import_progress where run_id = ${run.runId} and source_table = ${table}`
        return Option.match(Option.fromNullishOr(rows[0]), {
          onNone: () => noProgress,
          onSome: (row) => ({
            position: row.position ?? undefined,
            read: Number(row.rows_read),
            digest: BigInt(row.digest),
            imported: Number(row.imported),
            already: Number(row.already),
            refused: Number(row.refused),
            sourceRows: row.source_rows === null ? undefined : Number(row.source_rows)
          })
        })
      })

      const saveProgress = Effect.fnUntraced(function* (run: ImportRun, table: OriginalTable, now: Progress) {
        const position = now.position === undefined ? null : JSON.stringify(now.position)
        yield* sql`
          insert into import_progress (
            run_id, source_table, position, rows_read, digest, imported, already, refused, source_rows)
          values (${run.runId}, ${table}, ${position}::jsonb, ${now.read}, ${String(now.digest)}::numeric, ${now.imported},
            ${now.already}, ${now.refused}, ${now.sourceRows ?? null})
          on conflict (run_id, source_table) do update set
            position = excluded.position, rows_read = excluded.rows_read, digest = excluded.digest,
            imported = excluded.imported, already = excluded.already, refused = excluded.refused,
            source_rows = excluded.source_rows, updated_at = clock_timestamp()`
      })

      const known = Effect.fnUntraced(function* (run: ImportRun, table: OriginalTable, ids: ReadonlyArray<bigint>) {
        const [first, last] = [ids[0], ids.at(-1)]
        if (first === undefined || last === undefined) return new Set<bigint>()
        const ranges = yield* sql<{ from_id: bigint; to_id: bigint }>`
          select from_id, to_id from import_ranges
          where source_id = ${run.sourceId} and source_table = ${table} and from_id <= ${last} and to_id >= ${first}
            and from_id >= coalesce((
              select max(from_id) from import_ranges
              where source_id = ${run.sourceId} and source_table = ${table} and from_id <= ${first}), ${first})
          order by from_id`
        const found = new Set<bigint>()
        let at = 0
        for (const id of ids) {
          while (at < ranges.length && ranges[at]!.to_id < id) at++
          const range = ranges[at]
          if (range !== undefined && range.from_id <= id) found.add(id)
        }
        return found
      })

      const remember = Effect.fnUntraced(function* (run: ImportRun, table: OriginalTable, ids: ReadonlyArray<bigint>) {
        if (ids.length === 0) return
        const ranges: Array<{ from: bigint; to: bigint }> = []
        for (const id of ids) {
          const last = ranges.at(-1)
          if (last !== undefined && id <= last.to + 1n) last.to = id
          else ranges.push({ from: id, to: id })
        }
        const [head, ...rest] = ranges
        const grown = yield* sql`
          update import_ranges set to_id = greatest(to_id, ${head!.to})
          where source_id = ${run.sourceId} and source_table = ${table} and to_id >= ${head!.from - 1n} and from_id = (
            select max(from_id) from import_ranges
            where source_id = ${run.sourceId} and source_table = ${table} and from_id <= ${head!.from})
          returning 1`
        const fresh = grown.length > 0 ? rest : ranges
        yield* sql`
          insert into import_ranges as r (source_id, source_table, from_id, to_id)
          select ${run.sourceId}, ${table}, from_id, to_id
          from unnest(${fresh.map(({ from }) => from)}::bigint[], ${fresh.map(({ to }) => to)}::bigint[]) as f (from_id, to_id)
          on conflict (source_id, source_table, from_id) do update set to_id = greatest(r.to_id, excluded.to_id)`
      })

      const addFaults = Effect.fnUntraced(function* (
        run: ImportRun,
        table: OriginalTable,
        faults: ReadonlyArray<RowFault>
      ) {
        if (faults.length === 0) return
        yield* sql`
          insert into import_faults as f (
            source_id, source_table, kind, repaired, ticker, day, row_key, rows, first_ts, last_ts, detail)
          select ${run.sourceId}, ${table}, kind, repaired, ticker, day, row_key, rows, first_ts, last_ts, detail
          from jsonb_to_recordset(${JSON.stringify(gathered(faults))}::jsonb) as r (
            kind text, repaired boolean, ticker text, day date, row_key text, rows bigint, first_ts timestamptz,
            last_ts timestamptz, detail jsonb)
          on conflict (source_id, source_table, kind, repaired, ticker, day, row_key) do update set
            rows = case when f.row_key is null then f.rows + excluded.rows else f.rows end,
            first_ts = least(f.first_ts, excluded.first_ts), last_ts = greatest(f.last_ts, excluded.last_ts),
            detail = excluded.detail`
      })

      return ImportLedger.of({
        alone,
        begin,
        progress,
        saveProgress,
        known,
        remember,
        addFaults,
        finish: Effect.fn("ImportLedger.finish")(function* (run, reconciled) {
          yield* sql`
            update import_runs set finished_at = clock_timestamp(), reconciled = ${reconciled} where run_id = ${run.runId}`
        }),
        forgetFaults: Effect.fnUntraced(function* (run, table, kinds) {
          yield* sql`
            delete from import_faults
            where source_id = ${run.sourceId} and source_table = ${table} and kind = any (${kinds}::text[])`
        }),
        faults: Effect.fn("ImportLedger.faults")(
          (run) =>
            sql<FaultCount>`
            select source_table as "table", kind, sum(rows)::float8 as rows,
              coalesce(sum(rows) filter (where repaired), 0)::float8 as repaired
            from import_faults where source_id = ${run.sourceId}
            group by source_table, kind order by source_table, kind`
        )
      })
    })
  )
}

interface Gathered {
  readonly fault: RowFault
  readonly day: number | undefined
  readonly byRow: boolean
  rows: number
  first: number | undefined
  last: number | undefined
}

const dayMicros = 86_400_000_000

/** One entry for each kind, market and day, or for each row where rows are told one by one. */
const gathered = (faults: ReadonlyArray<RowFault>) => {
  const found = new Map<string, Gathered>()
  for (const fault of faults) {
    const { micros } = fault
    const byRow = isToldByRow(fault)
    const day = micros === undefined ? undefined : Math.floor(micros / dayMicros)
    const key = `${fault.kind} ${fault.repaired} ${day} ${byRow ? fault.key : ""} ${fault.ticker}`
    const same = found.get(key)
    if (same === undefined) found.set(key, { fault, day, byRow, rows: 1, first: micros, last: micros })
    else if (!byRow) {
      same.rows += 1
      if (micros === undefined) continue
      if (same.first === undefined || micros < same.first) same.first = micros
      if (same.last === undefined || micros > same.last) same.last = micros
    }
  }
  const text = (micros: number | undefined) => (micros === undefined ? undefined : fromMicros(micros))
  return Array.from(found.values(), ({ byRow, day, fault, first, last, rows }) => ({
    kind: fault.kind,
    repaired: fault.repaired,
    ticker: fault.ticker,
    day: day === undefined ? undefined : fromMicros(day * dayMicros).slice(0, 10),
    row_key: byRow ? fault.key : undefined,
    rows,
    first_ts: text(first),
    last_ts: text(last),
    detail: byRow ? fault.detail : undefined
  }))
}
