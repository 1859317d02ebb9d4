import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { type Cmd, Connection, type MethodParams, type Publisher } from "rabbitmq-client"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import type { JobType } from "./Job.ts"
import * as QueueConfig from "./QueueConfig.ts"
import { encodeNote, listen, WakeUp } from "./WakeUp.ts"

const published = Metric.counter("work_queue_hints_published", {
  description: "Hints that RabbitMQ confirmed",
  incremental: true
})

/** What the broker, or the way to it, refused. */
export class BrokerError extends Schema.TaggedError<BrokerError>()("BrokerError", { code: Schema.String }) {}

/** Jobs by type, and word that there are some. */
interface Outbox {
  readonly jobs: Map<JobType, number>
  readonly news: Queue.Queue<void>
}

/** More than this many idle workers are not woken by one announcement. */
const mostHints = 64
/** A hint that nobody took by then says nothing that polling has not found. */
const hintMillis = 60_000

export interface RabbitOptions {
  readonly url: Redacted.Redacted<string>
  readonly queues: Readonly<Record<JobType, string>>
  readonly queueType: "quorum" | "classic"
}

/**
 * Hints by RabbitMQ: a durable queue for each type of job, shared by the workers. Connects again for ever; what was announced while
 * there was no broker is published when there is one again.
 */
