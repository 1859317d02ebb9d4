import * as Effect from "effect/Effect"
import { AdminAudit } from "../store/AdminAudit.ts"
import { HealthReads } from "../store/HealthReads.ts"
import { type JobFilter, JobList } from "../store/JobList.ts"
import { PartitionList } from "../store/PartitionList.ts"
import { QueueJobs } from "../store/QueueJobs.ts"
import { fromDatabase } from "./Answer.ts"

const counted = Effect.map((count: number) => ({ count }))

/** The work queue, the partitions, the budget of calls, and who changed what. */
export const make = Effect.gen(function* () {
  const jobs = yield* JobList
  const queue = yield* QueueJobs
  const partitions = yield* PartitionList
  const health = yield* HealthReads
  const audit = yield* AdminAudit

  return {
    jobs: ({ limit, status, type }: Partial<JobFilter> & { readonly limit: number }) =>
      fromDatabase(jobs.list({ status, type, limit })),
    retryJobs: ({ ids }: { readonly ids: ReadonlyArray<string> }) =>
      fromDatabase(Effect.map(queue.revive(ids), (revived) => revived.length)).pipe(counted),
    cancelJobs: ({ ids, why }: { readonly ids: ReadonlyArray<string>; readonly why: string }) =>
      fromDatabase(jobs.cancel(ids, why)).pipe(counted),
    purgeJobs: (purge: {
      readonly status: "pending" | "done" | "failed"
      readonly type?: string
      readonly olderThanSeconds: number
    }) => fromDatabase(jobs.purge(purge.status, purge.type, purge.olderThanSeconds)).pipe(counted),
    partitions: () => fromDatabase(partitions.list),
    budget: () =>
      Effect.map(fromDatabase(health.budgets), (rows) =>
        rows.map(({ capacity, key, refillRate, tokens }) => ({ key, tokens, capacity, refillPerSecond: refillRate }))
      ),
    audit: ({ limit }: { readonly limit: number }) => fromDatabase(audit.list(limit))
  }
})
