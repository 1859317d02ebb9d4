import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { reconnectBackoff } from "../kalshi/Supervise.ts"
import { Loops } from "../runtime/Loops.ts"

/**
 * Hears what the database notifies on a channel: `next` resolves at the next notification; those while nobody waits are one. Only a hint:
 * whoever waits also looks from time to time.
 */
export const hints = Effect.fnUntraced(function* (channel: string) {
  const sql = yield* PgClient.PgClient
  const loops = yield* Loops
  const heard = yield* Queue.sliding<void>(1)
  const listen = Effect.gen(function* () {
    const notifications = yield* sql.listen(channel)
    yield* Queue.offer(heard, undefined)
    return yield* Queue.take(notifications).pipe(Effect.andThen(Queue.offer(heard, undefined)), Effect.forever)
  }).pipe(Effect.scoped)
  yield* loops.run(
    `listen-${channel}`,
    listen.pipe(
      Effect.tapError((error) => Effect.logDebug("listening again", { channel, reason: error._tag })),
      Effect.retry(reconnectBackoff)
    )
  )
  return { next: Queue.take(heard) }
})
