import * as PgClient from "@effect/sql-pg/PgClient"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { JobRequest } from "../../src/queue/Job.ts"
import { type Handlers, JobHandlers } from "../../src/queue/JobHandlers.ts"
import { WakeUp } from "../../src/queue/WakeUp.ts"
import { Worker } from "../../src/queue/Worker.ts"
import { WorkQueue } from "../../src/queue/WorkQueue.ts"
import { Health } from "../../src/runtime/Health.ts"
import { runRole } from "../../src/runtime/Loops.ts"
import { QueueConnection } from "../../src/store/QueueConnection.ts"
import { QueueJobs } from "../../src/store/QueueJobs.ts"
import { Acting, TestDatabase } from "../support/Database.ts"

export type Env = Readonly<Record<string, string>>

export const quick: Env = {
  WORK_QUEUE_LEASE_SECONDS: "1",
  WORK_QUEUE_RETRY_SECONDS: "0.05",
  WORK_QUEUE_POLL_SECONDS: "0.2"
}

export const settings = (env: Env) => ConfigProvider.layer(ConfigProvider.fromUnknown(env))

/** The queue of a database of its own, announced by LISTEN/NOTIFY when nothing else is given. */
export const queueOf = <E = never>(
  env: Env = {},
  wakeUp: Layer.Layer<WakeUp, E, PgClient.PgClient | QueueJobs> = WakeUp.layerListen
) =>
  WorkQueue.layer.pipe(
    Layer.provideMerge(wakeUp),
    Layer.provideMerge(QueueJobs.layer),
    Layer.provide(settings({ ...quick, ...env })),
    TestDatabase.under("queue")
  )

export interface RunningWorker {
  /** As SIGTERM does. */
  readonly stop: Effect.Effect<void>
  readonly ended: Effect.Effect<void, unknown>
}

/** With a queue, and without what was started in it before that queue goes. */
export const withQueue =
  (env: Env = {}) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(Effect.scoped, Effect.provide(queueOf(env)))

/** A worker as the program makes it; its handlers may write with the queue's client. `disturbed`: what goes wrong on its way to its rows. */
export const worker = Effect.fnUntraced(function* (
  handlers: Handlers,
  env: Env = {},
  disturbed: (jobs: QueueJobs["Service"]) => QueueJobs["Service"] = (jobs) => jobs
) {
  const url = yield* TestDatabase.urlAs("worker")
  const sql = yield* Acting
  const wakeUp = yield* WakeUp
  const role = Worker.pipe(
    Layer.provide([
      Layer.succeed(JobHandlers, JobHandlers.of(handlers)),
      Layer.succeed(WakeUp, wakeUp),
      QueueJobs.layer,
      Layer.effect(
        QueueConnection,
        Effect.map(QueueConnection, ({ jobs }) => QueueConnection.of({ jobs: disturbed(jobs) }))
      ).pipe(Layer.provide(QueueConnection.layerFrom(url))),
      Health.layer,
      settings({ ...quick, ...env })
    ]),
    Layer.provide(Layer.succeed(PgClient.PgClient, sql))
  )
  const fiber = yield* Effect.forkScoped(runRole(role), { startImmediately: true })
  const running: RunningWorker = { stop: Fiber.interrupt(fiber), ended: Fiber.join(fiber) }
  return running
})

export const backfills = (n: number, from = 0): ReadonlyArray<JobRequest> =>
  Array.from({ length: n }, (_, index) => ({
    type: "backfill_market" as const,
    payload: { tickers: [`M-${from + index}`] },
    key: `M-${from + index}`
  }))

export interface Row {
  readonly id: string
  readonly status: string
  readonly attempts: number
  readonly last_error: string | null
}

export const rows = PgClient.PgClient.use(
  (sql) => sql<Row>`select id::text, status, attempts, last_error from work_queue order by work_queue.id`
)

/** Waits until no job is pending or running. */
export const finished = PgClient.PgClient.use((sql) =>
  sql<{ n: number }>`select count(*)::int as n from queue_jobs`.pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: ([row]) => row!.n === 0 }),
    Effect.timeoutOrElse({ duration: "15 seconds", orElse: () => Effect.die(new Error("jobs are left")) }),
    Effect.asVoid
  )
)
