import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

export interface JobFilter {
  readonly status: "pending" | "running" | "done" | "failed" | undefined
  readonly type: string | undefined
  readonly limit: number
}

export interface JobRow {
  readonly id: string
  readonly type: string
  readonly status: string
  readonly priority: number
  readonly attempts: number
  readonly maxAttempts: number
  readonly about: string
  readonly createdAt: string
  readonly availableAt: string
  readonly lockedBy: string | null
  readonly lastError: string | null
}

const atOnce = 5_000

/** The jobs of the queue, for people. */
export class JobList extends Context.Service<
  JobList,
  {
    /** The newest first. */
    list(filter: JobFilter): Effect.Effect<ReadonlyArray<JobRow>, SqlError>
    /** Makes dead letters of unfinished jobs; who runs one loses it. */
    cancel(ids: ReadonlyArray<string>, why: string): Effect.Effect<number, SqlError>
    /** Deletes jobs that were entered (pending) or ended (done, failed) before, so many at once that nobody waits for it. */
    purge(
      status: "pending" | "done" | "failed",
      type: string | undefined,
      olderThanSeconds: number
    ): Effect.Effect<number, SqlError>
  }
>()("kalshi-ingestor/store/JobList") {
  static readonly layer = Layer.effect(
    JobList,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      return JobList.of({
        list: Effect.fn("JobList.list")(
          ({ limit, status, type }) => sql<JobRow>`
            select id::text as id, job_type as type, status, priority, attempts, max_attempts as "maxAttempts",
              coalesce(payload -> 'tickers' ->> 0, left(payload::text, 80)) as about, rfc3339(created_at) as "createdAt",
              rfc3339(available_at) as "availableAt", locked_by as "lockedBy", left(last_error, 500) as "lastError"
            from work_queue q
            where (${status ?? null}::text is null or status = ${status ?? null}::text)
              and (${type ?? null}::text is null or job_type = ${type ?? null}::text)
            order by q.id desc limit ${limit}`
        ),
        cancel: Effect.fn("JobList.cancel")((ids, why) =>
          sql`select queue_cancel(${ids}::text[]::bigint[], ${why})`.pipe(Effect.map((rows) => rows.length))
        ),
        purge: Effect.fn("JobList.purge")(function* (status, type, olderThanSeconds) {
          const [{ before } = { before: "" }] = yield* sql<{ before: string }>`
            select rfc3339(clock_timestamp() - ${olderThanSeconds}::float8 * interval '1 second') as before`
          const types = type === undefined ? null : [type]
          let all = 0
          while (true) {
            const [{ gone } = { gone: 0 }] = yield* sql<{ gone: number }>`
              select queue_purge(${status}, ${types}::text[], ${before}::timestamptz, ${atOnce}) as gone`
            all += gone
            if (gone < atOnce) return all
          }
        })
      })
    })
  )
}
