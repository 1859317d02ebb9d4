import { type ChildProcess, spawn } from "node:child_process"
import * as path from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Schedule from "effect/Schedule"
import { makeWorkerUtils } from "graphile-worker"
import PgBoss from "pg-boss"
import type { JobRequest } from "../../src/queue/Job.ts"
import { WakeUp } from "../../src/queue/WakeUp.ts"
import { WorkQueue } from "../../src/queue/WorkQueue.ts"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import { Migrations } from "../../src/store/Migrations.ts"
import { QueueJobs } from "../../src/store/QueueJobs.ts"
import { databaseUrl } from "../support/PostgresServer.ts"
import * as Programs from "../support/Programs.ts"

/*
 * Method. One real PostgreSQL 18 with fsync on; ours, graphile-worker and pg-boss each in a database of its own there. A consumer is
 * a process of its own that runs 4 jobs at a time; jobs do nothing. All jobs of a phase are entered before its consumers begin; a job
 * counts when its end is in the database, and the rate is that of the second half. `jobsPerSecond`: ours takes up to 32 jobs ahead
 * (WORK_QUEUE_PREFETCH); graphile-worker locks and ends each job by a statement of its own; pg-boss, which looks every half second at most,
 * takes 36 at a time. `farAhead` and `batched`: each takes up to 500 ahead. `heldSnapshotRatio` compares the last thirds of long
 * runs without and with an older snapshot held all the time, in turn: the median of three pairs. `pickupMs` is from before a lone job is sent to the start
 * of its handler, in a consumer that idles. Everything shares this machine's cores.
 */

interface Options {
  readonly jobs: number
  readonly json: boolean
  /** Leaves out graphile-worker and pg-boss. */
  readonly isAlone: boolean
  /** Measures the held snapshot only. */
  readonly isHeldOnly: boolean
}

type Kind = "ours" | "oursFarAhead" | "graphile" | "graphileBatched" | "pgBoss" | "pgBossBatched"

/** How jobs get into one of the systems. */
interface Sender {
  readonly kinds: ReadonlyArray<Kind>
  readonly url: string
  readonly sendMany: (count: number) => Effect.Effect<void>
  readonly sendOne: (sentAt: number) => Effect.Effect<void>
}

const clock = () => performance.timeOrigin + performance.now()
const root = path.resolve(import.meta.dirname, "../..")

interface Consumers {
  readonly go: Effect.Effect<void>
  readonly done: () => number
  readonly latencies: Array<number>
}

const consumers = Effect.fnUntraced(function* (kind: Kind, url: string, count: number) {
  const latencies: Array<number> = []
  const children = yield* Effect.acquireRelease(
    Effect.sync(() =>
      Array.from({ length: count }, () => {
        const child: ChildProcess = spawn(
          process.execPath,
          [path.join(root, "test/bench/queue/child.mjs"), kind, url],
          { cwd: root, stdio: ["pipe", "pipe", "inherit"] }
        )
        const said = { done: 0, isReady: false, rest: "" }
        child.stdout?.on("data", (chunk) => {
          const lines = `${said.rest}${chunk}`.split("\n")
          said.rest = lines.pop() ?? ""
          for (const line of lines) {
            const value = JSON.parse(line)
            if (value === "ready") said.isReady = true
            else {
              said.done = value.done
              latencies.push(...value.latencies)
            }
          }
        })
        return { child, said }
      })
    ),
    (all) =>
      Effect.promise(() =>
        Promise.all(
          all.map(({ child }) => {
            const closed = new Promise((resolve) => child.once("close", resolve))
            child.stdin?.end()
            return closed
          })
        )
      )
  )
  yield* Effect.sync(() => children.every(({ said }) => said.isReady)).pipe(
    Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (ready) => ready })
  )
  const handle: Consumers = {
    go: Effect.sync(() => {
      for (const { child } of children) child.stdin?.write("go\n")
    }),
    done: () => children.reduce((sum, { said }) => sum + said.done, 0),
    latencies
  }
  return handle
})

const reached = (all: Consumers, count: number) =>
  Effect.sync(() => all.done() >= count).pipe(
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (isSo) => isSo }),
    Effect.andThen(Effect.sync(clock))
  )

/** Jobs a second between half of the way and the end: connections are made, plans known, code compiled. */
const drainRate = Effect.fnUntraced(function* (sender: Sender, kind: Kind, workers: number, jobs: number) {
  yield* sender.sendMany(jobs)
  const all = yield* consumers(kind, sender.url, workers)
  yield* all.go
  const from = yield* reached(all, Math.floor(jobs / 2))
  const early = all.done()
  const to = yield* reached(all, jobs)
  return Math.round(((jobs - early) * 1000) / (to - from))
}, Effect.scoped)

const quantiles = (values: ReadonlyArray<number>) => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (q: number) => Number((sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0).toFixed(1))
  return { p50: at(0.5), p99: at(0.99) }
}

