import * as Effect from "effect/Effect"
import * as ArchiveStatus from "../ingest/ArchiveStatus.ts"
import { Loops } from "../runtime/Loops.ts"
import { AdminAudit } from "../store/AdminAudit.ts"
import { ArchiveLedger } from "../store/ArchiveLedger.ts"
import { ArchiveSource } from "../store/ArchiveSource.ts"
import { HealthReads } from "../store/HealthReads.ts"
import { type JobFilter, JobList } from "../store/JobList.ts"
import { PartitionList } from "../store/PartitionList.ts"
import { QueueJobs } from "../store/QueueJobs.ts"
import { fromDatabase, wrongSetting } from "./Answer.ts"
import type * as Facts from "./Facts.ts"
import { loopFact } from "./ProcessCalls.ts"

const counted = Effect.map((count: number) => ({ count }))

/** The work queue, the partitions, the archive, the budget of calls, and who changed what. */
export const make = Effect.gen(function* () {
  const jobs = yield* JobList
  const queue = yield* QueueJobs
  const partitions = yield* PartitionList
  const health = yield* HealthReads
  const audit = yield* AdminAudit
  const loops = yield* Loops
  const archive = ArchiveStatus.read.pipe(
    Effect.provideService(ArchiveLedger, yield* ArchiveLedger),
    Effect.provideService(ArchiveSource, yield* ArchiveSource),
    Effect.catchTag("SettingError", (error) => Effect.fail(wrongSetting(error)))
  )

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
    archive: () =>
      Effect.gen(function* () {
        const loop = (yield* loops.states).find((one) => one.loop === "archive")
        return {
          ...(yield* fromDatabase(archive)),
          loop: loop === undefined ? null : loopFact(loop)
        } satisfies Facts.Archive
      }),
    budget: () =>
      Effect.map(fromDatabase(health.budgets), (rows) =>
        rows.map(({ capacity, key, refillRate, tokens }) => ({ key, tokens, capacity, refillPerSecond: refillRate }))
      ),
    audit: ({ limit }: { readonly limit: number }) => fromDatabase(audit.list(limit))
  }
})
