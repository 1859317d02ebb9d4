import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { Connection } from "rabbitmq-client"
import * as RabbitBroker from "../../src/local/RabbitBroker.ts"
import { type JobType, jobTypes } from "../../src/queue/Job.ts"
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
  Effect.sync(() => RabbitWakeUp.layerFrom({ url: broker.url, queues: names(), queueType: "quorum" }))
)

/** On a connection of its own. */
const declare = (
  params: { readonly queue: string; readonly durable?: boolean; readonly passive?: boolean },
  args = {}
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Connection(Redacted.value(broker.url)).on("error", () => undefined)),
    (rabbit) => Effect.tryPromise(() => rabbit.queueDeclare({ ...params, arguments: args })),
    (rabbit) => Effect.promise(() => rabbit.close())
  )

const waiting = (queue: string, count: number) =>
  declare({ queue, passive: true }).pipe(
    Effect.map(({ messageCount }) => messageCount),
    Effect.orElseSucceed(() => 0),
    Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: (found) => found === count }),
    Effect.timeoutOrElse({
      duration: "30 seconds",
      orElse: () => Effect.die(new Error(`${queue} never had ${count} hints`))
    })
  )

const backfill = (jobs: number) => new Map([["backfill_market", jobs]] as const)

/** Announces by queues of these names. */
const over = (queues: Readonly<Record<JobType, string>>, queueType: "quorum" | "classic" = "quorum") =>
  RabbitWakeUp.layerFrom({ url: broker.url, queues, queueType }).pipe(
    Layer.provide(QueueJobs.layer),
    TestDatabase.under("queue")
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
          yield* waiting("kalshi.old", 3)
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

  for (const queueType of ["quorum", "classic"] as const)
    it.live(
      `makes durable ${queueType} queues, whose hints do not pile up`,
      () => {
        const queues = names()
        return Effect.gen(function* () {
          const wakeUp = yield* WakeUp
          yield* wakeUp.announce(backfill(1))
          const queue = queues.backfill_market
          yield* waiting(queue, 1)
          const args = { "x-queue-type": queueType, "x-max-length": 10_000, "x-message-ttl": 60_000 }
          assert.strictEqual((yield* declare({ queue, durable: true }, args)).queue, queue)
          for (const other of [
            declare({ queue, durable: false }, args),
            declare(
              { queue, durable: true },
              { ...args, "x-queue-type": queueType === "quorum" ? "classic" : "quorum" }
            )
          ])
            assert.include(String((yield* Effect.flip(other)).cause), "PRECONDITION_FAILED")
        }).pipe(Effect.scoped, Effect.provide(over(queues, queueType)))
      },
      60_000
    )

  it.live(
    "a queue that the broker refuses holds up no other",
    () => {
      const queues = { ...names(), backfill_market: "amq.reserved" }
      return Effect.gen(function* () {
        const wakeUp = yield* WakeUp
        yield* wakeUp.announce(
          new Map([
            ["backfill_market", 1],
            ["cleanup_market", 2]
          ] as const)
        )
        yield* waiting(queues.cleanup_market, 2)
        const hints = yield* wakeUp.subscribe(["backfill_market", "cleanup_market"])
        yield* waiting(queues.cleanup_market, 0)
        yield* hints.next
      }).pipe(Effect.scoped, Effect.provide(over(queues)))
    },
    60_000
  )

  it.live(
    "types that share a queue are all announced by it",
    () => {
      const { backfill_market: shared } = names()
      return Effect.gen(function* () {
        const wakeUp = yield* WakeUp
        yield* wakeUp.announce(
          new Map([
            ["backfill_market", 1],
            ["cleanup_market", 2]
          ] as const)
        )
        yield* waiting(shared, 3)
      }).pipe(
        Effect.scoped,
        Effect.provide(over(Object.fromEntries(jobTypes.map((type) => [type, shared])) as Record<JobType, string>))
      )
    },
    60_000
  )

  it.live(
    "what was announced while the broker was away is published when it is back",
    () => {
      const queues = names()
      return Effect.gen(function* () {
        const wakeUp = yield* WakeUp
        yield* wakeUp.announce(backfill(1))
        yield* waiting(queues.backfill_market, 1)
        // RabbitMQ 3.10 never answers for a quorum queue again when it is killed within moments of making it.
        yield* Effect.sleep("1 second")
        yield* broker.stop
        yield* wakeUp.announce(backfill(2))
        yield* wakeUp.announce(new Map([["cleanup_market", 1]] as const))
        yield* broker.start
        yield* waiting(queues.backfill_market, 3)
        yield* waiting(queues.cleanup_market, 1)
      }).pipe(Effect.scoped, Effect.provide(over(queues)))
    },
    90_000
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
