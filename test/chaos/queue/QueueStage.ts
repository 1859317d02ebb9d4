import { type ChildProcess, spawn } from "node:child_process"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as RabbitWakeUp from "../../../src/queue/RabbitWakeUp.ts"
import { WorkQueue } from "../../../src/queue/WorkQueue.ts"
import { QueueJobs } from "../../../src/store/QueueJobs.ts"
import * as Programs from "../../support/Programs.ts"
import type { Database, Play } from "../Stage.ts"

export interface ChaosWorker {
  readonly pid: number
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly end: (signal: NodeJS.Signals) => Effect.Effect<number | null>
  readonly stderr: () => string
}

export interface QueueStage {
  readonly play: Play
  readonly database: Database
  readonly leaseSeconds: number
  readonly startWorker: Effect.Effect<ChaosWorker>
  /** Waits until each worker has a lease. */
  readonly present: Effect.Effect<void>
  /** Enters new jobs that take about `millis` each. */
  readonly enqueue: (count: number, millis?: number) => Effect.Effect<void>
  readonly query: <A extends object>(statement: string) => Effect.Effect<ReadonlyArray<A>>
  readonly until: (what: string, condition: Effect.Effect<boolean>, seconds?: number) => Effect.Effect<void>
  /** How many jobs have had their effect. */
  readonly done: Effect.Effect<number>
  readonly entered: () => number
  /** Waits until every job is done, and stops the workers, which must end well. */
  readonly settle: Effect.Effect<void>
}

const root = path.resolve(import.meta.dirname, "../../..")

export const make = Effect.fnUntraced(function* (
  play: Play,
  database: Database,
  settings: Readonly<Record<string, string>>
) {
  const scope = yield* Effect.scope
  const leaseSeconds = 2
  const env = {
    ...database.env,
    WORK_QUEUE_LEASE_SECONDS: String(leaseSeconds),
    WORK_QUEUE_RETRY_SECONDS: "0.2",
    WORK_QUEUE_POLL_SECONDS: "1",
    LOG_LEVEL: "Warn",
    PG_POOL: "3",
    ...settings
  }
  const context = yield* Layer.build(
    WorkQueue.layer.pipe(
      Layer.provide(RabbitWakeUp.layer),
      Layer.provide(QueueJobs.layer),
      Layer.provide(PgClient.layer({ url: Redacted.make(database.env["DATABASE_URL_REST"]!), maxConnections: 3 })),
      Layer.merge(Layer.fresh(PgClient.layer({ url: database.url, maxConnections: 3 }))),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ...env, WORK_QUEUE_MAX_ATTEMPTS: "100" })))
    )
  ).pipe(Effect.orDie)
  const queue = yield* WorkQueue.pipe(Effect.provideContext(context))
  const sql = yield* PgClient.PgClient.pipe(Effect.provideContext(context))
  const patiently = Schedule.spaced("200 millis").pipe(Schedule.upTo({ times: 150 }))
  const query = <A extends object>(statement: string) => Effect.orDie(Effect.retry(sql.unsafe<A>(statement), patiently))
  yield* query("create table chaos_effects (ticker text not null, attempt integer not null, pid integer not null)")
  yield* query("grant select, insert, update on chaos_effects to public")

  const workers: Array<ChaosWorker> = []
  const until: QueueStage["until"] = (what, condition, seconds = 60) =>
    condition.pipe(
      Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (met) => met }),
      Effect.timeoutOrElse({
        duration: `${seconds} seconds`,
        orElse: () =>
          Effect.die(
            new Error([`waited ${seconds} s in vain: ${what}`, ...workers.map((one) => one.stderr())].join("\n"))
          )
      }),
      Effect.asVoid
    )

  const startWorker = Effect.acquireRelease(
    Effect.sync(() => {
      const child: ChildProcess = spawn(process.execPath, [path.join(root, "test/chaos/queue/worker.mjs")], {
        cwd: root,
        env: { ...Programs.machine(), ENV_FILE: "/dev/null", ...Programs.asItself("worker", env) },
        stdio: ["ignore", "ignore", "pipe"]
      })
      let stderr = ""
      child.stderr?.on("data", (chunk) => {
        stderr += chunk
      })
      const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
      const worker: ChaosWorker = {
        pid: child.pid ?? 0,
        signal: (signal) => Effect.sync(() => void child.kill(signal)),
        end: (signal) =>
          Effect.suspend(() => {
            workers.splice(workers.indexOf(worker), 1)
            child.kill(signal)
            return Effect.promise(() => ended)
          }),
        stderr: () => stderr
      }
      workers.push(worker)
      return worker
    }),
    ({ signal }) => signal("SIGKILL")
  ).pipe(Scope.provide(scope))

  let entered = 0
  const enqueue: QueueStage["enqueue"] = (count, millis = 50) =>
    queue
      .enqueue(
        Array.from({ length: count }, () => {
          const ticker = `T-${entered++}`
          return {
            type: "backfill_market" as const,
            payload: { tickers: [ticker, String(Math.round(millis * (0.5 + (entered % 11) / 11)))] as const },
            key: ticker
          }
        })
      )
      .pipe(Effect.orDie, Effect.asVoid)

  const done = query<{ n: number }>("select count(*)::int as n from chaos_effects").pipe(
    Effect.map((rows) => rows[0]!.n)
  )
  // One that has just been started does not know SIGTERM yet.
  const present = until(
    "every worker is there",
    Effect.map(query<{ pid: number }>("select pid from queue_workers where not lost"), (rows) =>
      workers.every(({ pid }) => rows.some((row) => row.pid === pid))
    )
  )
  const settle = Effect.gen(function* () {
    yield* until(
      "every job is done",
      Effect.map(query<{ n: number }>("select count(*)::int as n from queue_jobs"), (rows) => rows[0]!.n === 0)
    )
    yield* present
    yield* Effect.forEach(
      [...workers],
      (worker) =>
        Effect.flatMap(worker.end("SIGTERM"), (code) =>
          code === 0 ? Effect.void : Effect.die(new Error(`a worker ended with ${code}\n${worker.stderr()}`))
        ),
      { concurrency: "unbounded", discard: true }
    )
  })
  const stage: QueueStage = {
    play,
    database,
    leaseSeconds,
    startWorker,
    present,
    enqueue,
    query,
    until,
    done,
    entered: () => entered,
    settle
  }
  return stage
})
