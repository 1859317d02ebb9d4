import * as PgClient from "@effect/sql-pg/PgClient"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type { SqlError } from "effect/sql/SqlError"
import type { QueueOperation } from "../runtime/AccessFunctions.ts"
import { type Guard, Guardrails, mayQueue, type NotOurs } from "../runtime/Guardrails.ts"

/** How many priorities there are: 0, the most urgent, to 9. */
export const priorities = 10

/** The channel of NOTIFY: what workers and the portal listen to. */
export const channel = "work_queue_update"

export interface NewJob {
  readonly type: string
  /** JSON text. */
  readonly payload: string
  readonly priority: number
  readonly key: string | undefined
  readonly delaySeconds: number
  readonly maxAttempts: number
}

/** Proof of holding a job: what is written under a fence that has moved on touches nothing. */
export interface Held {
  readonly id: string
  readonly fence: number
}

export interface ClaimedRow extends Held {
  readonly type: string
  readonly payload: unknown
  readonly priority: number
  /** Where it stood in its lane. */
  readonly position: number
  readonly attempt: number
  readonly maxAttempts: number
  /** How long it was ready before it was claimed. */
  readonly waitedSeconds: number
}

/** Jobs of one type and priority, read from after a position. */
export interface Lane {
  readonly type: string
  readonly priority: number
  readonly after: number
}

/** `newestPosition`: the newest that had been given out before the search began. */
export interface Claim {
  readonly newestPosition: number
  readonly jobs: ReadonlyArray<ClaimedRow>
}

export interface Failure extends Held {
  /** Seconds until the next attempt; nothing: it is dead. */
  readonly delaySeconds: number | undefined
  readonly cause: string
}

/** A job that its holder lost or gave up; `dead`: it will not be tried again. */
export interface SetBack {
  readonly id: string
  readonly type: string
  readonly dead: boolean
}

export interface Member {
  readonly instance: string
  readonly host: string
  readonly pid: number
  readonly types: ReadonlyArray<string>
}

/** What is in the queue, by type. */
export interface Depth {
  readonly type: string
  readonly ready: number
  readonly delayed: number
  readonly running: number
  readonly failed: number
  /** Age of the oldest ready job, 0 when there is none. */
  readonly oldestSeconds: number
}

/** An operation is refused to a program whose it is not. */
export type QueueError = SqlError | NotOurs

