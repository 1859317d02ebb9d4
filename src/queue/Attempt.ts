import * as PgClient from "@effect/sql-pg/PgClient"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { type ClaimedRow, QueueJobs } from "../store/QueueJobs.ts"
import { sqlProblem } from "../store/SqlProblem.ts"
import { transaction } from "../store/Transaction.ts"
import { Fenced, isJobType, type Job, JobFailed, type JobType, type Payload, payloads } from "./Job.ts"
import { type Handlers, JobHandlers } from "./JobHandlers.ts"
import * as QueueMetrics from "./QueueMetrics.ts"
import { WriteGuard } from "./WriteGuard.ts"

/** What became of one attempt at a job. */
export type Outcome =
  | { readonly _tag: "Done"; readonly row: ClaimedRow }
  /** Its handler ended it in a transaction of its own. */
  | { readonly _tag: "Committed"; readonly row: ClaimedRow }
  | { readonly _tag: "Failed"; readonly row: ClaimedRow; readonly failure: JobFailed }
  /** Broken off from outside: as if it had not been tried. */
  | { readonly _tag: "GivenBack"; readonly row: ClaimedRow }
  | { readonly _tag: "Lost"; readonly row: ClaimedRow }

export interface AttemptOptions {
  readonly instance: string
  readonly timeoutSeconds: number
  /** How long a transaction of a job may stand still. */
  readonly patienceSeconds: number
}

/** Makes the function that runs one claimed job to its outcome; when it is interrupted, the job is. */
export const attempt = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const jobs = yield* QueueJobs
  const handlers = yield* JobHandlers

  return (row: ClaimedRow, options: AttemptOptions): Effect.Effect<Outcome> => {
    let isCommitted = false
    const guarded = <A, E, R>(write: Effect.Effect<A, E, R>, ending?: Effect.Effect<unknown, SqlError>) =>
      Effect.gen(function* () {
        if (!(yield* jobs.hold(options.instance, row, options.patienceSeconds)))
          return yield* new Fenced({ id: row.id })
        const written = yield* write
        if (ending !== undefined) yield* ending
        return written
      }).pipe(transaction(sql))
    const job: Omit<Job<JobType>, "type" | "payload"> = {
      id: row.id,
      attempt: row.attempt,
      maxAttempts: row.maxAttempts,
      fenced: (write) => guarded(write),
      commit: (write) =>
        guarded(write, jobs.complete(options.instance, [row])).pipe(
          Effect.tap(() =>
            Effect.sync(() => {
              isCommitted = true
            })
          )
        )
    }
    return Effect.gen(function* () {
      const began = yield* Clock.currentTimeMillis
      const exit = yield* handle(handlers, row, job).pipe(
        Effect.provideService(WriteGuard, (write) =>
          guarded(write).pipe(
            Effect.catchIf(
              (error) => error instanceof Fenced,
              (error) => Effect.die(error)
            )
          )
        ),
        Effect.timeoutOrElse({
          duration: Duration.seconds(options.timeoutSeconds),
          orElse: () =>
            Effect.fail(
              new JobFailed({
                problem: `ran longer than WORK_QUEUE_LOCK_TIMEOUT_SECONDS (${options.timeoutSeconds})`,
                retryable: true
              })
            )
        }),
        Effect.interruptible,
        Effect.exit
      )
      const seconds = ((yield* Clock.currentTimeMillis) - began) / 1000
      yield* Metric.update(QueueMetrics.of(QueueMetrics.ran, row.type), seconds)
      return outcome(row, exit, isCommitted)
    }).pipe(
      Effect.uninterruptible,
      Effect.annotateLogs({ job: row.id, type: row.type, attempt: row.attempt }),
      Effect.withSpan("WorkQueue.attempt", { attributes: { job: row.id, type: row.type } })
    )
  }
})

const outcome = (row: ClaimedRow, exit: Exit.Exit<unknown, unknown>, isCommitted: boolean): Outcome => {
  if (isCommitted) return { _tag: "Committed", row }
  if (Exit.isSuccess(exit)) return { _tag: "Done", row }
  if (Cause.hasInterruptsOnly(exit.cause)) return { _tag: "GivenBack", row }
  const error = Cause.squash(exit.cause)
  if (error instanceof Fenced) return { _tag: "Lost", row }
  return {
    _tag: "Failed",
    row,
    failure: error instanceof JobFailed ? error : new JobFailed({ problem: problemOf(error), retryable: true })
  }
}

const problemOf = (error: unknown): string => {
  if (isSqlError(error)) return `the database: ${sqlProblem(error)}`
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

const handle = (
  handlers: Handlers,
  row: ClaimedRow,
  job: Omit<Job<JobType>, "type" | "payload">
): Effect.Effect<unknown, unknown> =>
  isJobType(row.type) ? handleAs(row.type, handlers, row.payload, job) : Effect.fail(unhandled(row.type))

const handleAs = <T extends JobType>(
  type: T,
  handlers: Handlers,
  given: unknown,
  job: Omit<Job<T>, "type" | "payload">
): Effect.Effect<unknown, unknown> => {
  const handler = handlers[type] as ((job: Job<T>) => Effect.Effect<unknown, unknown>) | undefined
  if (handler === undefined) return Effect.fail(unhandled(type))
  return Schema.decodeUnknownEffect(payloads[type] as unknown as Schema.Codec<Payload<T>>)(given).pipe(
    Effect.mapError(
      (error) => new JobFailed({ problem: `the payload does not fit ${type}: ${error.message}`, retryable: false })
    ),
    Effect.flatMap((payload) => handler({ ...job, type, payload }))
  )
}

const unhandled = (type: string) => new JobFailed({ problem: `no handler for jobs of type ${type}`, retryable: true })
