import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import { attempt } from "../../src/queue/Attempt.ts"
import { JobFailed } from "../../src/queue/Job.ts"
import { JobHandlers } from "../../src/queue/JobHandlers.ts"
import * as QueueMetrics from "../../src/queue/QueueMetrics.ts"
import * as Session from "../../src/queue/Session.ts"
import { WorkQueue } from "../../src/queue/WorkQueue.ts"
import { QueueJobs } from "../../src/store/QueueJobs.ts"
import { backfills, finished, rows, withQueue, worker } from "./WorkerFixture.ts"

const until = <A, E, R>(effect: Effect.Effect<A, E, R>, isSo: (value: A) => boolean) =>
  effect.pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: isSo }),
    Effect.timeoutOrElse({ duration: "15 seconds", orElse: () => Effect.die(new Error("it never came to that")) })
  )

/** The failure of a statement whose connection breaks. */
const brokenOff = (sql: PgClient.PgClient) => Effect.asVoid(sql`select pg_terminate_backend(pg_backend_pid())`)

const counted = (metric: Metric.Metric<number, Metric.CounterState<number>>) =>
  Effect.map(Metric.value(QueueMetrics.of(metric, "backfill_market")), ({ count }) => count)

describe("Worker, when something goes wrong", () => {
  it.live("waits twice as long after each attempt, up to an hour, give or take a fifth", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const sql = yield* PgClient.PgClient
      yield* worker(
        { backfill_market: () => Effect.fail(new JobFailed({ problem: "no", retryable: true })) },
        { WORK_QUEUE_RETRY_SECONDS: "100" }
      )
      yield* queue.enqueue(backfills(20).map((job) => ({ ...job, maxAttempts: 30 })))
      const waits = sql<{ attempts: number; seconds: number }>`
        select attempts, extract(epoch from available_at - updated_at)::float8 as seconds
        from queue_jobs where position is null and locked_by is null`
      for (const [attempts, base] of [
        [1, 100],
        [2, 200],
        [3, 400],
        [20, 3600]
      ] as const) {
        yield* sql`
          update queue_jobs set attempts = ${attempts - 1}, position = nextval('queue_positions'), available_at = clock_timestamp()
          where position is null and locked_by is null`
        const found = yield* until(waits, (all) => all.length === 20 && all.every((wait) => wait.attempts === attempts))
        const seconds = found.map((wait) => wait.seconds)
        assert.isAtLeast(Math.min(...seconds), 0.8 * base - 0.01)
        assert.isAtMost(Math.max(...seconds), 1.2 * base + 0.01)
        assert.isAbove(new Set(seconds.map(Math.round)).size, 5, "not all at the same moment")
      }
    }).pipe(withQueue())
  )

  it.live("counts a job as done when its end is stored and only the reply was lost", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const sql = yield* PgClient.PgClient
      const before = { done: yield* counted(QueueMetrics.done), fenced: yield* counted(QueueMetrics.fenced) }
      let lost = 0
      yield* worker({ backfill_market: () => Effect.void }, {}, (jobs) => ({
        ...jobs,
        complete: (instance, held) =>
          jobs.complete(instance, held).pipe(
            Effect.tap(() => {
              if (lost > 0) return Effect.void
              lost = held.length
              return brokenOff(sql)
            })
          )
      }))
      yield* queue.enqueue(backfills(5))
      yield* finished
      yield* until(counted(QueueMetrics.done), (done) => done === before.done + 5)
      assert.isAbove(lost, 0)
      assert.strictEqual(yield* counted(QueueMetrics.fenced), before.fenced)
      assert.isTrue((yield* rows).every(({ attempts, status }) => status === "done" && attempts === 1))
    }).pipe(withQueue())
  )

  it.live("counts an attempt as failed when that is stored and only the reply was lost", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const sql = yield* PgClient.PgClient
      const before = { failed: yield* counted(QueueMetrics.failures), fenced: yield* counted(QueueMetrics.fenced) }
      let isLost = false
      yield* worker(
        { backfill_market: () => Effect.fail(new JobFailed({ problem: "no", retryable: true })) },
        { WORK_QUEUE_RETRY_SECONDS: "1000" },
        (jobs) => ({
          ...jobs,
          fail: (instance, held) =>
            jobs.fail(instance, held).pipe(
              Effect.tap(() => {
                if (isLost) return Effect.void
                isLost = true
                return brokenOff(sql)
              })
            )
        })
      )
      yield* queue.enqueue(backfills(1))
      yield* until(counted(QueueMetrics.failures), (failed) => failed === before.failed + 1)
      assert.isTrue(isLost)
      assert.strictEqual(yield* counted(QueueMetrics.fenced), before.fenced)
    }).pipe(withQueue())
  )

  it.live("stopping breaks off a job that takes too long, and gives it back at no cost", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const jobs = yield* QueueJobs
      const began = yield* Deferred.make<void>()
      let isBroken = false
      const runAttempt = yield* attempt.pipe(
        Effect.provide(
          Layer.succeed(JobHandlers, {
            backfill_market: () =>
              Deferred.succeed(began, undefined).pipe(
                Effect.andThen(Effect.never),
                Effect.onInterrupt(() =>
                  Effect.sync(() => {
                    isBroken = true
                  })
                )
              )
          })
        )
      )
      const session = yield* Session.make({
        member: { instance: "one", host: "here", pid: 1, types: ["backfill_market"] },
        jobs,
        attempt: runAttempt,
        hints: { next: Effect.never, detail: Effect.succeed("none") },
        concurrency: 1,
        prefetch: 0,
        pollSeconds: 0.1,
        leaseSeconds: 5,
        retrySeconds: 1,
        isHeld: false,
        timeoutSeconds: 900,
        onBeat: () => Effect.void
      })
      const running = yield* Effect.forkScoped(session.run)
      yield* queue.enqueue(backfills(2))
      yield* Deferred.await(began)
      const ran = yield* rows
      assert.deepStrictEqual(
        ran.map(({ attempts, status }) => [status, attempts]),
        [
          ["running", 1],
          ["pending", 0]
        ]
      )
      yield* session.drain("300 millis").pipe(Effect.timeout("10 seconds"))
      assert.isTrue(isBroken)
      assert.isUndefined(running.pollUnsafe(), "a session that drains does not end by itself")
      yield* Fiber.interrupt(running)
      const all = yield* rows
      assert.deepStrictEqual(
        all.map(({ attempts, status }) => [status, attempts]),
        [
          ["pending", 0],
          ["pending", 0]
        ]
      )
      assert.deepStrictEqual(yield* PgClient.PgClient.use((sql) => sql`select 1 from queue_workers`), [])
    }).pipe(withQueue())
  )

  it.live("its gauges fall to zero with the last job of a type", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const sql = yield* PgClient.PgClient
      const ready = Effect.map(
        Metric.value(Metric.withAttributes(QueueMetrics.depth, { type: "discover_market", status: "ready" })),
        ({ value }) => value
      )
      yield* queue.enqueue([{ type: "discover_market", payload: { tickers: ["M"] } }])
      const handlers = { backfill_market: () => Effect.void }
      yield* Effect.scoped(
        Effect.andThen(
          worker(handlers),
          until(ready, (value) => value === 1)
        )
      )
      yield* sql`delete from queue_jobs`
      yield* worker(handlers)
      yield* until(ready, (value) => value === 0)
    }).pipe(withQueue())
  )

  it.live("its gauges say what it holds and runs at the moment", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const goOn = yield* Deferred.make<void>()
      const gauges = Effect.map(
        Effect.all([Metric.value(QueueMetrics.held), Metric.value(QueueMetrics.running)]),
        ([held, running]) => [held.value, running.value]
      )
      const one = yield* worker(
        { backfill_market: () => Deferred.await(goOn) },
        { WORK_QUEUE_CONCURRENCY: "3", WORK_QUEUE_PREFETCH: "0" }
      )
      yield* queue.enqueue(backfills(5))
      yield* until(gauges, ([held, running]) => held === 3 && running === 3)
      yield* Deferred.succeed(goOn, undefined)
      yield* finished
      yield* until(gauges, ([held, running]) => held === 0 && running === 0)
      yield* one.stop
    }).pipe(withQueue())
  )
})
