import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { supervise } from "../kalshi/Supervise.ts"
import { channel, QueueJobs } from "../store/QueueJobs.ts"
import type { JobType } from "./Job.ts"

export interface Hints {
  /** Resolves at the next hint; hints while nobody waits are one hint. */
  readonly next: Effect.Effect<void>
  /** How hints travel now, for people. */
  readonly detail: Effect.Effect<string>
}

/**
 * Tells workers that there are jobs. Only a hint: it may be lost, come twice or for a job that is gone, and whoever waits for it
 * also looks from time to time.
 */
export class WakeUp extends Context.Service<
  WakeUp,
  {
    /** Announcing is a NOTIFY, which enqueueing can do in the same statement. */
    readonly isNotify: boolean
    /**
     * Announces jobs, how many of each type. In a transaction: when it commits, and not if it does not. Never waits for a broker
     * and never fails for it.
     */
    announce(jobs: ReadonlyMap<JobType, number>): Effect.Effect<void>
    /** Hints for jobs of these types, until the scope closes. */
    subscribe(types: ReadonlyArray<JobType>): Effect.Effect<Hints, never, Scope.Scope>
  }
>()("kalshi-ingestor/queue/WakeUp") {
  /** PostgreSQL's LISTEN and NOTIFY. */
  static readonly layerListen = Layer.effect(
    WakeUp,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const queueJobs = yield* QueueJobs
      return WakeUp.of({
        isNotify: true,
        announce: (jobs) =>
          Effect.forEach(jobs, ([type, count]) => queueJobs.tell(encodeNote({ job_type: type, jobs: count })), {
            discard: true
          }).pipe(Effect.catch((error) => Effect.logDebug("jobs were not announced", { reason: error.reason._tag }))),
        subscribe: Effect.fnUntraced(function* (types) {
          const heard = yield* Queue.sliding<void>(1)
          const { detail } = yield* listen(types, heard).pipe(Effect.provideService(PgClient.PgClient, sql))
          return { next: Queue.take(heard), detail }
        })
      })
    })
  )

  /** Hints are received, but none is sent. */
  static readonly layerMuted = <E, R>(layer: Layer.Layer<WakeUp, E, R>) =>
    Layer.effect(
      WakeUp,
      Effect.map(WakeUp, (wakeUp) => WakeUp.of({ ...wakeUp, isNotify: false, announce: () => Effect.void }))
    ).pipe(Layer.provide(layer))
}

/** Offers to `heard` what NOTIFY says of these types, until the scope closes. */
export const listen = Effect.fnUntraced(function* (types: ReadonlyArray<JobType>, heard: Queue.Enqueue<void>) {
  const sql = yield* PgClient.PgClient
  let isListening = false
  const session = Effect.gen(function* () {
    const notifications = yield* sql.listen(channel)
    isListening = true
    yield* Queue.offer(heard, undefined)
    return yield* Queue.take(notifications).pipe(
      Effect.flatMap(({ payload }) => (concerns(payload, types) ? Queue.offer(heard, undefined) : Effect.void)),
      Effect.forever
    )
  }).pipe(
    Effect.scoped,
    Effect.tapError((error) =>
      Effect.sync(() => {
        isListening = false
      }).pipe(Effect.andThen(Effect.logDebug("listening for jobs again", { reason: error._tag })))
    )
  )
  yield* Effect.forkScoped(supervise(session, { backoff, healthyAfter: "5 seconds" }), { startImmediately: true })
  return { detail: Effect.sync(() => (isListening ? "LISTEN" : "LISTEN is interrupted, polling")) }
})

/** What a hint says: `jobs` of a type became ready. */
const Note = Schema.fromJsonString(Schema.Struct({ job_type: Schema.String, jobs: Schema.Finite }))
const decodeNote = Schema.decodeUnknownResult(Note)
export const encodeNote = Schema.encodeSync(Note)

const concerns = (payload: string, types: ReadonlyArray<string>): boolean =>
  Result.match(decodeNote(payload), { onFailure: () => false, onSuccess: (note) => types.includes(note.job_type) })

/** Hints are missed while nobody listens: come back soon. */
const backoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]).pipe(Schedule.jittered)
