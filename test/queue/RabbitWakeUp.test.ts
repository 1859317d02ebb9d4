import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { Connection } from "rabbitmq-client"
import * as RabbitBroker from "../../src/local/RabbitBroker.ts"
import type { JobType } from "../../src/queue/Job.ts"
import * as RabbitWakeUp from "../../src/queue/RabbitWakeUp.ts"
import { WakeUp } from "../../src/queue/WakeUp.ts"
import { QueueJobs } from "../../src/store/QueueJobs.ts"
import { TestDatabase } from "../support/Database.ts"
import { suite } from "./WakeUpSuite.ts"
import { settings } from "./WorkerFixture.ts"

const scope = Scope.makeUnsafe()
let broker: RabbitBroker.RabbitBroker
let made = 0

/** Queues of their own for each layer that is built, so that no test hears another. */
const names = (): Readonly<Record<JobType, string>> => {
  const n = made++
  return {
    backfill_market: `test.${n}.backfill`,
    discover_market: `test.${n}.discover`,
    repair_gap: `test.${n}.repair`,
    cleanup_market: `test.${n}.cleanup`,
    archive_partition: `test.${n}.archive`
  }
}

const layer = Layer.unwrap(
  Effect.sync(() => RabbitWakeUp.layerFrom({ url: broker.url, queues: names(), queueType: "quorum", prefetch: 4 }))
)

const declared = (queue: string) =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Connection(Redacted.value(broker.url))),
    (rabbit) => Effect.promise(() => rabbit.queueDeclare({ queue, passive: true })),
    (rabbit) => Effect.promise(() => rabbit.close())
  )

describe.skipIf(!RabbitBroker.isInstalled)("RabbitMQ (install Debian's rabbitmq-server)", () => {
  beforeAll(async () => {
    broker = await Effect.runPromise(Scope.provide(RabbitBroker.make, scope))
  }, 90_000)
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)), 30_000)

  suite("RabbitMQ", layer, () => ({ breakDown: broker.stop, repair: broker.start }), 60_000)

  it.live(
    "uses the queue that a setting names, also one that was made in another way",
    () =>
      Effect.gen(function* () {
        const rabbit = yield* Effect.acquireRelease(
          Effect.sync(() => new Connection(Redacted.value(broker.url))),
          (open) => Effect.promise(() => open.close())
        )
        yield* Effect.promise(() => rabbit.queueDeclare({ queue: "kalshi.old", durable: true }))
        yield* Effect.gen(function* () {
          const wakeUp = yield* WakeUp
          yield* wakeUp.announce(new Map([["backfill_market", 3]] as const))
          const waiting = declared("kalshi.old").pipe(Effect.map(({ messageCount }) => messageCount))
          assert.strictEqual(
            yield* waiting.pipe(Effect.repeat({ until: (count) => count === 3 }), Effect.timeout("20 seconds")),
            3
          )
        }).pipe(
          Effect.provide(
            RabbitWakeUp.layer.pipe(
              Layer.provide(QueueJobs.layer),
              Layer.provide(TestDatabase.layerAs("rest")),
              Layer.provide(TestDatabase.layer),
              Layer.provide(
                settings({
                  RABBITMQ_URL: Redacted.value(broker.url),
                  WORK_QUEUE_NAME_BACKFILL_MARKET: "kalshi.old"
                })
              )
            )
          )
        )
      }),
    60_000
  )

  it.live("an address that is none is one line, without the password", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Layer.build(
          RabbitWakeUp.layer.pipe(
            Layer.provide(QueueJobs.layer),
            Layer.provide(TestDatabase.layerAs("rest")),
            Layer.provide(TestDatabase.layer),
            Layer.provide(settings({ RABBITMQ_URL: "http://me:secret@broker/" }))
          )
        )
      )
      assert.match(String((error as Error).message), /^RABBITMQ_URL: it is not an amqp:\/\/ address; set it to /)
      assert.notInclude(String((error as Error).message), "secret")
    })
  )
})
