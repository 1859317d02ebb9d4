import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import { isSqlError } from "effect/sql/SqlError"
import { channel, type NewJob, priorities, QueueJobs } from "../../src/store/QueueJobs.ts"
import { transaction } from "../../src/store/Transaction.ts"
import { Acting, TestDatabase } from "../support/Database.ts"

const Jobs = QueueJobs.layer.pipe(TestDatabase.under("queue"))

const job = (over: Partial<NewJob> = {}): NewJob => ({
  type: "a",
  payload: "{}",
  priority: 5,
  key: undefined,
  delaySeconds: 0,
  maxAttempts: 5,
  ...over
})

const join = (instance: string) =>
  QueueJobs.use((jobs) => jobs.join({ instance, host: "here", pid: 1, types: ["a", "b"] }, 60))

const claim = (instance: string, wanted = 100, after = 0, types = ["a"]) =>
  QueueJobs.use((jobs) =>
    jobs.claim(
      instance,
      Array.from({ length: priorities }, (_, priority) => priority).flatMap((priority) =>
        types.map((type) => ({ type, priority, after }))
      ),
      wanted
    )
  ).pipe(Effect.map((claim) => claim?.jobs ?? []))

/** What a worker that stopped beating looks like once its time is over. */
const outlive = (instance: string) =>
  PgClient.PgClient.use(
    (sql) =>
      sql`update queue_workers set expires_at = clock_timestamp() - interval '1 second' where instance = ${instance}`
  )

const stored = PgClient.PgClient.use(
  (sql) => sql<{ id: string; status: string; attempts: number; last_error: string | null; locked_by: string | null }>`
    select id::text, status, attempts, last_error, locked_by from work_queue order by work_queue.id`
)

