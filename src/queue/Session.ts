import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Latch from "effect/Latch"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type { SqlError } from "effect/sql/SqlError"
import { type ClaimedRow, type Member, type QueueError, type QueueJobs, storable } from "../store/QueueJobs.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { isTransient } from "../store/SqlState.ts"
import type { AttemptOptions, Outcome } from "./Attempt.ts"
import { Lanes } from "./Lanes.ts"
import * as QueueMetrics from "./QueueMetrics.ts"
import type { Hints } from "./WakeUp.ts"

/** This worker did not answer for longer than its lease: all it held is with others, or will be. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", { instance: Schema.String }) {}

export interface SessionOptions {
  readonly member: Member
  readonly jobs: QueueJobs["Service"]
  readonly attempt: (row: ClaimedRow, options: AttemptOptions) => Effect.Effect<Outcome>
  readonly hints: Hints
  readonly concurrency: number
  readonly prefetch: number
  readonly pollSeconds: number
  readonly leaseSeconds: number
  readonly retrySeconds: number
  readonly timeoutSeconds: number
  /** It begins held. */
  readonly isHeld: boolean
  /** Told after each heartbeat whether the database answered. */
  readonly onBeat: (answered: boolean) => Effect.Effect<void>
}

/** A worker under one lease. */
export interface Session {
  /** Works until the lease is lost. */
  readonly run: Effect.Effect<never, LeaseLost | QueueError>
  /** Claims no more and gives back what was not begun, until `resume`; what runs goes on to its end. */
  readonly hold: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /**
   * Claims no more, gives back what was not begun, waits for the rest, but after `patience` breaks it off and gives it back; then ends
   * the lease. `run` must go on meanwhile.
   */
  drain(patience: Duration.Input): Effect.Effect<void, SqlError>
}

/** Jobs are short when as many as are claimed ahead can be run within this many seconds. */
const aheadSeconds = 0.25

/** Outcomes that may wait for the database before no more jobs are claimed. */
const mostUnsettled = 500

/**
 * State: a claimed job waits in `waiting` until fewer than `concurrency` run, then runs as a fiber of `running`, then its outcome waits
 * in `outcomes` until it is in the database. `held` counts all three. New jobs are claimed while fewer wait or run than
 * `concurrency` and what may be taken ahead.
 */
