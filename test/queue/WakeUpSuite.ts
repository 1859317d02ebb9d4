import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { WakeUp } from "../../src/queue/WakeUp.ts"
import { WorkQueue } from "../../src/queue/WorkQueue.ts"
import { QueueJobs } from "../../src/store/QueueJobs.ts"
import { Acting, TestDatabase } from "../support/Database.ts"
import { backfills, finished, queueOf, worker } from "./WorkerFixture.ts"

/** What carries the hints, from outside. */
export interface Carrier {
  readonly breakDown: Effect.Effect<void, unknown, PgClient.PgClient>
  readonly repair: Effect.Effect<void>
}

const backfill = new Map([["backfill_market", 1]] as const)
const cleanup = new Map([["cleanup_market", 1]] as const)

const heard = <A>(next: Effect.Effect<A>) =>
  Effect.timeoutOption(next, "20 seconds").pipe(Effect.map((hint) => hint._tag))
const nothing = <A>(next: Effect.Effect<A>) =>
  Effect.timeoutOption(next, "400 millis").pipe(Effect.map((hint) => hint._tag))

/** A subscription that is established, and whose first hints, one for each way they come, were taken. */
const ready = Effect.fnUntraced(function* (types: ReadonlyArray<"backfill_market" | "cleanup_market">) {
  const wakeUp = yield* WakeUp
  const hints = yield* wakeUp.subscribe(types)
  yield* heard(hints.next)
  yield* Effect.timeoutOption(hints.next, "1 second").pipe(Effect.repeat({ until: (hint) => hint._tag === "None" }))
  return hints
})

/** What every way to wake workers must do. The carrier is shared by the tests; the database is one of their own each. */
export const suite = <E>(
  name: string,
  layer: Layer.Layer<WakeUp, E, PgClient.PgClient | QueueJobs>,
  carrier: () => Carrier,
  timeout: number
): void => {
  describe(`wake-up by ${name}`, () => {
    const Alone = layer.pipe(Layer.provideMerge(QueueJobs.layer), TestDatabase.under("queue"))
    const test = <A, E2>(
      what: string,
      body: Effect.Effect<A, E2, WakeUp | QueueJobs | Acting | PgClient.PgClient | TestDatabase | Scope.Scope>
    ) => it.live(what, () => body.pipe(Effect.scoped, Effect.provide(Alone)), timeout)

    test(
      "reaches who waits for that type, and nobody else",
      Effect.gen(function* () {
        const wakeUp = yield* WakeUp
        const mine = yield* ready(["backfill_market"])
        const other = yield* ready(["cleanup_market"])
        yield* wakeUp.announce(backfill)
        assert.strictEqual(yield* heard(mine.next), "Some")
        assert.strictEqual(yield* nothing(other.next), "None")
        yield* wakeUp.announce(cleanup)
        assert.strictEqual(yield* heard(other.next), "Some")
      })
    )

    test(
      "is heard when the transaction commits, and not when it does not",
      Effect.gen(function* () {
        const wakeUp = yield* WakeUp
        const sql = yield* Acting
        const hints = yield* ready(["backfill_market"])
        yield* wakeUp
          .announce(backfill)
          .pipe(Effect.andThen(Effect.fail("changed my mind")), sql.withTransaction, Effect.ignore)
        assert.strictEqual(yield* nothing(hints.next), "None")
        yield* wakeUp.announce(backfill).pipe(
          Effect.andThen(nothing(hints.next)),
          Effect.map((before) => assert.strictEqual(before, "None")),
          sql.withTransaction
        )
        assert.strictEqual(yield* heard(hints.next), "Some")
      })
    )

    test(
      "a burst is at least one hint, and each of two who wait hears of many jobs",
      Effect.gen(function* () {
        const wakeUp = yield* WakeUp
        const first = yield* ready(["backfill_market"])
        const second = yield* ready(["backfill_market"])
        yield* wakeUp.announce(new Map([["backfill_market", 50]] as const))
        assert.strictEqual(yield* heard(first.next), "Some")
        assert.strictEqual(yield* heard(second.next), "Some")
      })
    )

    test(
      "what SQL enters is heard of, too",
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const hints = yield* ready(["backfill_market"])
        yield* sql`insert into work_queue (job_type, payload) values ('cleanup_market', '{"tickers":["M"]}')`
        assert.strictEqual(yield* nothing(hints.next), "None")
        yield* sql`insert into work_queue (job_type, payload) values ('backfill_market', '{"tickers":["M"]}')`
        assert.strictEqual(yield* heard(hints.next), "Some")
      })
    )

    test(
      "announcing neither fails nor waits while the carrier is down, and hints come again when it is back",
      Effect.gen(function* () {
        const wakeUp = yield* WakeUp
        const { breakDown, repair } = carrier()
        const hints = yield* ready(["backfill_market"])
        // RabbitMQ 3.10 never answers for a quorum queue again when it is killed within moments of making it.
        yield* Effect.sleep("1 second")
        yield* breakDown
        yield* wakeUp.announce(backfill).pipe(Effect.timeout("2 seconds"))
        yield* repair
        assert.strictEqual(yield* heard(Effect.andThen(hints.next, Effect.void)), "Some")
        yield* Effect.timeoutOption(hints.next, "1 second")
        yield* wakeUp.announce(backfill)
        assert.strictEqual(yield* heard(hints.next), "Some")
      })
    )

    it.live(
      "every job is done though the carrier breaks down in the middle",
      () =>
        Effect.gen(function* () {
          const queue = yield* WorkQueue
          const { breakDown, repair } = carrier()
          let done = 0
          yield* worker({
            backfill_market: () =>
              Effect.sync(() => {
                done++
              })
          })
          yield* queue.enqueue(backfills(20))
          yield* breakDown
          yield* queue.enqueue(backfills(20, 20))
          yield* finished
          yield* repair
          yield* queue.enqueue(backfills(20, 40))
          yield* finished
          assert.strictEqual(done, 60)
        }).pipe(Effect.scoped, Effect.provide(queueOf({}, layer))),
      timeout
    )
  })
}
