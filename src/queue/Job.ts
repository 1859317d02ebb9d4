import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { SqlError } from "effect/sql/SqlError"
import { Timestamp } from "../market/Timestamp.ts"

const tickers = Schema.NonEmptyArray(Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(200))).check(
  Schema.isMaxLength(1000)
)

/** What each type of job is told. Fields that a later version adds are ignored by an earlier one. */
export const payloads = {
  /** Pulls the candles that are missing; `force_full`: all of them again. */
  backfill_market: Schema.Struct({ tickers, force_full: Schema.optionalKey(Schema.Boolean) }),
  /** Reads markets that were first seen on the stream. */
  discover_market: Schema.Struct({ tickers }),
  /** Fills what the gap ledger or the coverage says is missing of markets in a span of exchange time. */
  repair_gap: Schema.Struct({
    tickers,
    from_ts: Schema.optionalKey(Timestamp),
    to_ts: Schema.optionalKey(Timestamp),
    /** Absent: both. */
    only: Schema.optionalKey(Schema.Literals(["candles", "trades"]))
  }),
  /** Fetches the results, settlement values and last candles of closed markets. */
  cleanup_market: Schema.Struct({ tickers }),
  /** Moves a partition of closed days or months out of the database. */
  archive_partition: Schema.Struct({
    table: Schema.String.check(Schema.isPattern(/^[a-z_]{1,60}$/)),
    partition: Schema.String.check(Schema.isPattern(/^[a-z0-9_]{1,63}$/))
  })
}

export type JobType = keyof typeof payloads
export type Payload<T extends JobType> = (typeof payloads)[T]["Type"]

export const jobTypes = Object.keys(payloads) as ReadonlyArray<JobType>
export const isJobType = (text: string): text is JobType => Object.hasOwn(payloads, text)

/** A job to be done. */
export type JobRequest = { readonly [T in JobType]: RequestOf<T> }[JobType]

interface RequestOf<T extends JobType> {
  readonly type: T
  readonly payload: Payload<T>
  /** 0, the most urgent, to 9; 5 when absent. */
  readonly priority?: number | undefined
  /** While an unfinished job of this type has the same key, this one is not entered. */
  readonly key?: string | undefined
  /** Not before this many seconds from now. */
  readonly delaySeconds?: number | undefined
  /** WORK_QUEUE_MAX_ATTEMPTS when absent. */
  readonly maxAttempts?: number | undefined
}

/** A job in the hands of its handler. */
export interface Job<T extends JobType> {
  readonly id: string
  readonly type: T
  readonly payload: Payload<T>
  /** From 1. */
  readonly attempt: number
  readonly maxAttempts: number
  /**
   * Writes results in one transaction with a check that the job is still ours, so that a job taken over by another worker leaves
   * nothing of ours. Keep calls to the exchange out of it.
   */
  fenced<A, E, R>(write: Effect.Effect<A, E, R>): Effect.Effect<A, E | Fenced | SqlError, R>
  /** The same, and in that transaction the job is done. For the last write: the handler has nothing left to do after it. */
  commit<A, E, R>(write: Effect.Effect<A, E, R>): Effect.Effect<A, E | Fenced | SqlError, R>
}

/** The job went to another worker, because this one did not answer for too long. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", { id: Schema.String }) {
  override get message(): string {
    return `job ${this.id} belongs to another worker by now`
  }
}

/** How a handler says what shall become of a job that did not succeed. Any other failure is tried again after the usual back-off. */
export class JobFailed extends Schema.TaggedError<JobFailed>()("JobFailed", {
  /** For people: what went wrong, in one line. */
  problem: Schema.String,
  /** false: no attempt can succeed, the job is dead at once. */
  retryable: Schema.Boolean,
  /** Seconds until the next attempt, instead of the usual back-off. */
  afterSeconds: Schema.optionalKey(Schema.Finite)
}) {
  override get message(): string {
    return this.problem
  }
}