export const make = Effect.fnUntraced(function* (options: SessionOptions) {
  const { concurrency, jobs, leaseSeconds, member, prefetch } = options
  const { instance } = member
  const lanes = new Lanes(member.types)
  yield* Effect.addFinalizer(() => measured(0, 0))
  const running = yield* FiberMap.make<string, void>()
  const outcomes = yield* Queue.unbounded<Outcome>()
  const room = yield* Latch.make(!options.isHeld)
  const empty = yield* Latch.make(true)
  const waiting: Array<ClaimedRow> = []
  /** Opens when a full search is due, as often as those may be made. */
  const owed = yield* Latch.make(false)
  /** Hears that a full search found jobs behind what was seen, and maybe not all of them. */
  const behind = yield* Queue.sliding<void>(1)
  const held = new Set<ClaimedRow>()
  /** How many jobs the searches under way may bring. */
  let asking = 0
  let runningCount = 0
  let usualSeconds = 1
  let isDraining = false
  let { isHeld } = options

  const attemptOptions = { instance, timeoutSeconds: options.timeoutSeconds, patienceSeconds: leaseSeconds }
  const ahead = () => Math.min(prefetch, Math.floor((concurrency * aheadSeconds) / usualSeconds))

  const credit = () => concurrency + ahead() - waiting.length - runningCount

  const weigh = () => {
    const unsettled = held.size - waiting.length - runningCount
    if (isDraining || isHeld || unsettled > mostUnsettled || credit() < Math.max(1, ahead())) room.closeUnsafe()
    else room.openUnsafe()
  }

  const heldChanged = () => {
    if (held.size === 0) empty.openUnsafe()
    else empty.closeUnsafe()
    weigh()
  }
  const measure = Effect.suspend(() => measured(held.size, runningCount))

  const runOne = Effect.fnUntraced(function* (row: ClaimedRow) {
    const began = yield* Clock.currentTimeMillis
    const outcome = yield* options.attempt(row, attemptOptions)
    const seconds = ((yield* Clock.currentTimeMillis) - began) / 1000
    usualSeconds += (seconds - usualSeconds) / 5
    runningCount -= 1
    yield* Queue.offer(outcomes, outcome)
    yield* startWaiting
    weigh()
    yield* measure
  })

  const startWaiting: Effect.Effect<void> = Effect.suspend(() => {
    const starting: Array<ClaimedRow> = []
    while (runningCount < concurrency && waiting.length > 0) {
      runningCount += 1
      starting.push(waiting.shift()!)
    }
    return Effect.forEach(starting, (row) => FiberMap.run(running, row.id, Effect.uninterruptible(runOne(row))), {
      discard: true
    })
  })

  /** A fast search goes on after what was seen, a full one looks at everything. */
  const claim = Effect.fnUntraced(function* (isFull: boolean) {
    const wanted = Math.max(1, credit() - asking)
    asking += wanted
    const began = yield* Clock.currentTimeMillis
    const found = yield* untilDatabaseAnswers(jobs.claim(instance, lanes.lanes(isFull), wanted)).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          asking -= wanted
        })
      )
    )
    if (found === undefined) return yield* isDraining ? Effect.never : new LeaseLost({ instance })
    lanes.found(found, wanted, isFull)
    if (isFull) {
      const now = yield* Clock.currentTimeMillis
      lanes.searched(now, now - began)
    }
    if (found.jobs.length > 0) {
      waiting.push(...found.jobs)
      for (const row of found.jobs) held.add(row)
      heldChanged()
      yield* Effect.forEach(
        found.jobs,
        ({ type, waitedSeconds }) => Metric.update(QueueMetrics.of(QueueMetrics.waited, type), waitedSeconds),
        { discard: true }
      )
      if (isDraining || isHeld) yield* giveBackWaiting
      yield* startWaiting
      yield* measure
    }
    return found.jobs.length < wanted
  })

  const claims = Effect.gen(function* () {
    while (true) {
      yield* Latch.await(room)
      if (!(yield* claim(false))) continue
      owed.openUnsafe()
      const pollMillis = options.pollSeconds * 1000 * (yield* Random.nextBetween(0.9, 1.1))
      yield* Effect.timeoutOption(Effect.raceFirst(options.hints.next, Queue.take(behind)), Duration.millis(pollMillis))
    }
  })

  /** Apart from the fast ones: a full search may be slow, and a new job does not wait for it. */
  const fullSearches = Effect.gen(function* () {
    while (true) {
      yield* Latch.await(owed)
      owed.closeUnsafe()
      yield* Effect.sleep(Duration.millis(Math.max(0, lanes.fullAt - (yield* Clock.currentTimeMillis))))
      yield* Latch.await(room)
      if (!(yield* claim(true))) yield* Queue.offer(behind, undefined)
    }
  })

  const backoffSeconds = Effect.fnUntraced(function* (attempt: number) {
    const base = Math.min(3600, options.retrySeconds * 2 ** Math.min(30, attempt - 1))
    return base * (yield* Random.nextBetween(0.8, 1.2))
  })

  /** Counts what became of attempts. One whose end was stored though the reply was lost did not go to another worker. */
  const tally = Effect.fnUntraced(function* (batch: ReadonlyArray<Outcome>, touched: ReadonlySet<string>) {
    const unanswered = batch.flatMap(({ _tag, row }) => (_tag === "Committed" || touched.has(row.id) ? [] : [row]))
    const ended = unanswered.length === 0 ? undefined : yield* untilDatabaseAnswers(jobs.ended(instance, unanswered))
    for (const outcome of batch) {
      const { row } = outcome
      const stored = ended?.get(row.id)
      if (outcome._tag === "Committed" || (outcome._tag === "Done" && touched.has(row.id)) || stored?.isDone === true) {
        yield* Metric.update(QueueMetrics.of(QueueMetrics.done, row.type), 1)
      } else if (
        outcome._tag === "Failed" &&
        (touched.has(row.id) || stored?.cause === storable(outcome.failure.problem))
      ) {
        yield* Metric.update(QueueMetrics.of(QueueMetrics.failures, row.type), 1)
      } else if (!touched.has(row.id)) {
        yield* Metric.update(QueueMetrics.of(QueueMetrics.fenced, row.type), 1)
        yield* Effect.logWarning("job had gone to another worker, nothing of this attempt counts", {
          job: row.id,
          type: row.type,
          attempt: row.attempt
        })
      }
    }
  })

  const settle = Effect.fnUntraced(function* (batch: ReadonlyArray<Outcome>) {
    const done = batch.flatMap((outcome) => (outcome._tag === "Done" ? [outcome.row] : []))
    const failed = batch.flatMap((outcome) => (outcome._tag === "Failed" ? [outcome] : []))
    const given = batch.flatMap((outcome) => (outcome._tag === "GivenBack" ? [outcome.row] : []))
    const touched = new Set<string>()
    if (done.length > 0) {
      for (const id of yield* untilDatabaseAnswers(jobs.complete(instance, done))) touched.add(id)
    }
    if (failed.length > 0) {
      const failures = yield* Effect.forEach(failed, ({ failure, row }) =>
        Effect.map(
          failure.afterSeconds === undefined ? backoffSeconds(row.attempt) : Effect.succeed(failure.afterSeconds),
          (delay) => ({
            id: row.id,
            fence: row.fence,
            delaySeconds: failure.retryable ? delay : undefined,
            cause: failure.problem
          })
        )
      )
      for (const { dead, id, type } of yield* untilDatabaseAnswers(jobs.fail(instance, failures))) {
        touched.add(id)
        const { failure, row } = failed.find((one) => one.row.id === id)!
        if (dead) yield* Metric.update(QueueMetrics.of(QueueMetrics.dead, type), 1)
        yield* (dead ? Effect.logError("job is dead") : Effect.logWarning("job failed, will be tried again")).pipe(
          Effect.annotateLogs({ job: id, type, attempt: row.attempt, of: row.maxAttempts, problem: failure.problem })
        )
      }
    }
    if (given.length > 0) {
      const released = yield* untilDatabaseAnswers(jobs.release(instance, given))
      for (const id of released) touched.add(id)
      yield* Metric.update(QueueMetrics.released, released.length)
    }
    yield* tally(batch, touched)
    for (const { row } of batch) held.delete(row)
    heldChanged()
    yield* measure
  })

  const settling = Queue.takeAll(outcomes).pipe(Effect.flatMap(settle), Effect.forever)

  const beats = Effect.gen(function* () {
    while (true) {
      yield* Effect.sleep(Duration.seconds(leaseSeconds / 3))
      const ids = Array.from(held, ({ id }) => id)
      const alive = yield* jobs.beat(instance, leaseSeconds, ids).pipe(
        Effect.timeoutOption(Duration.seconds(leaseSeconds)),
        Effect.catch((error) =>
          isTransient(error)
            ? Effect.as(Effect.logDebug("the lease could not be renewed", { reason: error.reason._tag }), undefined)
            : Effect.fail(error)
        ),
        Effect.map((answer) => (answer?._tag === "Some" ? answer.value : undefined))
      )
      yield* options.onBeat(alive !== undefined)
      if (alive === false) return yield* new LeaseLost({ instance })
    }
  })

  const giveBackWaiting = Effect.suspend(() =>
    Queue.offerAll(
      outcomes,
      waiting.splice(0).map((row) => ({ _tag: "GivenBack" as const, row }))
    )
  )

  const session: Session = {
    run: Effect.andThen(
      untilDatabaseAnswers(jobs.join(member, leaseSeconds)),
      Effect.raceAllFirst([claims, fullSearches, settling, beats])
    ),
    hold: Effect.suspend(() => {
      isHeld = true
      weigh()
      return giveBackWaiting
    }).pipe(Effect.asVoid),
    resume: Effect.sync(() => {
      isHeld = false
      weigh()
    }),
    drain: Effect.fnUntraced(function* (patience) {
      isDraining = true
      room.closeUnsafe()
      yield* giveBackWaiting
      yield* Effect.timeoutOption(Latch.await(empty), patience)
      yield* FiberMap.clear(running)
      yield* Latch.await(empty)
      yield* untilDatabaseAnswers(jobs.leave(instance))
    })
  }
  return session
})

const measured = (held: number, running: number) =>
  Effect.andThen(Metric.update(QueueMetrics.held, held), Metric.update(QueueMetrics.running, running))