describe("QueueJobs", () => {
  it.live("are claimed by urgency, then in the order they came, each by one worker", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      const given = [5, 5, 0, 9, 5, 0]
      const ids = yield* jobs.enqueue(given.map((priority) => job({ priority })))
      yield* join("w")
      yield* join("v")
      const first = yield* claim("w", 4)
      assert.deepStrictEqual(
        first.map(({ id }) => id),
        [2, 5, 0, 1].map((index) => ids.get(index)!)
      )
      assert.deepStrictEqual(
        (yield* claim("v")).map(({ id }) => id),
        [4, 3].map((index) => ids.get(index)!)
      )
      assert.deepStrictEqual(yield* claim("w"), [])
      assert.deepStrictEqual(
        first.map(({ attempt }) => attempt),
        [1, 1, 1, 1]
      )
    }).pipe(Effect.provide(Jobs))
  )

  it.live("are entered with the caller's transaction or not at all", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      const sql = yield* Acting
      yield* jobs
        .enqueue([job()])
        .pipe(Effect.andThen(Effect.fail("changed my mind")), sql.withTransaction, Effect.ignore)
      assert.deepStrictEqual(yield* stored, [])
      yield* jobs.enqueue([job()]).pipe(sql.withTransaction)
      assert.strictEqual((yield* stored).length, 1)
    }).pipe(Effect.provide(Jobs))
  )

  it.live("one unfinished job has a key; a more urgent request for it makes it more urgent", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      const twice = yield* jobs.enqueue([
        job({ key: "k" }),
        job({ key: "k" }),
        job({ type: "b", key: "k" }),
        job({ payload: '{"n":1}' })
      ])
      assert.deepStrictEqual([...twice.keys()], [0, 2, 3])
      assert.strictEqual((yield* jobs.enqueue([job({ key: "k", priority: 1 })])).size, 0)
      yield* join("w")
      const [first, second] = yield* claim("w", 2)
      assert.deepStrictEqual([first?.id, first?.priority], [twice.get(0), 1])
      assert.deepStrictEqual(second?.payload, { n: 1 })
      assert.strictEqual((yield* jobs.enqueue([job({ key: "k" })])).size, 0)
      yield* jobs.complete("w", [first!])
      assert.strictEqual((yield* jobs.enqueue([job({ key: "k" })])).size, 1)
    }).pipe(Effect.provide(Jobs))
  )

  it.live("two that enqueue the same keys in opposite order do not lock each other out", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      const keys = Array.from({ length: 50 }, (_, n) => `k${n}`)
      const enter = (order: ReadonlyArray<string>, priority: number) =>
        jobs.enqueue(order.map((key) => job({ key, priority })))
      const counts = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n),
        (n) => enter(n % 2 === 0 ? keys : keys.toReversed(), n % 10),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(
        counts.reduce((sum, { size }) => sum + size, 0),
        50
      )
    }).pipe(Effect.provide(Jobs))
  )

  it.live("wait for their time, and are then found behind what was searched already", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      const sql = yield* PgClient.PgClient
      yield* jobs.enqueue([job({ delaySeconds: 3600 }), job({ delaySeconds: -5 })])
      yield* join("w")
      const [now, ...none] = yield* claim("w")
      assert.deepStrictEqual([now?.attempt, none.length], [1, 0])
      assert.strictEqual((yield* jobs.promote(10)).size, 0)
      yield* sql`update queue_jobs set available_at = clock_timestamp() where locked_by is null`
      assert.deepStrictEqual([...(yield* jobs.promote(10))], [["a", 1]])
      assert.strictEqual((yield* claim("w", 10, now!.position)).length, 1)
    }).pipe(Effect.provide(Jobs))
  )

  it.live("a search that found too little says from where the next one may start", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      yield* join("w")
      yield* jobs.enqueue([job(), job()])
      const lanes = [{ type: "a", priority: 5, after: 0 }]
      const found = yield* jobs.claim("w", lanes, 10)
      assert.strictEqual(found?.newestPosition, found?.jobs.at(-1)?.position)
      yield* jobs.enqueue([job()])
      const next = yield* jobs.claim("w", [{ type: "a", priority: 5, after: found!.newestPosition }], 10)
      assert.strictEqual(next?.jobs.length, 1)
    }).pipe(Effect.provide(Jobs))
  )

  it.live("fail into a later attempt, and into a dead letter with its cause when attempts are used up", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      const sql = yield* PgClient.PgClient
      yield* jobs.enqueue([job({ maxAttempts: 2 })])
      yield* join("w")
      const attempt = Effect.fnUntraced(function* (cause: string) {
        const [held] = yield* claim("w")
        return yield* jobs.fail("w", [{ ...held!, delaySeconds: 30, cause }])
      })
      assert.deepStrictEqual(
        (yield* attempt("first")).map(({ dead }) => dead),
        [false]
      )
      assert.deepStrictEqual(yield* claim("w"), [])
      yield* sql`update queue_jobs set available_at = clock_timestamp()`
      yield* jobs.promote(10)
      assert.deepStrictEqual(
        (yield* attempt("second\u0000")).map(({ dead }) => dead),
        [true]
      )
      const [row] = yield* stored
      assert.deepStrictEqual([row?.status, row?.attempts, row?.last_error], ["failed", 2, "second"])
      assert.deepStrictEqual(yield* jobs.revive([row!.id]), [row!.id])
      assert.deepStrictEqual(yield* jobs.revive([row!.id]), [])
      assert.deepStrictEqual(
        (yield* claim("w")).map(({ attempt, fence }) => [attempt, fence]),
        [[1, 3]]
      )
    }).pipe(Effect.provide(Jobs))
  )

  it.live("given back, cost no attempt", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      yield* jobs.enqueue([job(), job()])
      yield* join("w")
      const held = yield* claim("w")
      assert.strictEqual((yield* jobs.release("w", held)).length, 2)
      const again = yield* claim("w")
      assert.deepStrictEqual(
        again.map(({ attempt, fence }) => [attempt, fence]),
        [
          [1, 2],
          [1, 2]
        ]
      )
      assert.strictEqual(yield* jobs.leave("w"), 2)
      assert.deepStrictEqual(yield* claim("w"), [])
      assert.isTrue((yield* stored).every(({ attempts, status }) => status === "pending" && attempts === 0))
    }).pipe(Effect.provide(Jobs))
  )

  it.live("of a worker whose lease ran out go to others; what it still writes touches nothing", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      yield* jobs.enqueue([job(), job({ maxAttempts: 1 }), job()])
      yield* join("w")
      yield* join("v")
      const held = yield* claim("w")
      assert.deepStrictEqual(yield* jobs.rescue, [])
      yield* outlive("w")
      const rescued = yield* jobs.rescue
      assert.deepStrictEqual(rescued.map(({ dead }) => dead).sort(), [false, false, true])
      assert.isFalse(yield* jobs.beat("w", 60, []))
      assert.isUndefined(yield* jobs.claim("w", [{ type: "a", priority: 5, after: 0 }], 1))
      assert.strictEqual((yield* jobs.complete("w", held)).size, 0)
      assert.deepStrictEqual(
        yield* jobs.fail(
          "w",
          held.map((one) => ({ ...one, delaySeconds: 1, cause: "late" }))
        ),
        []
      )
      assert.deepStrictEqual(yield* jobs.release("w", held), [])
      const taken = yield* claim("v")
      assert.deepStrictEqual(
        taken.map(({ attempt, fence }) => [attempt, fence]),
        [
          [2, 2],
          [2, 2]
        ]
      )
      assert.isFalse(yield* jobs.hold("w", held[0]!, 1))
      assert.strictEqual((yield* jobs.complete("v", taken)).size, 2)
      const dead = (yield* stored).find(({ status }) => status === "failed")
      assert.strictEqual(dead?.last_error, "worker w stopped answering in attempt 1 of 1")
    }).pipe(Effect.provide(Jobs))
  )

  it.live("that are being claimed while their worker leaves are given back too", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      const sql = yield* PgClient.PgClient
      const acting = yield* Acting
      yield* jobs.enqueue([job(), job()])
      yield* join("w")
      const claimed = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      const claiming = yield* Effect.forkChild(
        claim("w").pipe(
          Effect.tap(() => Deferred.succeed(claimed, undefined)),
          Effect.tap(() => Deferred.await(goOn)),
          acting.withTransaction
        )
      )
      yield* Deferred.await(claimed)
      const leaving = yield* Effect.forkChild(jobs.leave("w"), { startImmediately: true })
      yield* sql`select 1 from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock' and query like '%queue_leave%'`.pipe(
        Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (rows) => rows.length > 0 }),
        Effect.timeout("10 seconds")
      )
      yield* Deferred.succeed(goOn, undefined)
      assert.strictEqual((yield* Fiber.join(claiming)).length, 2)
      assert.strictEqual(yield* Fiber.join(leaving), 2)
      assert.isTrue((yield* stored).every(({ attempts, status }) => status === "pending" && attempts === 0))
    }).pipe(Effect.provide(Jobs))
  )

  it.live("in the name of a worker that is not on the list go to others", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      const sql = yield* PgClient.PgClient
      yield* jobs.enqueue([job(), job()])
      yield* join("w")
      yield* join("v")
      const [lost] = yield* claim("w", 1)
      yield* claim("v", 1)
      yield* sql`delete from queue_workers where instance = 'w'`
      assert.deepStrictEqual(yield* jobs.rescue, [{ id: lost!.id, type: "a", dead: false }])
    }).pipe(Effect.provide(Jobs))
  )

  it.live("of a claim whose reply was lost are given back by a later heartbeat, at no cost", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      yield* jobs.enqueue([job(), job(), job()])
      yield* join("w")
      const [known, ...lost] = yield* claim("w")
      assert.isTrue(yield* jobs.beat("w", 60, [known!.id]))
      assert.isTrue((yield* stored).every(({ status }) => status === "running"))
      assert.isTrue(yield* jobs.beat("w", 0, [known!.id]))
      const again = yield* claim("w")
      assert.deepStrictEqual(
        again.map(({ attempt, fence, id }) => [id, attempt, fence]),
        lost.map(({ id }) => [id, 1, 2])
      )
      assert.strictEqual((yield* jobs.complete("w", [known!, ...lost])).size, 1)
      assert.strictEqual((yield* jobs.complete("w", again)).size, 2)
    }).pipe(Effect.provide(Jobs))
  )

  it.live("a worker may join twice, as when the reply to the first time was lost", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      yield* jobs.enqueue([job()])
      yield* join("w")
      yield* outlive("w")
      yield* join("w")
      assert.deepStrictEqual(yield* jobs.rescue, [])
      assert.strictEqual((yield* claim("w")).length, 1)
    }).pipe(Effect.provide(Jobs))
  )

  it.live("a lease renewed in time, even late, is kept", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      yield* jobs.enqueue([job()])
      yield* join("w")
      const held = yield* claim("w")
      yield* outlive("w")
      assert.isTrue(yield* jobs.beat("w", 60, []))
      assert.deepStrictEqual(yield* jobs.rescue, [])
      assert.strictEqual((yield* jobs.complete("w", held)).size, 1)
    }).pipe(Effect.provide(Jobs))
  )

  it.live(
    "a job held in a transaction is not taken before that ends, and a transaction that stands still is ended",
    () =>
      Effect.gen(function* () {
        const jobs = yield* QueueJobs
        const sql = yield* Acting
        const owner = yield* PgClient.PgClient
        yield* owner`create table effects (id text)`
        yield* owner`grant all on effects to public`
        yield* jobs.enqueue([job(), job()])
        yield* join("w")
        const [first, second] = yield* claim("w")
        const holding = yield* Deferred.make<number>()
        const release = yield* Deferred.make<void>()
        const stuck = yield* Effect.forkChild(
          Effect.gen(function* () {
            assert.isTrue(yield* jobs.hold("w", first!, 0.5))
            yield* sql`insert into effects values (${first!.id})`
            const [own] = yield* sql<{ pid: number }>`select pg_backend_pid() as pid`
            yield* Deferred.succeed(holding, own!.pid)
            yield* Deferred.await(release)
            yield* jobs.complete("w", [first!])
          }).pipe(transaction(sql))
        )
        const pid = yield* Deferred.await(holding)
        yield* outlive("w")
        assert.deepStrictEqual(
          (yield* jobs.rescue).map(({ id }) => id),
          [second!.id]
        )
        assert.isFalse(yield* jobs.beat("w", 60, []))
        assert.deepStrictEqual(yield* jobs.rescue, [], "as long as the transaction lives, and no longer")
        yield* sql`select 1 from pg_stat_activity where pid = ${pid}`.pipe(
          Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (rows) => rows.length === 0 }),
          Effect.timeout("10 seconds")
        )
        assert.deepStrictEqual(
          (yield* jobs.rescue).map(({ id }) => id),
          [first!.id]
        )
        yield* Deferred.succeed(release, undefined)
        assert.isTrue(isSqlError(yield* Effect.flip(Fiber.join(stuck))))
        assert.deepStrictEqual(yield* sql`select id from effects`, [])
        assert.isTrue((yield* stored).every(({ attempts, status }) => status === "pending" && attempts === 1))
        assert.deepStrictEqual(yield* sql`select instance from queue_workers`, [])
      }).pipe(Effect.provide(Jobs))
  )

  it.live("done ones and dead letters are kept for a time of their own", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      const sql = yield* PgClient.PgClient
      yield* jobs.enqueue([job(), job(), job()])
      yield* join("w")
      const [a, b, c] = yield* claim("w")
      yield* jobs.complete("w", [a!, b!])
      yield* jobs.fail("w", [{ ...c!, delaySeconds: undefined, cause: "no" }])
      yield* sql`update queue_finished set finished_at = finished_at - interval '30 hours' where id <> ${b!.id}::int8`
      const left = Effect.map(stored, (rows) => rows.map(({ id }) => id))
      assert.strictEqual(yield* jobs.clean(48, 48, 10), 0)
      assert.strictEqual(yield* jobs.clean(48, 24, 10), 1)
      assert.deepStrictEqual(yield* left, [a!.id, b!.id])
      assert.strictEqual(yield* jobs.clean(24, 48, 10), 1)
      assert.deepStrictEqual(yield* left, [b!.id])
    }).pipe(Effect.provide(Jobs))
  )

  it.live("dead letters that live again are told to those that LISTEN, once a type", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      const sql = yield* PgClient.PgClient
      yield* jobs.enqueue([job({ maxAttempts: 1 }), job({ maxAttempts: 1 }), job({ type: "b", maxAttempts: 1 }), job()])
      yield* join("w")
      const held = yield* claim("w", 10, 0, ["a", "b"])
      yield* jobs.fail(
        "w",
        held.filter(({ maxAttempts }) => maxAttempts === 1).map((one) => ({ ...one, delaySeconds: 1, cause: "no" }))
      )
      const heard = yield* sql.listen(channel)
      const ids = held.map(({ id }) => id)
      assert.strictEqual((yield* jobs.revive(ids)).length, 3)
      assert.deepStrictEqual(yield* jobs.revive(ids), [])
      const notes = [yield* Queue.take(heard), yield* Queue.take(heard)].map(({ payload }) => JSON.parse(payload))
      assert.sameDeepMembers(notes, [
        { job_type: "a", jobs: 2 },
        { job_type: "b", jobs: 1 }
      ])
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"), Effect.provide(Jobs))
  )

  it.live("say which markets unfinished ones of some types name", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      yield* jobs.enqueue([
        job({ payload: '{"tickers":["M1","M2"]}' }),
        job({ type: "b", payload: '{"tickers":["M3"]}', delaySeconds: 60 }),
        job({ type: "c", payload: '{"tickers":["M4"]}' }),
        job({ payload: '{"tickers":"M5"}' })
      ])
      assert.deepStrictEqual(yield* jobs.named(["a", "b"], ["M1", "M3", "M4", "M5", "M6"]), new Set(["M1", "M3"]))
      yield* join("w")
      yield* jobs.complete("w", yield* claim("w"))
      assert.deepStrictEqual(yield* jobs.named(["a", "b"], ["M1", "M3"]), new Set(["M3"]))
    }).pipe(Effect.provide(Jobs))
  )

  it.live("can be entered by an insert into work_queue, as the original's users do", () =>
    Effect.gen(function* () {
      const jobs = yield* QueueJobs
      const sql = yield* PgClient.PgClient
      yield* sql`insert into work_queue (job_type, payload) values ('a', '{"tickers":["M"]}'), ('a', '{}')`
      yield* sql`insert into work_queue (job_type, payload, available_at) values ('a', '{}', clock_timestamp() + interval '1 hour')`
      const [depth] = yield* jobs.depths
      assert.deepInclude(depth, { type: "a", ready: 2, delayed: 1, running: 0, failed: 0 })
    }).pipe(Effect.provide(Jobs))
  )
})
