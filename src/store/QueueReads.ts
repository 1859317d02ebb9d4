import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Timestamp } from "../market/Timestamp.ts"

export interface QueueCount {
  readonly jobType: string
  readonly ready: number
  readonly delayed: number
  readonly running: number
  readonly doneLastHour: number
  readonly failed: number
  readonly oldestReadySeconds: number | null
}

export interface QueueJob {
  readonly id: string
  readonly jobType: string
  readonly status: string
  readonly priority: number
  readonly attempts: number
  readonly maxAttempts: number
  readonly about: string
  readonly createdAt: Timestamp
  readonly finishedAt: Timestamp | null
  readonly lockedBy: string | null
  readonly lastError: string | null
}

export interface QueueWorker {
  readonly instance: string
  readonly host: string
  readonly pid: number
  readonly jobTypes: ReadonlyArray<string>
  readonly silentSeconds: number
}

export interface QueueFacts {
  readonly counts: ReadonlyArray<QueueCount>
  readonly running: ReadonlyArray<QueueJob>
  readonly waiting: ReadonlyArray<QueueJob>
  readonly failed: ReadonlyArray<QueueJob>
  readonly workers: ReadonlyArray<QueueWorker>
}

const shown = 50

/** The work queue as people look at it. */
export class QueueReads extends Context.Service<QueueReads, { readonly facts: Effect.Effect<QueueFacts, SqlError> }>()(
  "kalshi-ingestor/store/QueueReads"
) {
  static readonly layer = Layer.effect(
    QueueReads,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const job = sql.literal(`
        id::text as id, job_type as "jobType", priority, attempts, max_attempts as "maxAttempts",
        coalesce(payload -> 'tickers' ->> 0, left(payload::text, 80)) as about, rfc3339(created_at) as "createdAt",
        locked_by as "lockedBy", left(last_error, 300) as "lastError"`)

      const facts = Effect.gen(function* () {
        const [counts, running, waiting, failed, workers] = yield* Effect.all(
          [
            sql<QueueCount>`
              with live as (
                select job_type, count(*) filter (where position is not null)::int as ready,
                  count(*) filter (where position is null and locked_by is null)::int as delayed,
                  count(*) filter (where locked_by is not null)::int as running,
                  extract(epoch from clock_timestamp() - min(available_at) filter (where position is not null))::float8 as oldest
                from (select * from queue_jobs limit 200000) j group by job_type
              ), ended as (
                select job_type, count(*) filter (where status = 'done')::int as done
                from (select * from queue_finished where finished_at > clock_timestamp() - interval '1 hour' limit 200000) f group by job_type
              ), dead as (
                select job_type, count(*)::int as failed
                from (select * from queue_finished where status = 'failed' limit 200000) f group by job_type
              )
              select job_type as "jobType", coalesce(ready, 0) as ready, coalesce(delayed, 0) as delayed, coalesce(running, 0) as running,
                coalesce(done, 0) as "doneLastHour", coalesce(failed, 0) as failed, oldest as "oldestReadySeconds"
              from live full join ended using (job_type) full join dead using (job_type) order by job_type`,
            sql<QueueJob>`
              select ${job}, 'running' as status, null as "finishedAt" from queue_jobs where locked_by is not null order by locked_at limit ${shown}`,
            sql<QueueJob>`
              select ${job}, 'pending' as status, null as "finishedAt" from (
                (select * from queue_jobs where position is not null order by priority, position limit ${shown})
                union all
                (select * from queue_jobs where position is null and locked_by is null order by available_at limit ${shown})
              ) j order by priority, available_at limit ${shown}`,
            sql<QueueJob>`
              select ${job}, status, rfc3339(finished_at) as "finishedAt" from queue_finished where status = 'failed'
              order by finished_at desc limit ${shown}`,
            sql<QueueWorker>`
              select instance, host, pid, job_types as "jobTypes", extract(epoch from clock_timestamp() - seen_at)::float8 as "silentSeconds"
              from queue_workers where not lost order by started_at limit 200`
          ],
          { concurrency: 5 }
        )
        return { counts, running, waiting, failed, workers }
      }).pipe(Effect.withSpan("QueueReads.facts"))

      return QueueReads.of({ facts })
    })
  )
}
