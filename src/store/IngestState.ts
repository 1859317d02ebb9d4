import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** Cursors and watermarks of the loops, by name. */
export class IngestState extends Context.Service<
  IngestState,
  {
    get(key: string): Effect.Effect<Option.Option<string>, SqlError>
    set(key: string, value: string): Effect.Effect<void, SqlError>
    remove(key: string): Effect.Effect<void, SqlError>
  }
>()("kalshi-ingestor/store/IngestState") {
  static readonly layer = Layer.effect(
    IngestState,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return IngestState.of({
        get: Effect.fn("IngestState.get")((key) =>
          sql<{ value: string }>`select value from ingest_state where key = ${key}`.pipe(
            Effect.map((rows) => Option.fromNullishOr(rows[0]?.value))
          )
        ),
        set: Effect.fn("IngestState.set")((key, value) =>
          sql`insert into ingest_state (key, value) values (${key}, ${value})
              on conflict (key) do update set value = excluded.value, updated_at = clock_timestamp()`.pipe(
            Effect.asVoid
          )
        ),
        remove: Effect.fn("IngestState.remove")((key) =>
          Effect.asVoid(sql`delete from ingest_state where key = ${key}`)
        )
      })
    })
  )
}
