import * as fs from "node:fs"
import type { DuckDBConnection } from "@duckdb/node-api"
import * as Effect from "effect/Effect"
import { ArchiveError } from "./ArchiveError.ts"

export interface DuckDbOptions {
  /** The database's file; absent: in memory. */
  readonly file?: string
  /** For what does not fit into memory. */
  readonly temporaryDirectory?: string
  readonly memoryMegabytes: number
}

export interface DuckDb {
  readonly run: (statement: string) => Effect.Effect<void, ArchiveError>
  /** Rows by column name; numbers beyond 2⁵³, decimals and instants as text. */
  readonly rows: (statement: string) => Effect.Effect<ReadonlyArray<Readonly<Record<string, unknown>>>, ArchiveError>
}

/** The library is some 70 MB of machine code: it is loaded by what needs it, when it does. */
const library = Effect.tryPromise({
  try: () => import("@duckdb/node-api"),
  catch: (cause) =>
    new ArchiveError({
      problem: `DuckDB cannot be loaded on this machine (${oneLine(cause)}); run npm ci without --omit=optional`
    })
})

const oneLine = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause)).split("\n")[0]!.slice(0, 300)

/** A text as a literal of DuckDB's SQL. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** A DuckDB of one's own, in UTC, gone with its file when the scope closes. */
export const open = Effect.fn("DuckDb.open")(function* (options: DuckDbOptions) {
  const { DuckDBInstance } = yield* library
  const attempt = <A>(make: () => Promise<A>) =>
    Effect.tryPromise({ try: make, catch: (cause) => new ArchiveError({ problem: `DuckDB: ${oneLine(cause)}` }) })
  const instance = yield* Effect.acquireRelease(
    attempt(() =>
      DuckDBInstance.create(options.file ?? ":memory:", {
        memory_limit: `${options.memoryMegabytes}MB`,
        threads: "2",
        preserve_insertion_order: "false",
        autoinstall_known_extensions: "false",
        ...(options.temporaryDirectory === undefined ? {} : { temp_directory: options.temporaryDirectory })
      })
    ),
    (made) =>
      Effect.sync(() => {
        made.closeSync()
        if (options.file !== undefined)
          for (const file of [options.file, `${options.file}.wal`]) fs.rmSync(file, { force: true })
      })
  )
  const connection: DuckDBConnection = yield* Effect.acquireRelease(
    attempt(() => instance.connect()),
    (made) => Effect.sync(() => made.closeSync())
  )
  const cancellable = <A>(make: () => Promise<A>) =>
    attempt(make).pipe(Effect.onInterrupt(() => Effect.sync(() => connection.interrupt())))
  const run = (statement: string) => Effect.asVoid(cancellable(() => connection.run(statement)))
  yield* run("set timezone = 'UTC'")
  // The file is gone in a moment: nothing need be written to it when it closes.
  if (options.file !== undefined) yield* run("pragma disable_checkpoint_on_shutdown")
  return {
    run,
    rows: (statement) =>
      cancellable(async () => (await connection.runAndReadAll(statement)).getRowObjectsJson()) as Effect.Effect<
        ReadonlyArray<Readonly<Record<string, unknown>>>,
        ArchiveError
      >
  } satisfies DuckDb
})
