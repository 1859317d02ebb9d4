import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { hints } from "./Hints.ts"

const channel = "lifecycle_resumed"

/** Tells when the lifecycle feed is received again after a hole: markets may have been made in it that nobody told us of. */
export class LifecycleResumed extends Context.Service<LifecycleResumed, { readonly next: Effect.Effect<void> }>()(
  "kalshi-ingestor/ingest/LifecycleResumed"
) {
  static readonly layer = Layer.effect(LifecycleResumed, Effect.map(hints(channel), LifecycleResumed.of))

  /** Joins the caller's transaction. */
  static readonly tell: Effect.Effect<void, SqlError, SqlClient.SqlClient> = SqlClient.SqlClient.use((sql) =>
    Effect.asVoid(sql`select pg_notify(${channel}, '')`)
  )
}
