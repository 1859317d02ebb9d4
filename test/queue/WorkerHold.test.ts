import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { JobHandlers } from "../../src/queue/JobHandlers.ts"
import { WakeUp } from "../../src/queue/WakeUp.ts"
import { Worker } from "../../src/queue/Worker.ts"
import { WorkQueue } from "../../src/queue/WorkQueue.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { QueueConnection } from "../../src/store/QueueConnection.ts"
import { QueueJobs } from "../../src/store/QueueJobs.ts"
import { TestDatabase } from "../support/Database.ts"
import { backfills, type Env, finished, quick, rows, settings, withQueue } from "./WorkerFixture.ts"

const until = <A, E, R>(look: Effect.Effect<A, E, R>, done: (found: A) => boolean) =>
  look.pipe(Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: done }), Effect.timeout("15 seconds"))

/** A worker with its loops, which run one job until `may`, and count those that began. */
const holdable = Effect.fnUntraced(function* (env: Env) {
  const { url } = yield* TestDatabase
  const sql = yield* PgClient.PgClient
  const wakeUp = yield* WakeUp
  const may = yield* Deferred.make<void>()
  let began = 0
  const context = yield* Layer.build(
    Worker.pipe(
      Layer.provide([
        Layer.succeed(
          JobHandlers,
          JobHandlers.of({
            backfill_market: () =>
              Effect.suspend(() => {
                began += 1
                return Deferred.await(may)
              })
          })
        ),
        Layer.succeed(WakeUp, wakeUp),
        QueueJobs.layer,
        QueueConnection.layerFrom(url),
        settings({ ...quick, ...env })
      ]),
      Layer.provideMerge(Layer.mergeAll(Loops.layer, Health.layer)),
      Layer.provide(Layer.succeed(PgClient.PgClient, sql))
    )
  )
  return {
    loops: Context.get(context, Loops),
    health: Context.get(context, Health),
    began: () => began,
    finish: Deferred.succeed(may, undefined)
  }
})

const statuses = Effect.map(rows, (all) => all.map(({ status }) => status))

describe("a worker that is paused", () => {
  it.live("gives back what it has not begun, ends what it runs, and claims nothing until it is resumed", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const { began, finish, health, loops } = yield* holdable({
        WORK_QUEUE_CONCURRENCY: "1",
        WORK_QUEUE_PREFETCH: "4"
      })
      yield* queue.enqueue(backfills(6))
      yield* until(statuses, (all) => all.includes("running"))
      yield* until(Effect.sync(began), (n) => n === 1)
      yield* loops.pause("queue-worker")
      const state = (yield* loops.states).find(({ loop }) => loop === "queue-worker")
      assert.deepInclude(state, { kind: "continuous", phase: "paused", isPaused: true })
      yield* until(statuses, (all) => all.filter((status) => status === "pending").length === 5)
      assert.isTrue((yield* rows).every(({ attempts, status }) => status === "running" || attempts === 0))

      yield* finish
      yield* until(statuses, (all) => all.filter((status) => status === "done").length === 1)
      yield* queue.enqueue(backfills(3, 100))
      // Longer than several polls and heartbeats of the lease.
      yield* Effect.sleep("1500 millis")
      assert.strictEqual(began(), 1)
      assert.strictEqual((yield* statuses).filter((status) => status === "pending").length, 8)
      const { ok, parts } = yield* health.report
      assert.isTrue(ok, "a paused worker is well")
      assert.include(parts["queue"]?.detail, "paused")

      yield* loops.resume("queue-worker")
      yield* finished
      assert.isTrue((yield* statuses).every((status) => status === "done"))
      assert.strictEqual(began(), 9)
    }).pipe(withQueue())
  )

  it.live("stays paused under its next lease", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const { began, finish, loops } = yield* holdable({})
      const sql = yield* PgClient.PgClient
      yield* finish
      yield* loops.pause("queue-worker")
      const instances = sql<{ instance: string }>`select instance from queue_workers where not lost`
      const [first] = yield* until(instances, (found) => found.length === 1)
      yield* sql`update queue_workers set lost = true`
      yield* until(instances, ([found]) => found !== undefined && found.instance !== first?.instance)
      yield* queue.enqueue(backfills(2))
      yield* Effect.sleep("600 millis")
      assert.strictEqual(began(), 0)
      yield* loops.resume("queue-worker")
      yield* finished
      assert.strictEqual(began(), 2)
    }).pipe(withQueue())
  )
})
