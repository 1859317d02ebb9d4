import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { CaptureProgress } from "../../src/ingest/CaptureProgress.ts"
import { CaptureStore } from "../../src/ingest/CaptureStore.ts"
import { CaptureWriter } from "../../src/ingest/CaptureWriter.ts"
import { Journal } from "../../src/ingest/Journal.ts"
import { ShardShare } from "../../src/ingest/ShardShare.ts"
import { Drift } from "../../src/kalshi/Drift.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { TestDatabase } from "../support/Database.ts"

export const settings = (variables: Readonly<Record<string, string>> = {}) =>
  ConfigProvider.layer(ConfigProvider.fromUnknown(variables))

export const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "recorder-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
)

export const journalOf = (at: string, segmentBytes = 20_000) =>
  Layer.fresh(Journal.layer({ directory: at, segmentBytes, syncMillis: 20 }))

const role = Layer.suspend(() =>
  CaptureWriter.pipe(
    Layer.provide([CaptureProgress.layer, ShardShare.layerStatic("event", 12, 0)]),
    Layer.provide(CaptureStore.layerWithTables),
    Layer.provide([Drift.layer, ExchangeTime.layerReal, Health.layer])
  )
)

/**
 * A writer of its own over a journal directory and the client of the database that acts. `kill` ends it where it stands, as a crash does;
 * `stop` lets it drain.
 */
export const record = Effect.fnUntraced(function* (at: string, variables: Readonly<Record<string, string>> = {}) {
  const sql = yield* Layer.build(TestDatabase.actingClient)
  const scope = yield* Scope.make()
  const loopsScope = yield* Scope.make()
  const journal = yield* Layer.buildWithScope(journalOf(at), scope)
  const loops = yield* Layer.buildWithScope(Layer.fresh(Loops.layer), loopsScope)
  yield* Layer.buildWithScope(Layer.fresh(role.pipe(Layer.provide(settings(variables)))), scope).pipe(
    Effect.provideContext(Context.merge(Context.merge(sql, journal), loops))
  )
  const kill = Scope.close(loopsScope, Exit.void)
  yield* Effect.addFinalizer(() => kill)
  return {
    journal: Context.get(journal, Journal),
    ended: Context.get(loops, Loops).ended,
    kill,
    stop: Effect.andThen(Scope.close(scope, Exit.void), kill)
  }
})

/** Asks again and again until the answer is the wanted one. */
export const until = <A, E, R>(ask: Effect.Effect<A, E, R>, wanted: (answer: A) => boolean) =>
  ask.pipe(Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: wanted }), Effect.timeout("10 seconds"))

export const storedFrames = PgClient.PgClient.use(
  (sql) => sql<{ n: number }>`select coalesce(sum(frames), 0)::int as n from journal_positions`
).pipe(Effect.map((rows) => rows[0]!.n))

/** Waits until the database holds everything the journal holds. */
export const stored = (journal: typeof Journal.Service) =>
  until(
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const rows = yield* sql<{ segment: number; offset: number }>`
        select segment::int, "offset"::int from journal_positions where journal = ${journal.id}`
      const left = yield* journal.read(rows[0] ?? (yield* journal.oldest), 1)
      return left.records.length === 0
    }),
    (done) => done
  )
