import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import { dice } from "../Scenario.ts"
import type { QueueScenario } from "./QueueScenario.ts"
import type { QueueStage } from "./QueueStage.ts"

const usual = { seed: 1, rate: 600, forSeconds: 30, times: 6 }
const short = { seed: 1, rate: 60, forSeconds: 4, times: 1 }

const control = ({ database }: QueueStage) =>
  database.control === undefined ? Effect.die(new Error("needs a server of its own")) : Effect.succeed(database.control)

/** Three workers in the middle of their work; `rate` jobs in all, a part of them for later. */
const atWork = Effect.fnUntraced(function* (stage: QueueStage) {
  const workers = yield* Effect.forEach([1, 2, 3], () => stage.startWorker)
  yield* stage.present
  yield* stage.enqueue(Math.ceil(stage.play.rate / 2), 200)
  yield* stage.until(
    "jobs are being done",
    Effect.map(stage.done, (done) => done >= 5)
  )
  return workers
})
const theRest = (stage: QueueStage) => stage.enqueue(Math.max(1, stage.play.rate - stage.entered()), 100)
const pause = (stage: QueueStage) =>
  Effect.sleep(`${Math.round((stage.play.forSeconds * 1000) / (stage.play.times ?? 1) / 2)} millis`)

export const killWorker: QueueScenario = {
  name: "kill-worker",
  about: "workers are killed (SIGKILL) in the middle of their jobs, and others started",
  usual,
  short,
  act: Effect.fnUntraced(function* (stage) {
    const workers = [...(yield* atWork(stage))]
    const roll = dice(stage.play.seed)
    for (let n = 0; n < (stage.play.times ?? 1); n++) {
      yield* pause(stage)
      const [victim] = workers.splice(Math.floor(roll() * workers.length), 1)
      yield* victim!.end("SIGKILL")
      workers.push(yield* stage.startWorker)
      yield* stage.enqueue(10, 200)
    }
    yield* theRest(stage)
    return { kills: stage.play.times }
  })
}

export const pauseWorker: QueueScenario = {
  name: "pause-worker",
  about: "a worker stands still (SIGSTOP) for longer than its lease, and goes on (SIGCONT) with jobs that others have",
  usual,
  short,
  costsAttempts: true,
  act: Effect.fnUntraced(function* (stage) {
    const workers = yield* atWork(stage)
    const roll = dice(stage.play.seed)
    let taken = 0
    for (let n = 0; n < (stage.play.times ?? 1); n++) {
      yield* stage.enqueue(20, 400)
      const victim = workers[Math.floor(roll() * workers.length)]!
      const theirs = `locked_by in (select instance from queue_workers where pid = ${victim.pid})`
      // It may end them all in the moment before it stands still.
      const stopped = Effect.gen(function* () {
        yield* victim.signal("SIGSTOP")
        yield* Effect.sleep("200 millis")
        const found = yield* stage.query(`select 1 from queue_jobs where ${theirs}`)
        if (found.length > 0) {
          taken += found.length
          return true
        }
        yield* victim.signal("SIGCONT")
        yield* stage.enqueue(10, 400)
        return false
      })
      yield* stage.until("the worker stands still with jobs in its hands", stopped)
      yield* Effect.sleep(`${stage.leaseSeconds * 3} seconds`)
      const lost = yield* stage.query(`select 1 from queue_workers where pid = ${victim.pid} and not lost`)
      if (lost.length > 0) return yield* Effect.die(new Error("the lease of a worker that stands still was not taken"))
      yield* victim.signal("SIGCONT")
      yield* pause(stage)
    }
    yield* theRest(stage)
    return { jobsHeldWhenStopped: taken }
  })
}

export const backendKill: QueueScenario = {
  name: "backend-kill",
  about: "the database ends every connection of the workers, again and again",
  usual,
  short,
  act: Effect.fnUntraced(function* (stage) {
    yield* atWork(stage)
    let ended = 0
    const until = (yield* Clock.currentTimeMillis) + (stage.play.forSeconds * 1000) / 2
    while ((yield* Clock.currentTimeMillis) < until) {
      yield* Effect.sleep("700 millis")
      yield* stage.enqueue(5)
      const gone = yield* stage.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name in ('chaos worker', 'kalshi-ingestor queue')`
      )
      ended += gone.length
    }
    yield* theRest(stage)
    return { connectionsEnded: ended }
  })
}

export const restartPostgresQueue: QueueScenario = {
  name: "restart-postgres-queue",
  about: "PostgreSQL is stopped and started, then killed (SIGKILL) and started, while workers work",
  usual,
  short,
  ownsServer: true,
  playedWith: "restart-postgres",
  act: Effect.fnUntraced(function* (stage) {
    const postgres = yield* control(stage)
    yield* atWork(stage)
    yield* postgres.stop
    yield* Effect.sleep("1 second")
    yield* postgres.start
    const before = yield* stage.done
    yield* stage.enqueue(20)
    yield* stage.until(
      "jobs are done again",
      Effect.map(stage.done, (now) => now > before)
    )
    yield* postgres.kill
    yield* postgres.start
    yield* theRest(stage)
    return {}
  })
}

export const poolExhausted: QueueScenario = {
  name: "pool-exhausted",
  about: "others take every connection that the database has left, while workers lose theirs",
  usual,
  short,
  ownsServer: true,
  server: { max_connections: "40" },
  act: Effect.fnUntraced(function* (stage) {
    yield* atWork(stage)
    const hoard = Effect.gen(function* () {
      let taken = 0
      const one = PgClient.makeClient({ url: stage.database.url, applicationName: "hoarder" }).pipe(
        Effect.tap(() =>
          Effect.sync(() => {
            taken++
          })
        )
      )
      yield* Effect.ignore(Effect.forever(one))
      const ended = yield* stage.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where application_name = 'kalshi-ingestor queue' and pid % 2 = 0`
      )
      yield* Effect.ignore(Effect.forever(one))
      yield* Effect.sleep(`${stage.play.forSeconds} seconds`)
      return { connectionsTaken: taken, connectionsLost: ended.length }
    }).pipe(Effect.scoped, Effect.provide(Reactivity.layer))
    const facts = yield* hoard
    yield* theRest(stage)
    return facts
  })
}

export const brokerDown: QueueScenario = {
  name: "broker-down",
  about: "RabbitMQ goes away and stays away: jobs are found by polling",
  usual,
  short,
  needsBroker: true,
  act: Effect.fnUntraced(function* (stage, broker) {
    yield* atWork(stage)
    yield* broker!.stop
    yield* theRest(stage)
    return {}
  })
}

export const brokerRestart: QueueScenario = {
  name: "broker-restart",
  about: "RabbitMQ is killed and comes back: jobs are announced again, long before anyone looks by himself",
  usual,
  short,
  needsBroker: true,
  settings: { WORK_QUEUE_POLL_SECONDS: "300" },
  act: Effect.fnUntraced(function* (stage, broker) {
    yield* atWork(stage)
    // RabbitMQ 3.10 never answers for a quorum queue again when it is killed within moments of making it.
    yield* Effect.sleep("3 seconds")
    yield* broker!.stop
    yield* stage.enqueue(10)
    yield* Effect.sleep("1 second")
    yield* broker!.start
    yield* theRest(stage)
    return {}
  })
}

export const queueScenarios: ReadonlyArray<QueueScenario> = [
  killWorker,
  pauseWorker,
  brokerDown,
  brokerRestart,
  restartPostgresQueue,
  backendKill,
  poolExhausted
]