const pickup = Effect.fnUntraced(function* (sender: Sender, kind: Kind, count: number) {
  const all = yield* consumers(kind, sender.url, 1)
  yield* all.go
  yield* Effect.sleep("2 seconds")
  for (let n = 0; n < count; n++) {
    yield* sender.sendOne(clock())
    yield* Effect.sleep(`${10 + ((n * 7) % 23)} millis`)
  }
  yield* reached(all, count)
  yield* Effect.sleep("200 millis")
  return quantiles(all.latencies)
}, Effect.scoped)

/** The rate of the last third of a long run. */
const lateRate = Effect.fnUntraced(function* (sender: Sender, kind: Kind, jobs: number) {
  const churn = jobs * 2
  yield* sender.sendMany(churn + jobs)
  const all = yield* consumers(kind, sender.url, 8)
  yield* all.go
  const from = yield* reached(all, churn)
  const early = all.done()
  const to = yield* reached(all, churn + jobs)
  return ((churn + jobs - early) * 1000) / (to - from)
}, Effect.scoped)

/** With an older snapshot held all the time, over without: the median of three pairs. */
const held = Effect.fnUntraced(function* (sender: Sender, kind: Kind, jobs: number) {
  const pair = Effect.gen(function* () {
    const free = yield* lateRate(sender, kind, jobs)
    const reader = yield* PgClient.make({ url: Redacted.make(sender.url), maxConnections: 1 })
    const slowed = yield* Effect.gen(function* () {
      yield* reader`set transaction isolation level repeatable read`
      yield* reader`select count(*) from pg_class`
      return yield* lateRate(sender, kind, jobs)
    }).pipe(reader.withTransaction)
    return { free: Math.round(free), held: Math.round(slowed), ratio: round(slowed / free) }
  }).pipe(Effect.scoped)
  const pairs = [yield* pair, yield* pair, yield* pair].sort((x, y) => x.ratio - y.ratio)
  return { pairs, ratio: pairs[1]!.ratio }
})

const ourSender = Effect.fnUntraced(function* (url: string) {
  const context = yield* Layer.build(
    WorkQueue.layer.pipe(
      Layer.provide(WakeUp.layerListen),
      Layer.provide(QueueJobs.layer),
      Layer.provide(Migrations.layerApplied),
      Layer.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 8 })),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({})))
    )
  )
  const queue = yield* WorkQueue.pipe(Effect.provideContext(context))
  let made = 0
  const request = (ticker: string): JobRequest => ({
    type: "backfill_market",
    payload: { tickers: [ticker] },
    key: `bench-${made++}`
  })
  const batch = 100
  const sender: Sender = {
    kinds: ["ours"],
    url,
    sendMany: (count) =>
      Effect.forEach(
        Array.from({ length: Math.ceil(count / batch) }),
        () => Effect.orDie(queue.enqueue(Array.from({ length: batch }, () => request("job")))),
        { concurrency: 4, discard: true }
      ),
    sendOne: (sentAt) => Effect.orDie(Effect.asVoid(queue.enqueue([request(String(sentAt))])))
  }
  return sender
})

const graphileSender = Effect.fnUntraced(function* (url: string) {
  const utils = yield* Effect.acquireRelease(
    Effect.promise(() => makeWorkerUtils({ connectionString: url })),
    (made) => Effect.promise(async () => made.release())
  )
  yield* Effect.promise(() => utils.migrate())
  const sql = yield* PgClient.make({ url: Redacted.make(url), maxConnections: 2 })
  const sender: Sender = {
    kinds: ["graphile", "graphileBatched"],
    url,
    sendMany: (count) =>
      Effect.orDie(
        sql`select count(*) from generate_series(1, ${count}) as n,
            lateral graphile_worker.add_job('bench', json_build_object('n', n)) as j`
      ),
    sendOne: (sentAt) => Effect.promise(async () => void (await utils.addJob("bench", { sentAt })))
  }
  return sender
})

const bossSender = Effect.fnUntraced(function* (url: string) {
  const boss = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const made = new PgBoss({ connectionString: url, max: 4, supervise: false, schedule: false })
      made.on("error", () => undefined)
      await made.start()
      await made.createQueue("bench")
      return made
    }),
    (made) => Effect.promise(() => made.stop({ graceful: false }))
  )
  const sender: Sender = {
    kinds: ["pgBoss"],
    url,
    sendMany: (count) =>
      Effect.promise(async () => {
        for (let from = 0; from < count; from += 1000)
          await boss.insert(Array.from({ length: Math.min(1000, count - from) }, () => ({ name: "bench", data: {} })))
      }),
    sendOne: (sentAt) => Effect.promise(async () => void (await boss.send("bench", { sentAt })))
  }
  return sender
})

const perSecond = Effect.fnUntraced(function* (count: number, work: Effect.Effect<void>) {
  const began = clock()
  yield* work
  return Math.round((count * 1000) / (clock() - began))
})

