import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { type NewJob, priorities, QueueJobs } from "../../src/store/QueueJobs.ts"
import { TestDatabase } from "../support/Database.ts"
import { overDatabase } from "./AdminFixture.ts"

const job = (over: Partial<NewJob> = {}): NewJob => ({
  type: "backfill_market",
  payload: '{"tickers":["A"]}',
  priority: 5,
  key: undefined,
  delaySeconds: 0,
  maxAttempts: 1,
  ...over
})

const lanes = (type: string) => Array.from({ length: priorities }, (_, priority) => ({ type, priority, after: 0 }))

const ready = Effect.gen(function* () {
  const jobs = yield* QueueJobs
  yield* jobs.join({ instance: "w", host: "here", pid: 1, types: ["backfill_market", "repair_gap"] }, 60)
  const claim = (wanted: number) =>
    Effect.map(jobs.claim("w", lanes("backfill_market"), wanted), (claim) => claim!.jobs)
  return { client: yield* overDatabase, jobs, claim }
}).pipe(Effect.provide(QueueJobs.layer))

describe("jobs", () => {
  it.live("are listed the newest first, by status and type", () =>
    Effect.gen(function* () {
      const { claim, client, jobs } = yield* ready
      const ids = yield* jobs.enqueue(Array.from({ length: 12 }, () => job()))
      yield* jobs.enqueue([job({ type: "repair_gap", payload: '{"gap":7}' })])
      yield* claim(2)
      const all = yield* client.jobs({ limit: 100 })
      assert.deepStrictEqual(
        all.map(({ id }) => Number(id)),
        [...all.map(({ id }) => Number(id))].sort((a, b) => b - a)
      )
      assert.strictEqual(all.length, 13)
      assert.strictEqual(all[0]?.about, '{"gap": 7}')
      const running = yield* client.jobs({ limit: 100, status: "running" })
      assert.deepStrictEqual(running.map(({ id, lockedBy }) => [id, lockedBy]).sort(), [
        [String(ids.get(0)), "w"],
        [String(ids.get(1)), "w"]
      ])
      assert.strictEqual((yield* client.jobs({ limit: 3, type: "backfill_market", status: "pending" })).length, 3)
      assert.deepStrictEqual(yield* client.jobs({ limit: 3, type: "nothing" }), [])
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("that are cancelled are dead letters with a reason; whoever runs one holds it no more", () =>
    Effect.gen(function* () {
      const { claim, client, jobs } = yield* ready
      yield* jobs.enqueue([job(), job(), job()])
      const [held] = yield* claim(1)
      const pending = yield* client.jobs({ limit: 1, status: "pending" })
      const ids = [held!.id, pending[0]!.id, "999999"]
      assert.deepStrictEqual(yield* client.cancelJobs({ ids, why: "the series is gone" }), { count: 2 })
      assert.deepStrictEqual(yield* client.cancelJobs({ ids, why: "again" }), { count: 0 })
      const dead = yield* client.jobs({ limit: 10, status: "failed" })
      assert.deepStrictEqual(
        dead.map(({ lastError }) => lastError),
        ["the series is gone", "the series is gone"]
      )
      assert.strictEqual((yield* jobs.complete("w", [held!])).size, 0, "the holder is refused")
      const refused = yield* Effect.exit(jobs.hold("w", held!, 1))
      assert.notStrictEqual(refused._tag === "Success" && refused.value, true, "what it writes is refused")
      assert.strictEqual((yield* client.jobs({ limit: 10 })).length, 3)
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("that are dead live again once", () =>
    Effect.gen(function* () {
      const { claim, client, jobs } = yield* ready
      yield* jobs.enqueue([job(), job()])
      const [first] = yield* claim(1)
      yield* jobs.fail("w", [{ ...first!, delaySeconds: 0, cause: "no" }])
      assert.strictEqual((yield* client.jobs({ limit: 1, status: "failed" }))[0]?.lastError, "no")
      assert.deepStrictEqual(yield* client.retryJobs({ ids: [first!.id, "999999"] }), { count: 1 })
      assert.deepStrictEqual(yield* client.retryJobs({ ids: [first!.id] }), { count: 0 })
      assert.deepStrictEqual(yield* client.jobs({ limit: 1, status: "failed" }), [])
      assert.isTrue((yield* claim(5)).some(({ attempt, payload }) => attempt === 1 && payload !== undefined))
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("are purged by status, type and age, and those that run are left", () =>
    Effect.gen(function* () {
      const { claim, client, jobs } = yield* ready
      const sql = yield* SqlClient.SqlClient
      yield* jobs.enqueue(Array.from({ length: 11_000 }, () => job()))
      yield* jobs.enqueue([job({ type: "repair_gap" })])
      const held = yield* claim(3)
      yield* jobs.complete("w", held.slice(0, 1))
      const purge = (status: "pending" | "done" | "failed", olderThanSeconds = 0, type?: string) =>
        Effect.map(
          client.purgeJobs({ status, olderThanSeconds, ...(type === undefined ? {} : { type }) }),
          ({ count }) => count
        )
      assert.strictEqual(yield* purge("pending", 3600), 0, "none is an hour old")
      assert.strictEqual(yield* purge("pending", 0, "backfill_market"), 10_997)
      assert.strictEqual(yield* purge("failed"), 0)
      assert.strictEqual(yield* purge("done"), 1)
      assert.deepStrictEqual(
        (yield* client.jobs({ limit: 10 })).map(({ status, type }) => `${type} ${status}`),
        ["repair_gap pending", "backfill_market running", "backfill_market running"]
      )
      const left = yield* sql<{ n: number }>`select count(*)::int as n from queue_jobs`
      assert.strictEqual(left[0]?.n, 3)
    }).pipe(Effect.provide(TestDatabase.layer))
  )
})
