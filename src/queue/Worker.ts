import { randomBytes } from "node:crypto"
import * as os from "node:os"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { Health, thresholds as Thresholds } from "../runtime/Health.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { QueueConnection } from "../store/QueueConnection.ts"
import { attempt } from "./Attempt.ts"
import { isJobType, type JobType, jobTypes } from "./Job.ts"
import { type Handlers, JobHandlers } from "./JobHandlers.ts"
import * as QueueConfig from "./QueueConfig.ts"
import * as QueueMetrics from "./QueueMetrics.ts"
import * as Session from "./Session.ts"
import { upkeep } from "./Upkeep.ts"
import { WakeUp } from "./WakeUp.ts"

/** A stopping program has 10 seconds: these for its jobs, the rest to give back what they left. */
const drainSeconds = 7

/** Claims jobs, runs them and ends them, until the program stops; then finishes or gives back what it holds. */
export const Worker = Layer.effectDiscard(
  Effect.gen(function* () {
    const config = yield* Setting.read(QueueConfig.working)
    const handlers = yield* JobHandlers
    const connection = yield* QueueConnection
    const { jobs } = connection
    const wakeUp = yield* WakeUp
    const loops = yield* Loops
    const health = yield* Health
    const types = yield* typesToTake(config.types, handlers)
    const runAttempt = yield* attempt
    const name = config.workerId ?? `${os.hostname()}-${process.pid}`
    const hints = yield* wakeUp.subscribe(types)
    const monotonic = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos / 1_000_000n))

    let ended = 0
    let isHeld = false
    let current: Session.Session | undefined
    let steadySince = yield* monotonic
    let beatAt = steadySince
    let isSteady = true
    const onBeat = Effect.fnUntraced(function* (answered: boolean) {
      const now = yield* monotonic
      if (answered) beatAt = now
      if (answered && !isSteady) steadySince = now
      isSteady = answered
    })

    const session = Effect.gen(function* () {
      const made = yield* Session.make({
        ...config,
        member: { instance: `${name}/${randomBytes(4).toString("hex")}`, host: os.hostname(), pid: process.pid, types },
        jobs,
        hints,
        isHeld,
        timeoutSeconds: config.lockTimeoutSeconds,
        attempt: (row, options) =>
          Effect.tap(runAttempt(row, options), () =>
            Effect.sync(() => {
              ended += 1
            })
          ),
        onBeat
      })
      current = made
      yield* onBeat(true)
      return yield* made.run
    }).pipe(
      Effect.scoped,
      Effect.ensuring(
        Effect.sync(() => {
          current = undefined
        })
      )
    )

    yield* Effect.logInfo("takes jobs", { types: types.join(" "), worker: name })
    yield* loops.run(
      "queue-worker",
      session.pipe(
        Effect.catchTag("LeaseLost", ({ instance }) =>
          Effect.andThen(
            Metric.update(QueueMetrics.leasesLost, 1),
            Effect.logWarning("this worker did not answer for longer than its lease: what it ran is left to others", {
              instance
            })
          )
        ),
        Effect.forever
      ),
      {
        pause: Effect.suspend(() => {
          isHeld = true
          return current?.hold ?? Effect.void
        }),
        resume: Effect.suspend(() => {
          isHeld = false
          return current?.resume ?? Effect.void
        })
      }
    )
    yield* loops.run(
      "queue-upkeep",
      upkeep({
        ...config,
        connection,
        wakeUp,
        steadySince: Effect.sync(() => steadySince),
        ended: Effect.sync(() => ended)
      })
    )
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => current?.drain(Duration.seconds(drainSeconds)) ?? Effect.void).pipe(
        Effect.timeoutOption(Duration.seconds(drainSeconds + 2)),
        Effect.catchCause((cause) => Effect.logWarning("jobs could not be given back, their lease will run out", cause))
      )
    )
    const { staleSeconds = config.leaseSeconds } = yield* Setting.read({ staleSeconds: Thresholds.worker })
    yield* health.register(
      "queue",
      Effect.gen(function* () {
        const silentSeconds = ((yield* monotonic) - beatAt) / 1000
        const detail = yield* hints.detail
        return {
          ok: silentSeconds < staleSeconds,
          detail: `${types.join(", ")}; wake-up: ${detail}${isHeld ? "; paused: no job is claimed" : ""}`,
          ageSeconds: Math.round(silentSeconds)
        }
      })
    )
  })
)

const typesToTake = Effect.fnUntraced(function* (asked: ReadonlyArray<string> | undefined, handlers: Handlers) {
  const can = jobTypes.filter((type) => handlers[type] !== undefined)
  if (asked === undefined) {
    const cannot = jobTypes.filter((type) => handlers[type] === undefined)
    if (cannot.length > 0) yield* Effect.logInfo("leaves jobs that it has no handler for", { types: cannot.join(" ") })
    return can
  }
  const wrong = asked.find((type) => !isJobType(type))
  if (wrong !== undefined) return yield* mistake(`"${wrong}" is not one of ${jobTypes.join(", ")}`, can)
  const wanted = asked.filter(isJobType)
  const cannot = wanted.filter((type) => handlers[type] === undefined)
  if (cannot.length > 0) {
    yield* Effect.logWarning("leaves jobs that it has no handler for", { types: cannot.join(" ") })
  }
  const types = wanted.filter((type) => handlers[type] !== undefined)
  return types.length === 0 ? yield* mistake(`this worker can do none of ${asked.join(", ")}`, can) : types
})

const mistake = (problem: string, can: ReadonlyArray<JobType>) =>
  Effect.fail(
    new SettingError({
      setting: "WORK_QUEUE_JOB_TYPES",
      problem,
      fix: `set it like WORK_QUEUE_JOB_TYPES=${can.join(",")}`
    })
  )