const round = (value: number) => Number(value.toFixed(2))

const bench = Effect.fn("bench.queue")(function* ({ isAlone, isHeldOnly, jobs, json }: Options) {
  const home = yield* Programs.folder
  yield* Effect.gen(function* () {
    const server = Redacted.value((yield* EmbeddedPostgres).url)
    const admin = yield* PgClient.make({ url: Redacted.make(server), maxConnections: 1 })
    for (const name of ["ours", "graphile", "boss"]) yield* admin.unsafe(`create database ${name}`)
    const ours = yield* ourSender(databaseUrl(server, "ours"))
    const graphile = yield* graphileSender(databaseUrl(server, "graphile"))
    const boss = yield* bossSender(databaseUrl(server, "boss"))
    const say = (what: string, value: unknown) =>
      json ? Effect.void : Console.log(`${what.padEnd(32)}${JSON.stringify(value)}`)

    const measure = Effect.fnUntraced(function* (sender: Sender, kind: Kind, count: number, sends: number) {
      yield* admin.unsafe("checkpoint")
      const one = yield* drainRate(sender, kind, 1, count)
      yield* say(`${kind}, 1 consumer`, one)
      const eight = yield* drainRate(sender, kind, 8, count)
      yield* say(`${kind}, 8 consumers`, eight)
      const pickupMs = yield* pickup(sender, kind, sends)
      yield* say(`${kind}, pick-up`, pickupMs)
      return { jobsPerSecond: { "1": one, "8": eight }, pickupMs }
    })

    if (isHeldOnly) return yield* Console.log(JSON.stringify(yield* held(ours, "ours", Math.ceil(jobs / 2))))
    const enqueuePerSecond = yield* perSecond(
      2000,
      Effect.forEach(Array.from({ length: 2000 }), () => ours.sendOne(0), { concurrency: 8, discard: true })
    )
    yield* say("enqueue, a transaction each", enqueuePerSecond)
    const enqueueBatchedPerSecond = yield* perSecond(jobs, ours.sendMany(jobs))
    yield* say("enqueue, 100 a transaction", enqueueBatchedPerSecond)
    const sql = yield* PgClient.make({ url: Redacted.make(ours.url), maxConnections: 1 })
    yield* sql`truncate queue_jobs`
    const mine = yield* measure(ours, "ours", jobs, 300)
    const { pairs, ratio: heldSnapshotRatio } = yield* held(ours, "ours", Math.ceil(jobs / 2))
    yield* say("ours, held snapshot", pairs)
    const farAhead = yield* drainRate(ours, "oursFarAhead", 8, jobs)
    yield* say("ours, up to 500 ahead", farAhead)
    const own = {
      enqueuePerSecond,
      enqueueBatchedPerSecond,
      ...mine,
      farAheadJobsPerSecond: { "8": farAhead },
      heldSnapshotRatio
    }
    if (isAlone) return yield* Console.log(json ? JSON.stringify(own) : JSON.stringify(own, null, 2))
    const theirs = yield* measure(graphile, "graphile", Math.ceil(jobs / 4), 100)
    const batched = yield* drainRate(graphile, "graphileBatched", 8, jobs)
    yield* say("graphile, local queue, batched", batched)
    const bosses = yield* measure(boss, "pgBoss", Math.ceil(jobs / 4), 20)
    const bossesBatched = yield* drainRate(boss, "pgBossBatched", 8, jobs)
    yield* say("pgBoss, batches of 500", bossesBatched)
    const result = {
      ...own,
      graphileWorker: {
        ...theirs,
        batchedJobsPerSecond: { "8": batched },
        ratio: round(mine.jobsPerSecond["8"] / theirs.jobsPerSecond["8"]),
        batchedRatio: round(farAhead / batched)
      },
      pgBoss: {
        ...bosses,
        batchedJobsPerSecond: { "8": bossesBatched },
        ratio: round(mine.jobsPerSecond["8"] / bosses.jobsPerSecond["8"]),
        batchedRatio: round(farAhead / bossesBatched)
      }
    }
    yield* Console.log(json ? JSON.stringify(result) : JSON.stringify(result, null, 2))
  }).pipe(Effect.scoped, Effect.provide(EmbeddedPostgres.layer({ dataDir: home })))
})

const option = (args: ReadonlyArray<string>, name: string, fallback: number) => {
  const found = args.find((arg) => arg.startsWith(`--${name}=`))
  return found === undefined ? fallback : Number(found.slice(name.length + 3))
}

export const main = (args: ReadonlyArray<string>): void =>
  bench({
    jobs: option(args, "jobs", 60_000),
    json: args.includes("--json"),
    isAlone: args.includes("--alone"),
    isHeldOnly: args.includes("--held")
  }).pipe(Effect.scoped, Effect.provide(Reactivity.layer), NodeRuntime.runMain)
