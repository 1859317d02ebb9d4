import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Random } from "../../src/simulator/Random.ts"
import { type ClaimedRow, type NewJob, priorities, QueueJobs } from "../../src/store/QueueJobs.ts"
import { TestDatabase } from "../support/Database.ts"

const Jobs = QueueJobs.layer.pipe(TestDatabase.under("queue"))
const types = ["a", "b"]
const lanes = Array.from({ length: priorities }, (_, priority) => priority).flatMap((priority) =>
  types.map((type) => ({ type, priority, after: 0 }))
)

/** A worker as it sees itself: it learns late, or never, that it lost its lease. */
interface Believer {
  readonly instance: string
  readonly held: Map<string, ClaimedRow>
}

describe("the queue, whatever happens in whatever order,", () => {
  for (const seed of [1, 2, 3, 4])
    it.live(`gives a job to one holder a fence, keeps to its attempts, and ends it once (seed ${seed})`, () =>
      Effect.gen(function* () {
        const jobs = yield* QueueJobs
        const sql = yield* PgClient.PgClient
        const random = new Random(seed)
        const entered = new Set<string>()
        const ended = new Map<string, "done" | "failed">()
        const givenOut = new Set<string>()
        /** The truth: who holds a job, under which fence. */
        const holders = new Map<string, { readonly instance: string; readonly fence: number }>()
        const believers: Array<Believer> = []
        const ghosts: Array<Believer> = []
        let born = 0

        const some = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> => items.filter(() => random.int(3) > 0)
        const end = (id: string, how: "done" | "failed") => {
          assert.isFalse(ended.has(id), `job ${id} ended twice`)
          assert.isTrue(entered.has(id))
          ended.set(id, how)
          holders.delete(id)
        }
        const owns = (worker: Believer, row: ClaimedRow) => {
          const holder = holders.get(row.id)
          return holder?.instance === worker.instance && holder.fence === row.fence
        }

        const steps = {
          enqueue: Effect.gen(function* () {
            const requests = Array.from(
              { length: 1 + random.int(6) },
              (): NewJob => ({
                type: types[random.int(2)]!,
                payload: "{}",
                priority: random.int(priorities),
                key: random.int(2) === 0 ? undefined : `k${random.int(8)}`,
                delaySeconds: random.int(4) === 0 ? 3600 : 0,
                maxAttempts: 1 + random.int(3)
              })
            )
            for (const id of (yield* jobs.enqueue(requests)).values()) {
              assert.isFalse(entered.has(id))
              entered.add(id)
            }
          }),
          join: Effect.gen(function* () {
            if (believers.length >= 4) return
            const instance = `w${born++}`
            yield* jobs.join({ instance, host: "here", pid: born, types }, 3600)
            believers.push({ instance, held: new Map() })
          }),
          claim: (worker: Believer) =>
            Effect.gen(function* () {
              const found = yield* jobs.claim(worker.instance, lanes, 1 + random.int(5))
              for (const row of found?.jobs ?? []) {
                const token = `${row.id}/${row.fence}`
                assert.isFalse(givenOut.has(token), `${token} was given out twice`)
                givenOut.add(token)
                assert.isFalse(holders.has(row.id), `job ${row.id} has two holders`)
                assert.isAtMost(row.attempt, row.maxAttempts)
                holders.set(row.id, { instance: worker.instance, fence: row.fence })
                worker.held.set(row.id, row)
              }
            }),
          complete: (worker: Believer) =>
            Effect.gen(function* () {
              const rows = some([...worker.held.values()])
              const expected = rows.filter((row) => owns(worker, row)).map(({ id }) => id)
              const done = yield* jobs.complete(worker.instance, rows)
              assert.deepStrictEqual([...done].sort(), expected.sort())
              for (const id of done) end(id, "done")
              for (const { id } of rows) worker.held.delete(id)
            }),
          fail: (worker: Believer) =>
            Effect.gen(function* () {
              const rows = some([...worker.held.values()])
              const expected = rows.filter((row) => owns(worker, row)).map(({ id }) => id)
              const failed = yield* jobs.fail(
                worker.instance,
                rows.map((row) => ({
                  ...row,
                  delaySeconds: random.int(5) === 0 ? undefined : random.int(2) * 3600,
                  cause: "no luck"
                }))
              )
              assert.deepStrictEqual(failed.map(({ id }) => id).sort(), expected.sort())
              for (const { dead, id } of failed) {
                if (dead) end(id, "failed")
                else holders.delete(id)
              }
              for (const { id } of rows) worker.held.delete(id)
            }),
          release: (worker: Believer) =>
            Effect.gen(function* () {
              const rows = some([...worker.held.values()])
              const expected = rows.filter((row) => owns(worker, row)).map(({ id }) => id)
              assert.deepStrictEqual([...(yield* jobs.release(worker.instance, rows))].sort(), expected.sort())
              for (const { id } of rows) {
                worker.held.delete(id)
                if (expected.includes(id)) holders.delete(id)
              }
            }),
          expire: (worker: Believer) =>
            sql`update queue_workers set expires_at = clock_timestamp() - interval '1 second'
                where instance = ${worker.instance}`,
          rescue: Effect.gen(function* () {
            const gone = yield* sql<{ instance: string }>`
              select instance from queue_workers where expires_at < clock_timestamp() or lost`
            const theirs = [...holders].filter(([, holder]) =>
              gone.some(({ instance }) => instance === holder.instance)
            )
            const rescued = yield* jobs.rescue
            assert.deepStrictEqual(rescued.map(({ id }) => id).sort(), theirs.map(([id]) => id).sort())
            for (const { dead, id } of rescued) {
              if (dead) end(id, "failed")
              else holders.delete(id)
            }
            for (const { instance } of gone) {
              const at = believers.findIndex((worker) => worker.instance === instance)
              if (at >= 0) ghosts.push(...believers.splice(at, 1))
            }
          }),
          leave: (worker: Believer) =>
            Effect.gen(function* () {
              yield* jobs.leave(worker.instance)
              for (const [id, holder] of holders) if (holder.instance === worker.instance) holders.delete(id)
              const at = believers.indexOf(worker)
              if (at >= 0) ghosts.push(...believers.splice(at, 1))
            }),
          promote: Effect.gen(function* () {
            yield* sql`update queue_jobs set available_at = clock_timestamp()
                       where position is null and locked_by is null and id % 2 = ${random.int(2)}`
            yield* jobs.promote(1 + random.int(10))
          })
        }

        const check = Effect.gen(function* () {
          const running = yield* sql<{ id: string; locked_by: string; fence: bigint }>`
            select id::text, locked_by, fence from queue_jobs where locked_by is not null`
          assert.deepStrictEqual(
            running.map(({ fence, id, locked_by }) => `${id} ${locked_by} ${fence}`).sort(),
            [...holders].map(([id, { fence, instance }]) => `${id} ${instance} ${fence}`).sort()
          )
          const wrong = yield* sql`select id from work_queue where attempts > max_attempts or attempts < 0`
          assert.deepStrictEqual(wrong, [])
        })

        yield* steps.join
        for (let step = 0; step < 400; step++) {
          const all = [...believers, ...ghosts]
          const worker = all[random.int(all.length)]!
          const dice = random.int(20)
          yield* dice < 3
            ? steps.enqueue
            : dice < 4
              ? steps.join
              : dice < 9
                ? steps.claim(worker)
                : dice < 12
                  ? steps.complete(worker)
                  : dice < 14
                    ? steps.fail(worker)
                    : dice < 15
                      ? steps.release(worker)
                      : dice < 16
                        ? steps.expire(worker)
                        : dice < 18
                          ? steps.rescue
                          : dice < 19
                            ? steps.promote
                            : random.int(4) === 0
                              ? steps.leave(worker)
                              : Effect.void
          if (step % 10 === 0) yield* check
        }
        for (const worker of [...believers]) yield* steps.leave(worker)
        yield* jobs.rescue
        yield* sql`update queue_jobs set available_at = clock_timestamp()`
        yield* jobs.promote(10_000)
        yield* steps.join
        const last = believers.at(-1)!
        while ((yield* sql`select 1 from queue_jobs limit 1`).length > 0) {
          yield* steps.claim(last)
          yield* steps.complete(last)
        }
        const finished = yield* sql<{ id: string; status: string }>`select id::text, status from queue_finished`
        assert.deepStrictEqual(
          finished.map(({ id, status }) => `${id} ${status}`).sort(),
          [...ended].map(([id, status]) => `${id} ${status}`).sort()
        )
        assert.deepStrictEqual([...ended.keys()].sort(), [...entered].sort())
        assert.isAbove(entered.size, 100)
      }).pipe(Effect.provide(Jobs))
    )
})
