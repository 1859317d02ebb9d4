import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { JobHandlers } from "../../../src/queue/JobHandlers.ts"
import * as RabbitWakeUp from "../../../src/queue/RabbitWakeUp.ts"
import { Worker } from "../../../src/queue/Worker.ts"
import * as Health from "../../../src/runtime/Health.ts"
import { runRoleProgram } from "../../../src/runtime/Program.ts"
import { Database } from "../../../src/store/Database.ts"
import { QueueConnection } from "../../../src/store/QueueConnection.ts"
import { QueueJobs } from "../../../src/store/QueueJobs.ts"

/** The worker program with one handler: it takes a while, and its result is a row, written when the job is done. */
const Handlers = Layer.effect(
  JobHandlers,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    return JobHandlers.of({
      backfill_market: ({ attempt, commit, payload }) =>
        Effect.gen(function* () {
          const [ticker, millis = "50"] = payload.tickers
          yield* Effect.sleep(Number(millis))
          yield* commit(
            sql`insert into chaos_effects (ticker, attempt, pid) values (${ticker}, ${attempt}, ${process.pid})`
          )
        })
    })
  })
)

export const main = (): void =>
  runRoleProgram(
    "worker",
    Layer.mergeAll(Worker, Health.layerServer("worker")).pipe(
      Layer.provide(Handlers),
      Layer.provide(RabbitWakeUp.layer.pipe(Layer.provideMerge(Layer.merge(QueueJobs.layer, QueueConnection.layer)))),
      Layer.provide(Health.Health.layer),
      Layer.provide(Database.layerUrl({ applicationName: "chaos worker" }))
    )
  )
