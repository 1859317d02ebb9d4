import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { IngestKey } from "../runtime/Access.ts"
import { Guardrails, type NotOurs, ownsKey } from "../runtime/Guardrails.ts"

/** Cursors and watermarks of the loops, by name. Each has its writers, and all may read it. */
export class IngestState extends Context.Service<
  IngestState,
  {
    get(key: IngestKey): Effect.Effect<Option.Option<string>, SqlError>
    set(key: IngestKey, value: string): Effect.Effect<void, SqlError | NotOurs>
    remove(key: IngestKey): Effect.Effect<void, SqlError | NotOurs>
  }
>()("kalshi-ingestor/store/IngestState") {
  static readonly layer = Layer.effect(
    IngestState,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const guard = yield* Guardrails
      const owned = <E>(key: IngestKey, write: Effect.Effect<unknown, E>) =>
        Effect.andThen(ownsKey(guard, key), Effect.asVoid(write))
      return IngestState.of({
        get: Effect.fn("IngestState.get")((key) =>
          sql<{ value: string }>`select value from ingest_state where key = ${key}`.pipe(
            Effect.map((rows) => Option.fromNullishOr(rows[0]?.value))
          )
        ),
        set: Effect.fn("IngestState.set")((key, value) =>
          owned(
            key,
            sql`insert into ingest_state (key, value) values (${key}, ${value})
              on conflict (key) do update set value = excluded.value, updated_at = clock_timestamp()`
          )
        ),
        remove: Effect.fn("IngestState.remove")((key) => owned(key, sql`delete from ingest_state where key = ${key}`))
      })
    })
  )
}
