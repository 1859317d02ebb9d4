import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import { type Runner, run } from "graphile-worker"
import { Pool } from "pg"
import PgBoss from "pg-boss"
import { JobHandlers } from "../../../src/queue/JobHandlers.ts"
import * as QueueMetrics from "../../../src/queue/QueueMetrics.ts"
import { WakeUp } from "../../../src/queue/WakeUp.ts"
import { Worker } from "../../../src/queue/Worker.ts"
import { Health } from "../../../src/runtime/Health.ts"
import { runRole } from "../../../src/runtime/Loops.ts"
import { QueueConnection } from "../../../src/store/QueueConnection.ts"
import { QueueJobs } from "../../../src/store/QueueJobs.ts"

/*
 * One consumer process. It says `ready`, then waits for a line on its standard input, then works; every 50 ms it says how many jobs
 * were done, their ends written to the database, and how long the newest took from being sent to being begun.
 */

/** Jobs that one consumer runs at the same time, in each of the systems. */
const concurrency = 4

const clock = () => performance.timeOrigin + performance.now()
const state = { done: 0, latencies: [] as Array<number> }
const begun = (sentAt: number | undefined) => {
  if (sentAt !== undefined) state.latencies.push(clock() - sentAt)
}

const go = () => new Promise<void>((resolve) => process.stdin.once("data", () => resolve()))
const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`)

const report = Effect.sync(() => say({ done: state.done, latencies: state.latencies.splice(0) })).pipe(
  Effect.repeat(Schedule.fixed("50 millis"))
)

const ours = (url: string, ahead: number) => {
  const done = QueueMetrics.of(QueueMetrics.done, "backfill_market")
  const handlers = Layer.succeed(JobHandlers, {
    backfill_market: ({ payload }) => Effect.sync(() => begun(Number(payload.tickers[0]) || undefined))
  })
  const role = Worker.pipe(
    Layer.provide([WakeUp.layerListen, handlers, QueueConnection.layerFrom(Redacted.make(url)), Health.layer]),
    Layer.provide(QueueJobs.layer),
    Layer.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 2 })),
    Layer.provide(
      ConfigProvider.layer(
        ConfigProvider.fromUnknown({ WORK_QUEUE_CONCURRENCY: String(concurrency), WORK_QUEUE_PREFETCH: String(ahead) })
      )
    ),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "Error"))
  )
  const count = Metric.value(done).pipe(
    Effect.tap(({ count }) =>
      Effect.sync(() => {
        state.done = Number(count)
      })
    ),
    Effect.repeat(Schedule.fixed("10 millis"))
  )
  return Effect.raceFirst(runRole(role), count)
}

const graphile = (url: string, isBatched: boolean) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      run({
        connectionString: url,
        noHandleSignals: true,
        maxPoolSize: concurrency + 2,
        concurrency,
        logger: silent,
        preset: {
          worker: {
            concurrentJobs: concurrency,
            ...(isBatched ? { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } : {})
          }
        },
        taskList: { bench: (payload) => begun((payload as { readonly sentAt?: number }).sentAt) }
      })
    ),
    (runner: Runner) => Effect.promise(() => runner.stop())
  ).pipe(
    Effect.tap((runner) =>
      Effect.sync(() =>
        runner.events.on("job:complete", () => {
          state.done++
        })
      )
    ),
    Effect.andThen(Effect.never)
  )

const silent = new (await import("graphile-worker")).Logger(() => () => undefined)

/** Its worker completes a batch once the handler is done, and says nothing of it: counted is what that statement did. */
const boss = (url: string, batchSize: number) =>
  Effect.promise(async () => {
    const pool = new Pool({ connectionString: url, max: concurrency + 1 })
    pool.on("error", () => undefined)
    const db = {
      executeSql: async (text: string, values: Array<unknown>) => {
        const result = await pool.query(text, values)
        if (values?.[0] === "bench" && text.includes("state = 'completed'")) state.done += Number(result.rows[0].count)
        return result
      }
    }
    const pgBoss = new PgBoss({ db, supervise: false, schedule: false })
    pgBoss.on("error", () => undefined)
    await pgBoss.start()
    for (let n = 0; n < concurrency; n++)
      await pgBoss.work<{ readonly sentAt?: number }>(
        "bench",
        { pollingIntervalSeconds: 0.5, batchSize },
        async (batch) => {
          for (const { data } of batch) begun(data.sentAt)
        }
      )
  }).pipe(Effect.andThen(Effect.never))

export const main = ([kind = "", url = ""]: ReadonlyArray<string>): void => {
  const work = {
    ours: ours(url, 32),
    oursFarAhead: ours(url, 500),
    graphile: graphile(url, false),
    graphileBatched: graphile(url, true),
    pgBoss: boss(url, 36),
    pgBossBatched: boss(url, 500)
  }[kind]
  if (work === undefined) throw new Error(`no such consumer: ${kind}`)
  process.stdin.on("end", () => process.exit(0))
  say("ready")
  Effect.promise(go).pipe(
    Effect.andThen(Effect.all([work, report], { concurrency: "unbounded", discard: true })),
    Effect.scoped,
    NodeRuntime.runMain
  )
}