/** The work queue's rows. Times are the database's clock. Every method joins the caller's transaction. */
export class QueueJobs extends Context.Service<
  QueueJobs,
  {
    /**
     * The ids of the jobs entered, by their index in `jobs`; one whose key an unfinished job has is not. `tell`: those that LISTEN hear
     * of it when the transaction commits.
     */
    enqueue(
      jobs: ReadonlyArray<NewJob>,
      options?: { readonly tell: boolean }
    ): Effect.Effect<ReadonlyMap<number, string>, QueueError>
    /** Nothing can be claimed before. */
    join(member: Member, ttlSeconds: number): Effect.Effect<void, QueueError>
    /**
     * Renews the lease; false: it is lost, and all that was held with it. `held`: the ids of all that the worker knows to hold; what it
     * was given longer than `ttlSeconds` ago without learning of it is given back.
     */
    beat(instance: string, ttlSeconds: number, held: Iterable<string>): Effect.Effect<boolean, SqlError>
    /** Up to `wanted` jobs, lane by lane; nothing when the lease is lost. */
    claim(instance: string, lanes: ReadonlyArray<Lane>, wanted: number): Effect.Effect<Claim | undefined, SqlError>
    /** In a transaction: whether the job is still held, and if so it stays held until the transaction ends. */
    hold(instance: string, job: Held, patienceSeconds: number): Effect.Effect<boolean, SqlError>
    /** The ids of those that were still held, which are done now. */
    complete(instance: string, jobs: ReadonlyArray<Held>): Effect.Effect<ReadonlySet<string>, SqlError>
    /** Those that were still held. */
    fail(instance: string, jobs: ReadonlyArray<Failure>): Effect.Effect<ReadonlyArray<SetBack>, SqlError>
    /** Gives back what was not run to its end; the attempt does not count. */
    release(instance: string, jobs: ReadonlyArray<Held>): Effect.Effect<ReadonlyArray<string>, SqlError>
    /**
     * What became of jobs that this worker asked to end, but whose answer it did not get: `done`, or the cause that it gave. Those that
     * others ended or have are not among them.
     */
    ended(
      instance: string,
      jobs: ReadonlyArray<Held>
    ): Effect.Effect<ReadonlyMap<string, { readonly isDone: boolean; readonly cause: string | null }>, SqlError>
    /** Gives everything back, and ends the lease. */
    leave(instance: string): Effect.Effect<number, SqlError>
    /** Takes the jobs of workers whose lease ran out. */
    readonly rescue: Effect.Effect<ReadonlyArray<SetBack>, QueueError>
    /** Makes jobs ready whose time has come; how many, by type. */
    promote(most: number): Effect.Effect<ReadonlyMap<string, number>, QueueError>
    /** Tells those that LISTEN to `work_queue_update`, when the transaction commits. */
    tell(note: string): Effect.Effect<void, SqlError>
    /** Gives dead letters a new set of attempts. The ids of those that live again. */
    revive(ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, QueueError>
    /** Deletes at most `most` done jobs and as many dead letters, of those that ended longer ago than this. How many. */
    clean(doneHours: number, failedHours: number, most: number): Effect.Effect<number, QueueError>
    /** Those of the markets that an unfinished job of these types names. */
    named(types: ReadonlyArray<string>, tickers: ReadonlyArray<string>): Effect.Effect<ReadonlySet<string>, SqlError>
    readonly depths: Effect.Effect<ReadonlyArray<Depth>, SqlError>
  }
>()("kalshi-ingestor/store/QueueJobs") {
  static readonly layer = Layer.effect(
    QueueJobs,
    Effect.gen(function* () {
      return make(yield* PgClient.PgClient, yield* Guardrails)
    })
  )

  /** On a client of its own. */
  static readonly make = (sql: PgClient.PgClient, guard: Guard) => make(sql, guard)
}

const typed = (values: ReadonlyArray<unknown>, oid: number) => Result.getOrThrow(PgTypes.array(values, oid))
const texts = (values: ReadonlyArray<string | null>) => typed(values, PgTypes.OID.text)
const int4s = (values: ReadonlyArray<number>) => typed(values, PgTypes.OID.int4)
const int8s = (values: ReadonlyArray<number | string>) => typed(values.map(BigInt), PgTypes.OID.int8)
const float8s = (values: ReadonlyArray<number | null>) => typed(values, PgTypes.OID.float8)
const ids = (jobs: ReadonlyArray<Held>) => int8s(jobs.map(({ id }) => id))
const fences = (jobs: ReadonlyArray<Held>) => int8s(jobs.map(({ fence }) => fence))

interface SetBackRow {
  readonly id: bigint
  readonly job_type: string
  readonly dead: boolean
}

const setBacks = (rows: ReadonlyArray<SetBackRow>): ReadonlyArray<SetBack> =>
  rows.map(({ dead, id, job_type }) => ({ id: String(id), type: job_type, dead }))

const make = (sql: PgClient.PgClient, guard: Guard) => {
  const may =
    (operation: QueueOperation) =>
    <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.andThen(mayQueue(guard, operation), effect)
  return QueueJobs.of({
    enqueue: Effect.fn("QueueJobs.enqueue")(
      (jobs, options) =>
        sql<{ nth: bigint; id: bigint }>`
        select nth, id from queue_enqueue(
          ${texts(jobs.map((job) => job.type))}, ${texts(jobs.map((job) => job.payload))},
          ${int4s(jobs.map((job) => job.priority))}, ${texts(jobs.map((job) => job.key ?? null))},
          ${float8s(jobs.map((job) => job.delaySeconds))}, ${int4s(jobs.map((job) => job.maxAttempts))},
          ${options?.tell === true})`.pipe(
          Effect.map((rows) => new Map(rows.map(({ id, nth }) => [Number(nth) - 1, String(id)])))
        ),
      may("enqueue")
    ),
    join: Effect.fn("QueueJobs.join")(
      ({ host, instance, pid, types }, ttl) =>
        Effect.asVoid(sql`select queue_join(${instance}, ${host}, ${pid}, ${texts(types)}, ${ttl}::float8)`),
      may("work")
    ),
    beat: Effect.fn("QueueJobs.beat")((instance, ttl, held) =>
      sql<{ alive: boolean }>`select queue_beat(${instance}, ${ttl}::float8, ${int8s([...held])}) as alive`.pipe(
        Effect.map((rows) => rows[0]!.alive)
      )
    ),
    claim: Effect.fn("QueueJobs.claim")((instance, lanes, wanted) =>
      sql<{
        id: bigint | null
        job_type: string
        payload: unknown
        priority: number
        claimed_position: bigint | null
        attempts: number
        max_attempts: number
        fence: bigint
        waited: number
      }>`
        select * from queue_claim(
          ${instance}, ${texts(lanes.map(({ type }) => type))}, ${int4s(lanes.map(({ priority }) => priority))},
          ${int8s(lanes.map(({ after }) => after))}, ${wanted})`.pipe(
        Effect.map(([head, ...rows]) => {
          const newest = head?.claimed_position ?? undefined
          return newest === undefined
            ? undefined
            : {
                newestPosition: Number(newest),
                jobs: rows
                  .map((row) => ({
                    id: String(row.id),
                    fence: Number(row.fence),
                    type: row.job_type,
                    payload: row.payload,
                    priority: row.priority,
                    position: Number(row.claimed_position),
                    attempt: row.attempts,
                    maxAttempts: row.max_attempts,
                    waitedSeconds: row.waited
                  }))
                  .sort((a, b) => a.priority - b.priority || a.position - b.position)
              }
        })
      )
    ),
    hold: Effect.fn("QueueJobs.hold")((instance, { fence, id }, patience) =>
      sql<{
        held: boolean
      }>`select queue_hold(${instance}, ${id}::int8, ${fence}::int8, ${patience}::float8) as held`.pipe(
        Effect.map((rows) => rows[0]!.held)
      )
    ),
    complete: Effect.fn("QueueJobs.complete")((instance, jobs) =>
      sql<{ id: bigint }>`select queue_complete(${instance}, ${ids(jobs)}, ${fences(jobs)}) as id`.pipe(
        Effect.map((rows) => new Set(rows.map(({ id }) => String(id))))
      )
    ),
    fail: Effect.fn("QueueJobs.fail")((instance, jobs) =>
      sql<SetBackRow>`
        select * from queue_fail(
          ${instance}, ${ids(jobs)}, ${fences(jobs)},
          ${float8s(jobs.map(({ delaySeconds }) => delaySeconds ?? null))},
          ${texts(jobs.map(({ cause }) => storable(cause)))})`.pipe(Effect.map(setBacks))
    ),
    release: Effect.fn("QueueJobs.release")((instance, jobs) =>
      sql<{
        id: bigint
      }>`select id from queue_release(${instance}, ${ids(jobs)}, ${fences(jobs)})`.pipe(
        Effect.map((rows) => rows.map(({ id }) => String(id)))
      )
    ),
    ended: Effect.fn("QueueJobs.ended")((instance, jobs) =>
      sql<{ id: bigint; done: boolean; cause: string | null }>`
        with asked as (select * from unnest(${ids(jobs)}, ${fences(jobs)}) as d(id, fence))
        select f.id, f.status = 'done' as done, f.last_error as cause
        from queue_finished f join asked d on f.id = d.id and f.fence = d.fence where f.locked_by = ${instance}
        union all
        select q.id, false, q.last_error from queue_jobs q join asked d on q.id = d.id and q.fence = d.fence
        where q.locked_by is null`.pipe(
        Effect.map((rows) => new Map(rows.map(({ cause, done, id }) => [String(id), { isDone: done, cause }])))
      )
    ),
    leave: Effect.fn("QueueJobs.leave")((instance) =>
      sql<{ given: number }>`select queue_leave(${instance}) as given`.pipe(Effect.map((rows) => rows[0]!.given))
    ),
    rescue: sql<SetBackRow>`select * from queue_rescue()`.pipe(
      Effect.map(setBacks),
      may("upkeep"),
      Effect.withSpan("QueueJobs.rescue")
    ),
    promote: Effect.fn("QueueJobs.promote")(
      (most) =>
        sql<{ job_type: string; jobs: number }>`select * from queue_promote(${most})`.pipe(
          Effect.map((rows) => new Map(rows.map(({ job_type, jobs }) => [job_type, jobs])))
        ),
      may("upkeep")
    ),
    tell: (note) => Effect.asVoid(sql`select pg_notify(${channel}, ${note})`),
    revive: Effect.fn("QueueJobs.revive")(
      (wanted) =>
        sql<{ id: bigint }>`select queue_revive(${int8s(wanted)}) as id`.pipe(
          Effect.map((rows) => rows.map(({ id }) => String(id)))
        ),
      may("retry")
    ),
    clean: Effect.fn("QueueJobs.clean")(
      (doneHours, failedHours, most) =>
        sql<{ gone: number }>`select queue_clean(${doneHours}::float8, ${failedHours}::float8, ${most}) as gone`.pipe(
          Effect.map((rows) => rows[0]!.gone)
        ),
      may("upkeep")
    ),
    named: Effect.fn("QueueJobs.named")((types, tickers) =>
      sql<{ ticker: string }>`
        select ticker from (
          select distinct jsonb_array_elements_text(payload -> 'tickers') as ticker
          from queue_jobs where job_type = any (${texts(types)}) and jsonb_typeof(payload -> 'tickers') = 'array'
        ) named where ticker = any (${texts(tickers)})`.pipe(
        Effect.map((rows) => new Set(rows.map(({ ticker }) => ticker)))
      )
    ),
    depths: sql<Depth>`
      select
        coalesce(live.job_type, dead.job_type) as "type", coalesce(live.ready, 0)::int as "ready",
        coalesce(live.delayed, 0)::int as "delayed", coalesce(live.running, 0)::int as "running",
        coalesce(dead.failed, 0)::int as "failed", greatest(0, coalesce(live.oldest, 0))::float8 as "oldestSeconds"
      from (
        select
          job_type, count(position) as ready, count(*) filter (where position is null and locked_by is null) as delayed,
          count(locked_by) as running,
          extract(epoch from clock_timestamp() - min(available_at) filter (where position is not null)) as oldest
        from queue_jobs group by job_type
      ) live
      full join (
        select job_type, count(*) as failed from queue_finished where status = 'failed' group by job_type
      ) dead using (job_type)
      order by 1`.pipe(Effect.withSpan("QueueJobs.depths"))
  })
}

/** Text as the database takes it, and not a page of it. */
export const storable = (cause: string) => cause.replaceAll("\u0000", "").slice(0, 2000)
