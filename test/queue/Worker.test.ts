import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { Fenced, JobFailed } from "../../src/queue/Job.ts"
import type { Handlers } from "../../src/queue/JobHandlers.ts"
import { WakeUp } from "../../src/queue/WakeUp.ts"
import { WorkQueue } from "../../src/queue/WorkQueue.ts"
import { QueueJobs } from "../../src/store/QueueJobs.ts"
import { Acting } from "../support/Database.ts"
import { backfills, finished, queueOf, rows, withQueue, worker } from "./WorkerFixture.ts"

const until = <A, E, R>(effect: Effect.Effect<A, E, R>, isSo: (value: A) => boolean) =>
  effect.pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: isSo }),
    Effect.timeoutOrElse({ duration: "15 seconds", orElse: () => Effect.die(new Error("it never came to that")) })
  )

const effects = PgClient.PgClient.use((sql) =>
  Effect.andThen(
    sql`create table effects (ticker text not null, by text not null)`,
    sql`grant all on effects to public`
  )
)
const note = (ticker: string, by: string) =>
  PgClient.PgClient.use((sql) => sql`insert into effects (ticker, by) values (${ticker}, ${by})`)

describe("Worker", () => {
  it.live("several do every job, each once, and keep what they did", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const counts = new Map<string, number>()
      const handlers: Handlers = {
        backfill_market: ({ payload }) =>
          Effect.sync(() => {
            const [ticker] = payload.tickers
            counts.set(ticker, (counts.get(ticker) ?? 0) + 1)
          })
      }
      const workers = yield* Effect.forEach([1, 2, 3], () => worker(handlers))
      const { entered } = yield* queue.enqueue(backfills(500))
      assert.strictEqual(entered, 500)
      yield* finished
      assert.strictEqual(counts.size, 500)
      assert.isTrue([...counts.values()].every((count) => count === 1))
      yield* Effect.forEach(workers, ({ stop }) => stop, { discard: true })
      const all = yield* rows
      assert.isTrue(all.length === 500 && all.every(({ attempts, status }) => status === "done" && attempts === 1))
    }).pipe(withQueue())
  )

  it.live("finds jobs that nobody announced", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      yield* worker({ backfill_market: () => Effect.void })
      yield* Effect.sleep("300 millis")
      yield* queue.enqueue(backfills(20))
      yield* finished
    }).pipe(Effect.scoped, Effect.provide(queueOf({}, WakeUp.layerMuted(WakeUp.layerListen))))
  )

  it.live("finds jobs at once whose transaction committed after later ones were done", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const acting = yield* Acting
      yield* worker({ backfill_market: () => Effect.void }, { WORK_QUEUE_POLL_SECONDS: "60" })
      const entered = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      const slow = yield* Effect.forkChild(
        queue
          .enqueue(backfills(300))
          .pipe(
            Effect.andThen(Deferred.succeed(entered, undefined)),
            Effect.andThen(Deferred.await(release)),
            acting.withTransaction
          )
      )
      yield* Deferred.await(entered)
      yield* queue.enqueue(backfills(10, 300))
      yield* finished
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(slow)
      yield* finished.pipe(Effect.timeout("10 seconds"))
      assert.strictEqual((yield* rows).length, 310)
    }).pipe(withQueue())
  )

  it.live("tries again after a while, and leaves a dead letter with the cause when attempts are used up", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const attempts: Array<number> = []
      yield* worker({
        backfill_market: ({ attempt }) =>
          Effect.suspend(() => {
            attempts.push(attempt)
            return Effect.fail(new JobFailed({ problem: `broken ${attempt}`, retryable: true }))
          })
      })
      yield* queue.enqueue(backfills(1).map((job) => ({ ...job, maxAttempts: 3 })))
      yield* finished
      assert.deepStrictEqual(attempts, [1, 2, 3])
      const [row] = yield* rows
      assert.deepStrictEqual([row?.status, row?.attempts, row?.last_error], ["failed", 3, "broken 3"])
    }).pipe(withQueue())
  )

  it.live("does not try again what cannot succeed: a handler says so, or the payload does not fit", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const sql = yield* PgClient.PgClient
      yield* worker({
        backfill_market: () => Effect.fail(new JobFailed({ problem: "no such market", retryable: false }))
      })
      yield* queue.enqueue(backfills(1))
      yield* sql`insert into work_queue (job_type, payload) values ('backfill_market', '{"tickers": []}')`
      yield* finished
      const [first, second] = yield* rows
      assert.deepStrictEqual([first?.status, first?.attempts, first?.last_error], ["failed", 1, "no such market"])
      assert.strictEqual(second?.status, "failed")
      assert.match(second?.last_error ?? "", /^the payload does not fit backfill_market: /)
    }).pipe(withQueue())
  )

  it.live("breaks off an attempt that takes too long", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      yield* worker(
        { backfill_market: ({ attempt }) => (attempt === 1 ? Effect.never : Effect.void) },
        { WORK_QUEUE_LOCK_TIMEOUT_SECONDS: "1" }
      )
      yield* queue.enqueue(backfills(1))
      yield* finished
      const [row] = yield* rows
      assert.deepStrictEqual([row?.status, row?.attempts], ["done", 2])
    }).pipe(withQueue())
  )

  it.live("leaves jobs alone that it has no handler for, or is told not to take", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const taken: Array<string> = []
      const take = ({ type }: { readonly type: string }) => Effect.sync(() => void taken.push(type))
      yield* queue.enqueue([
        { type: "archive_partition", payload: { table: "ticks", partition: "ticks_20260824" }, priority: 0 },
        { type: "discover_market", payload: { tickers: ["M"] }, priority: 0 },
        ...backfills(50)
      ])
      yield* worker(
        { backfill_market: take, discover_market: take },
        { WORK_QUEUE_JOB_TYPES: "backfill_market,archive_partition" }
      )
      // The others are older and more urgent: a worker that could take them would have done so first.
      yield* until(rows, (all) => all.filter(({ status }) => status === "done").length === 50)
      assert.deepStrictEqual(
        (yield* rows).slice(0, 2).map(({ attempts, status }) => [status, attempts]),
        [
          ["pending", 0],
          ["pending", 0]
        ]
      )
      assert.deepStrictEqual(
        taken,
        Array.from({ length: 50 }, () => "backfill_market")
      )
    }).pipe(withQueue())
  )

  it.live("a type that does not exist is one line that says so", () =>
    Effect.gen(function* () {
      const wrong = yield* worker({ backfill_market: () => Effect.void }, { WORK_QUEUE_JOB_TYPES: "backfil_market" })
      const error = yield* Effect.flip(wrong.ended)
      assert.strictEqual(
        String((error as Error).message),
        'WORK_QUEUE_JOB_TYPES: "backfil_market" is not one of backfill_market, discover_market, repair_gap, cleanup_market, archive_partition; set it like WORK_QUEUE_JOB_TYPES=backfill_market'
      )
    }).pipe(withQueue())
  )

  it.live("a lease so long that a dead worker's jobs would wait for half a minute is one line that says so", () =>
    Effect.gen(function* () {
      const wrong = yield* worker({ backfill_market: () => Effect.void }, { WORK_QUEUE_LEASE_SECONDS: "21" })
      const message = String(((yield* Effect.flip(wrong.ended)) as Error).message)
      assert.match(message, /^WORK_QUEUE_LEASE_SECONDS: .*20/)
      assert.notInclude(message, "\n")
    }).pipe(withQueue())
  )

  it.live("results and the end of the job are one transaction: neither without the other", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const sql = yield* PgClient.PgClient
      const acting = yield* Acting
      yield* effects
      yield* worker({
        backfill_market: ({ attempt, commit, payload }) =>
          commit(
            note(payload.tickers[0], String(attempt)).pipe(
              Effect.andThen(
                attempt === 1
                  ? Effect.fail(new JobFailed({ problem: "after the write", retryable: true }))
                  : Effect.void
              ),
              Effect.provideService(PgClient.PgClient, acting)
            )
          )
      })
      yield* queue.enqueue(backfills(1))
      yield* finished
      assert.deepStrictEqual(yield* sql`select * from effects`, [{ ticker: "M-0", by: "2" }])
      assert.deepInclude((yield* rows)[0], { status: "done", attempts: 2 })
    }).pipe(withQueue())
  )

  it.live("a worker that did not answer for longer than its lease leaves nothing of what it does afterwards", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const jobs = yield* QueueJobs
      const sql = yield* PgClient.PgClient
      const acting = yield* Acting
      yield* effects
      const began = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      const tried = yield* Deferred.make<ReadonlyArray<unknown>>()
      yield* worker({
        backfill_market: ({ commit, fenced, payload }) => {
          const write = note(payload.tickers[0], "late").pipe(Effect.provideService(PgClient.PgClient, acting))
          return Deferred.succeed(began, undefined).pipe(
            Effect.andThen(Deferred.await(goOn)),
            Effect.andThen(Effect.all([Effect.flip(fenced(write)), Effect.flip(commit(write))])),
            Effect.tap((errors) => Deferred.succeed(tried, errors)),
            Effect.uninterruptible
          )
        }
      })
      yield* queue.enqueue(backfills(1))
      yield* Deferred.await(began)
      yield* sql`update queue_workers set lost = true`
      yield* jobs.rescue
      yield* jobs.join({ instance: "other", host: "there", pid: 1, types: ["backfill_market"] }, 60)
      const taken = yield* jobs.claim("other", [{ type: "backfill_market", priority: 5, after: 0 }], 1)
      assert.strictEqual(taken?.jobs[0]?.attempt, 2)
      yield* Deferred.succeed(goOn, undefined)
      const errors = yield* Effect.timeout(Deferred.await(tried), "10 seconds")
      assert.deepStrictEqual(
        errors.map((error) => error instanceof Fenced),
        [true, true]
      )
      assert.deepStrictEqual(yield* sql`select * from effects`, [])
      assert.strictEqual((yield* jobs.complete("other", taken!.jobs)).size, 1)
    }).pipe(withQueue())
  )

  it.live("takes over what a dead worker held, and goes on by itself after it was taken for dead", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const jobs = yield* QueueJobs
      const sql = yield* PgClient.PgClient
      yield* queue.enqueue(backfills(10))
      yield* jobs.join({ instance: "dead", host: "there", pid: 1, types: [] }, 0.1)
      assert.strictEqual(
        (yield* jobs.claim("dead", [{ type: "backfill_market", priority: 5, after: 0 }], 10))?.jobs.length,
        10
      )
      yield* worker({ backfill_market: () => Effect.void })
      yield* finished
      assert.isTrue((yield* rows).every(({ attempts, status }) => status === "done" && attempts === 2))
      yield* sql`update queue_workers set lost = true`
      yield* queue.enqueue(backfills(10, 10))
      yield* finished
      assert.strictEqual((yield* rows).length, 20)
    }).pipe(withQueue())
  )

  it.live("stopping finishes what runs, and gives back what waits at no cost", () =>
    Effect.gen(function* () {
      const queue = yield* WorkQueue
      const began = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      let run = 0
      const one = yield* worker(
        {
          backfill_market: () =>
            Effect.suspend(() => {
              run++
              return run <= 20
                ? Effect.void
                : Deferred.succeed(began, undefined).pipe(Effect.andThen(Deferred.await(goOn)))
            })
        },
        { WORK_QUEUE_CONCURRENCY: "1", WORK_QUEUE_PREFETCH: "4" }
      )
      yield* queue.enqueue(backfills(30))
      yield* Deferred.await(began)
      yield* until(rows, (all) => all.filter(({ status }) => status === "running").length > 1)
      const stopping = yield* Effect.forkChild(one.stop, { startImmediately: true })
      yield* until(rows, (all) => all.filter(({ status }) => status === "running").length === 1)
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(stopping)
      const all = yield* rows
      assert.strictEqual(all.filter(({ attempts, status }) => status === "done" && attempts === 1).length, 21)
      assert.strictEqual(all.filter(({ attempts, status }) => status === "pending" && attempts === 0).length, 9)
      assert.deepStrictEqual(yield* PgClient.PgClient.use((sql) => sql`select 1 from queue_workers`), [])
    }).pipe(withQueue())
  )
})
