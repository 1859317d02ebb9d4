import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { reconnectBackoff } from "../kalshi/Supervise.ts"
import { Loops } from "../runtime/Loops.ts"

/** Tells when active_markets changed: the database says so. Only a hint; whoever waits also looks from time to time. */
export class MarketsChanged extends Context.Service<
  MarketsChanged,
  {
    /** Resolves at the next change; changes while nobody waits are one change. */
    readonly next: Effect.Effect<void>
  }
>()("kalshi-ingestor/ingest/MarketsChanged") {
  static readonly layer = Layer.effect(
    MarketsChanged,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const loops = yield* Loops
      const changes = yield* Queue.sliding<void>(1)
      const listen = Effect.gen(function* () {
        const notifications = yield* sql.listen("markets_changed")
        yield* Queue.offer(changes, undefined)
        return yield* Queue.take(notifications).pipe(Effect.andThen(Queue.offer(changes, undefined)), Effect.forever)
      }).pipe(Effect.scoped)
      yield* loops.run(
        "markets-changed",
        listen.pipe(
          Effect.tapError((error) => Effect.logDebug("listening for market changes again", { reason: error._tag })),
          Effect.retry(reconnectBackoff)
        )
      )
      return MarketsChanged.of({ next: Queue.take(changes) })
    })
  )
}
