import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Job, JobType } from "./Job.ts"

export type Handlers = {
  readonly [T in JobType]?: (job: Job<T>) => Effect.Effect<unknown, unknown>
}

/** What a worker does for each type of job. A type without a handler is not claimed. */
export class JobHandlers extends Context.Service<JobHandlers, Handlers>()("kalshi-ingestor/queue/JobHandlers") {}
