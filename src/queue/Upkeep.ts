import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type { QueueConnection } from "../store/QueueConnection.ts"
import type { SetBack } from "../store/QueueJobs.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { isJobType, type JobType, jobTypes } from "./Job.ts"
import * as QueueMetrics from "./QueueMetrics.ts"
import type { WakeUp } from "./WakeUp.ts"

export interface UpkeepOptions {
  readonly connection: QueueConnection["Service"]
  readonly wakeUp: WakeUp["Service"]
  readonly leaseSeconds: number
  readonly cleanupHours: number
  readonly deadLetterDays: number
  /** Since when, on our monotonic clock in milliseconds, the database has answered every heartbeat. */
  readonly steadySince: Effect.Effect<number>
  /** How many jobs this worker has ended so far. */
  readonly ended: Effect.Effect<number>
}

/** A thousand years: what is kept for ever. */
const forEver = 8_760_000
const hours = (value: number) => (value === 0 ? forEver : value)

const nothing = { ready: 0, delayed: 0, running: 0, failed: 0, oldestSeconds: 0 }

/** What some worker must do for the queue; every one does it, and none minds the others. */
export const upkeep = Effect.fnUntraced(function* (options: UpkeepOptions) {
  const { wakeUp } = options
  const { jobs } = options.connection
  const announce = (counts: ReadonlyMap<string, number>) =>
    wakeUp.announce(
      new Map(
        [...counts].flatMap(
          ([type, count]): ReadonlyArray<[JobType, number]> => (isJobType(type) ? [[type, count]] : [])
        )
      )
    )

  const promote = Effect.gen(function* () {
    const counts = yield* jobs.promote(1000)
    if (counts.size > 0) yield* announce(counts)
  })

  const tellRescued = Effect.fnUntraced(function* (rescued: ReadonlyArray<SetBack>) {
    const counts = new Map<string, number>()
    for (const { dead, id, type } of rescued) {
      yield* Metric.update(QueueMetrics.of(QueueMetrics.rescued, type), 1)
      if (dead) {
        yield* Metric.update(QueueMetrics.of(QueueMetrics.dead, type), 1)
        yield* Effect.logError("job is dead: no attempt at it survived", { job: id, type })
      } else counts.set(type, (counts.get(type) ?? 0) + 1)
    }
    if (rescued.length > 0)
      yield* Effect.logWarning("took jobs from workers that stopped answering", { jobs: rescued.length })
    if (counts.size > 0) yield* announce(counts)
  })

  /** While the database did not answer, no worker could renew its lease: each gets the time to do so first. */
  const rescue = Effect.gen(function* () {
    const now = Number((yield* Clock.monotonicTimeNanos) / 1_000_000n)
    if (now - (yield* options.steadySince) < options.leaseSeconds * 1000) return
    yield* tellRescued(yield* jobs.rescue)
  })

  let told = 0
  const tellPortal = Effect.gen(function* () {
    const ended = yield* options.ended
    if (ended === told) return
    yield* jobs.tell(JSON.stringify({ ended: ended - told }))
    told = ended
  })

  /** A type whose last job is gone is none, not what it was. */
  const measured = new Set<string>(jobTypes)
  const measure = Effect.gen(function* () {
    const depths = new Map((yield* jobs.depths).map((depth) => [depth.type, depth]))
    for (const type of depths.keys()) measured.add(type)
    for (const type of measured) {
      const { delayed, failed, oldestSeconds, ready, running } = depths.get(type) ?? nothing
      yield* Effect.forEach(Object.entries({ ready, delayed, running, failed }), ([status, value]) =>
        Metric.update(Metric.withAttributes(QueueMetrics.depth, { type, status }), value)
      )
      yield* Metric.update(QueueMetrics.of(QueueMetrics.oldest, type), oldestSeconds)
    }
  })

  const clean = jobs
    .clean(hours(options.cleanupHours), hours(options.deadLetterDays * 24), 5000)
    .pipe(Effect.repeat({ until: (gone) => gone < 5000 }), Effect.asVoid)

  const every = <E>(name: string, seconds: number, pass: Effect.Effect<void, E>) =>
    untilDatabaseAnswers(pass).pipe(
      Effect.repeat(Schedule.spaced(`${Math.round(seconds * 1000)} millis`).pipe(Schedule.jittered)),
      Effect.annotateLogs({ upkeep: name })
    )

  return yield* Effect.all(
    [
      every("promote", 1, promote),
      every("rescue", options.leaseSeconds / 3, rescue),
      every("portal", 1, tellPortal),
      every("measure", 15, measure),
      every("clean", 600, clean)
    ],
    { concurrency: "unbounded", discard: true }
  )
})