export const layerFrom = (options: RabbitOptions) =>
  Layer.effect(
    WakeUp,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const context = yield* Effect.context<never>()
      const tell = (effect: Effect.Effect<unknown>) => void Effect.runForkWith(context)(effect)
      let connected = false
      const rabbit = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const made = new Connection({
            url: Redacted.value(options.url),
            connectionName: "kalshi-ingestor",
            heartbeat: 10,
            connectionTimeout: 5000,
            acquireTimeout: 5000,
            retryLow: 200,
            retryHigh: 2000
          })
          made.on("connection", () => {
            if (!connected) tell(Effect.logInfo("RabbitMQ is connected"))
            connected = true
          })
          made.on("error", (error) => {
            const wasConnected = connected
            connected = made.ready
            tell(
              (wasConnected ? Effect.logWarning : Effect.logDebug)(
                "RabbitMQ is not reachable, jobs are found by polling",
                {
                  code: codeOf(error)
                }
              )
            )
          })
          return made
        }),
        (made) => Effect.promise(() => made.close()).pipe(Effect.timeoutOption("1 second"), Effect.ignoreCause)
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => rabbit.unsafeDestroy()))

      const declared = new Set<string>()
      rabbit.on("connection", () => declared.clear())
      const attempted = <A>(work: () => Promise<A>) =>
        Effect.tryPromise({ try: work, catch: (error) => new BrokerError({ code: codeOf(error) }) }).pipe(
          Effect.timeoutOrElse({
            duration: "6 seconds",
            orElse: () => Effect.fail(new BrokerError({ code: "NO_ANSWER" }))
          }),
          Effect.tapError(({ code }) => Effect.logDebug("RabbitMQ refused", { code }))
        )
      /** On a channel of its own: one that does not answer keeps others waiting, and a refusal closes it. */
      const declareAs = (params: MethodParams[Cmd.QueueDeclare]) =>
        Effect.acquireUseRelease(
          attempted(() => rabbit.acquire()),
          (channel) => attempted(() => channel.queueDeclare(params)),
          (channel) => Effect.sync(() => void channel.close().catch(() => undefined))
        )
      /** A queue that an earlier version made in another way is used as it is. */
      const declare = Effect.fnUntraced(function* (queue: string) {
        if (declared.has(queue)) return
        yield* declareAs({
          queue,
          durable: true,
          arguments: { "x-queue-type": options.queueType, "x-max-length": 10_000, "x-message-ttl": hintMillis }
        }).pipe(
          Effect.catchIf(
            ({ code }) => code === "PRECONDITION_FAILED",
            () =>
              Effect.andThen(
                declareAs({ queue, passive: true }),
                Effect.logInfo("RabbitMQ has this queue already, made in another way; it is used as it is", { queue })
              )
          )
        )
        declared.add(queue)
      })

      const publisher: Publisher = yield* Effect.acquireRelease(
        Effect.sync(() => rabbit.createPublisher({ confirm: true, maxAttempts: 1 })),
        (made) => Effect.promise(() => made.close()).pipe(Effect.timeoutOption("1 second"), Effect.ignoreCause)
      )
      /** What is to be announced by one queue; each is published by itself, so that a broken one holds up no other. */
      const outboxes = new Map<string, Outbox>()
      for (const queue of new Set(Object.values(options.queues))) {
        const outbox: Outbox = { jobs: new Map(), news: yield* Queue.sliding<void>(1) }
        outboxes.set(queue, outbox)
        const publish = Effect.gen(function* () {
          for (const [type, jobs] of outbox.jobs) {
            yield* declare(queue)
            const note = encodeNote({ job_type: type, jobs })
            const hints = Math.min(mostHints, jobs)
            yield* attempted(() =>
              Promise.all(
                Array.from({ length: hints }, () => publisher.send({ routingKey: queue, durable: true }, note))
              )
            )
            yield* Metric.update(published, hints)
            const left = (outbox.jobs.get(type) ?? 0) - jobs
            if (left > 0) outbox.jobs.set(type, left)
            else outbox.jobs.delete(type)
          }
        }).pipe(Effect.retry(again))
        yield* Effect.forkScoped(Queue.take(outbox.news).pipe(Effect.andThen(publish), Effect.forever))
      }

      const announce = (jobs: ReadonlyMap<JobType, number>) =>
        sql.afterCommit(
          Effect.sync(() => {
            for (const [type, count] of jobs) {
              const outbox = outboxes.get(options.queues[type])!
              outbox.jobs.set(type, (outbox.jobs.get(type) ?? 0) + count)
              Queue.offerUnsafe(outbox.news, undefined)
            }
          })
        )

      const consume = Effect.fnUntraced(function* (queue: string, heard: Queue.Enqueue<void>) {
        yield* declare(queue).pipe(Effect.retry(again))
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            const consumer = rabbit.createConsumer({ queue, queueOptions: { queue, passive: true } }, () => {
              Queue.offerUnsafe(heard, undefined)
            })
            consumer.on("ready", () => Queue.offerUnsafe(heard, undefined))
            consumer.on("error", (error) => {
              declared.delete(queue)
              tell(declare(queue).pipe(Effect.ignore))
              tell(Effect.logDebug("RabbitMQ consumer starts again", { queue, code: codeOf(error) }))
            })
            return consumer
          }),
          (consumer) =>
            Effect.promise(() => consumer.close()).pipe(Effect.timeoutOption("1 second"), Effect.ignoreCause)
        )
        return yield* Effect.never
      }, Effect.scoped)

      /** Also by LISTEN: what SQL enters, or brings back to life, no broker hears of. */
      const subscribe = Effect.fnUntraced(function* (types: ReadonlyArray<JobType>) {
        const heard = yield* Queue.sliding<void>(1)
        const listening = yield* listen(types, heard).pipe(Effect.provideService(PgClient.PgClient, sql))
        for (const queue of new Set(types.map((type) => options.queues[type])))
          yield* Effect.forkScoped(consume(queue, heard))
        return {
          next: Queue.take(heard),
          detail: Effect.map(
            listening.detail,
            (listen) => `${rabbit.ready ? "RabbitMQ" : "RabbitMQ is not reachable"}; ${listen}`
          )
        }
      })

      return WakeUp.of({ isNotify: false, announce, subscribe })
    })
  )

const again = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")]).pipe(Schedule.jittered)

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "no reason given"

const wrongUrl = new SettingError({
  setting: "RABBITMQ_URL",
  problem: "it is not an amqp:// address",
  fix: "set it to amqp://user:password@host:5672/ (percent-encode : / @ # % in user and password), or unset it"
})

/** As the settings say: RabbitMQ when RABBITMQ_URL is set, else LISTEN/NOTIFY; nothing is published with WORK_QUEUE_PUBLISH=0. */
export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const values = yield* Setting.read(QueueConfig.signals)
    const { broker, publish, queueType } = values
    if (broker !== undefined) {
      const text = Redacted.value(broker)
      if (!URL.canParse(text) || !/^amqps?:$/.test(new URL(text).protocol)) return yield* wrongUrl
    }
    const chosen =
      broker === undefined
        ? WakeUp.layerListen
        : layerFrom({ url: broker, queues: QueueConfig.brokerQueues(values), queueType })
    return publish ? chosen : WakeUp.layerMuted(chosen)
  })
)
