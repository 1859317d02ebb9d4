import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Setting from "../runtime/Setting.ts"
import { type NewJob, type QueueError, QueueJobs } from "../store/QueueJobs.ts"
import { type JobRequest, type JobType, payloads } from "./Job.ts"
import * as QueueConfig from "./QueueConfig.ts"
import { WakeUp } from "./WakeUp.ts"

export interface Enqueued {
  /** By the place of the request; nothing where an unfinished job has the key. */
  readonly ids: ReadonlyArray<string | undefined>
  /** How many are new. */
  readonly entered: number
}

/** Where work is handed in. Jobs are entered and announced in the caller's transaction, or not at all. */
export class WorkQueue extends Context.Service<
  WorkQueue,
  {
    enqueue(requests: ReadonlyArray<JobRequest>): Effect.Effect<Enqueued, QueueError>
  }
>()("kalshi-ingestor/queue/WorkQueue") {
  static readonly layer = Layer.effect(
    WorkQueue,
    Effect.gen(function* () {
      const { maxAttempts } = yield* Setting.read(QueueConfig.enqueueing)
      const jobs = yield* QueueJobs
      const wakeUp = yield* WakeUp
      return WorkQueue.of({
        enqueue: Effect.fn("WorkQueue.enqueue")(function* (requests) {
          if (requests.length === 0) return { ids: [], entered: 0 }
          const ids = yield* jobs.enqueue(
            requests.map((request) => encode(request, maxAttempts)),
            { tell: wakeUp.isNotify }
          )
          if (!wakeUp.isNotify) yield* wakeUp.announce(ready(requests, ids))
          return { ids: requests.map((_, index) => ids.get(index)), entered: ids.size }
        })
      })
    })
  )
}

/** How many jobs of each type were entered that can be done now. */
const ready = (requests: ReadonlyArray<JobRequest>, entered: ReadonlyMap<number, string>) => {
  const counts = new Map<JobType, number>()
  for (const index of entered.keys()) {
    const { delaySeconds = 0, type } = requests[index]!
    if (delaySeconds <= 0) counts.set(type, (counts.get(type) ?? 0) + 1)
  }
  return counts
}

/** A payload that does not fit its schema is a mistake in the program that enqueues: it dies. */
const encoders = Object.fromEntries(
  Object.entries(payloads).map(([type, schema]) => [
    type,
    Schema.encodeSync(Schema.fromJsonString(schema as Schema.Codec<unknown>))
  ])
) as Readonly<Record<JobType, (payload: unknown) => string>>

const encode = (request: JobRequest, maxAttempts: number): NewJob => ({
  type: request.type,
  payload: encoders[request.type](request.payload),
  priority: request.priority ?? 5,
  key: request.key,
  delaySeconds: Math.max(0, request.delaySeconds ?? 0),
  maxAttempts: request.maxAttempts ?? maxAttempts
})
