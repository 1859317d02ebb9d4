import * as fs from "node:fs"
import * as path from "node:path"
import type { DuckDBConnection } from "@duckdb/node-api"
import * as Effect from "effect/Effect"
import { ArchiveError } from "./ArchiveError.ts"

export interface DuckDbOptions {
  /** The database's file; absent: in memory. */
  readonly file?: string
  /** For what does not fit into memory. */
  readonly temporaryDirectory?: string
  readonly memoryMegabytes: number
  /** Absent: everything that the process may. Present: these files and what is below these directories, nothing else. */
  readonly reach?: { readonly files: ReadonlyArray<string>; readonly directories: ReadonlyArray<string> }
}

/** Values of `$1`, `$2` and so on in a statement. */
export type DuckValues = ReadonlyArray<string | number>

export interface DuckDb {
  readonly run: (statement: string, values?: DuckValues) => Effect.Effect<void, ArchiveError>
  /** Rows by column name; numbers beyond 2⁵³, decimals and instants as text. */
  readonly rows: (
    statement: string,
    values?: DuckValues
  ) => Effect.Effect<ReadonlyArray<Readonly<Record<string, unknown>>>, ArchiveError>
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
  const failure = (cause: unknown) => new ArchiveError({ problem: `DuckDB: ${oneLine(cause)}` })
  const attempt = <A>(make: () => Promise<A>) => Effect.tryPromise({ try: make, catch: failure })
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
  // A database that is closed under a running statement never lets go of its thread, and the process never ends: whoever is interrupted
  // waits until the statement has ended. One that has not begun yet does not hear the first call.
  const cancellable = <A>(make: () => Promise<A>) =>
    Effect.callback<A, ArchiveError>((resume) => {
      let running = true
      make().then(
        (value) => {
          running = false
          resume(Effect.succeed(value))
        },
        (cause) => {
          running = false
          resume(Effect.fail(failure(cause)))
        }
      )
      return Effect.whileLoop({
        while: () => running,
        body: () =>
          Effect.andThen(
            Effect.sync(() => connection.interrupt()),
            Effect.sleep("10 millis")
          ),
        step: () => undefined
      })
    })
  const run = (statement: string, values: DuckValues = []) =>
    Effect.asVoid(cancellable(() => connection.run(statement, [...values])))
  yield* run("set timezone = 'UTC'")
  // It is thrown away: nothing of it need be in order when it closes, which the whole process waits for.
  if (options.file !== undefined) yield* run("pragma disable_checkpoint_on_shutdown")
  if (options.reach !== undefined) {
    const absolute = (names: ReadonlyArray<string>, end: string) =>
      `[${names.map((name) => quoted(`${path.resolve(name)}${end}`)).join(", ")}]`
    yield* run(`set allowed_paths = ${absolute(options.reach.files, "")}`)
    yield* run(`set allowed_directories = ${absolute(options.reach.directories, "/")}`)
    yield* run("set enable_external_access = false")
    yield* run("set lock_configuration = true")
  }
  return {
    run,
    rows: (statement, values = []) =>
      cancellable(async () =>
        (await connection.runAndReadAll(statement, [...values])).getRowObjectsJson()
      ) as Effect.Effect<ReadonlyArray<Readonly<Record<string, unknown>>>, ArchiveError>
  } satisfies DuckDb
})
