import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"

/** `continuous`: it has no passes, and cannot be paused. Times are wall milliseconds. */
export interface LoopState {
  readonly loop: string
  readonly kind: "cycle" | "continuous"
  readonly phase: "waiting" | "running" | "paused"
  /** Asked to pause; a pass that is under way comes to its end first. */
  readonly isPaused: boolean
  readonly passes: number
  readonly startedAt: number | undefined
  readonly endedAt: number | undefined
  readonly nextAt: number | undefined
}

/** This process has no such loop; `loops` are those it has. */
export class LoopUnknown extends Schema.TaggedError<LoopUnknown>()("LoopUnknown", {
  loop: Schema.String,
  loops: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `there is no loop "${this.loop}" here: ${this.loops.join(", ")}`
  }
}

/** A loop that goes on all the time: it has no passes, and cannot be held. */
export class LoopContinuous extends Schema.TaggedError<LoopContinuous>()("LoopContinuous", { loop: Schema.String }) {
  override get message(): string {
    return `"${this.loop}" runs all the time: it cannot be paused, and has no passes to run`
  }
}

/** How a loop is seen and held from outside. */
export interface LoopGate {
  readonly state: Effect.Effect<LoopState>
  readonly pause: Effect.Effect<void, LoopContinuous>
  readonly resume: Effect.Effect<void, LoopContinuous>
  /** Asks for a pass now, paused or not; succeeds when a pass that began after the request has ended. */
  readonly runNow: Effect.Effect<void, LoopContinuous>
}

/** How a loop without passes stops taking up new work, and takes it up again. */
export interface Hold {
  readonly pause: Effect.Effect<unknown>
  readonly resume: Effect.Effect<unknown>
}

/** What holds a cycle between its passes, and wakes it. */
export interface CycleGate extends LoopGate {
  /** One pass, when its turn has come; then the wait until the next one, which `woken` cuts short. */
  readonly turn: <E, R, R2>(
    pass: Effect.Effect<Duration.Input, E, R>,
    woken: Effect.Effect<unknown, never, R2>
  ) => Effect.Effect<void, E, R | R2>
}

/** The gate of one cycle. */
export const make = Effect.fnUntraced(function* (loop: string) {
  const open = yield* Latch.make(true)
  const asked = yield* Queue.sliding<void>(1)
  let isPaused = false
  let phase: LoopState["phase"] = "waiting"
  let passes = 0
  let startedAt: number | undefined
  let endedAt: number | undefined
  let nextAt: number | undefined
  let ended = yield* Deferred.make<void>()

  const gate: CycleGate = {
    state: Effect.sync(() => ({ loop, kind: "cycle", phase, isPaused, passes, startedAt, endedAt, nextAt })),
    pause: Effect.suspend(() => {
      isPaused = true
      if (phase === "waiting") phase = "paused"
      return open.close
    }).pipe(Effect.asVoid),
    resume: Effect.suspend(() => {
      isPaused = false
      if (phase === "paused") phase = "waiting"
      return open.open
    }).pipe(Effect.asVoid),
    runNow: Effect.suspend(() => {
      const wanted = passes + (phase === "running" ? 2 : 1)
      const wait: Effect.Effect<void> = Effect.suspend(() =>
        passes >= wanted ? Effect.void : Effect.andThen(Deferred.await(ended), wait)
      )
      return Effect.andThen(Queue.offer(asked, undefined), wait)
    }),
    turn: (pass, woken) =>
      Effect.gen(function* () {
        if (isPaused) yield* Effect.raceFirst(open.await, Queue.take(asked))
        phase = "running"
        startedAt = yield* Clock.currentTimeMillis
        nextAt = undefined
        const wait = yield* pass
        passes += 1
        endedAt = yield* Clock.currentTimeMillis
        nextAt = endedAt + Duration.toMillis(Duration.fromInputUnsafe(wait))
        phase = isPaused ? "paused" : "waiting"
        const said = ended
        ended = yield* Deferred.make<void>()
        yield* Deferred.succeed(said, undefined)
        yield* Effect.raceAllFirst([Effect.sleep(wait), Queue.take(asked), woken])
      })
  }
  return gate
})

/** The gate of a loop without passes. */
export const continuous = (loop: string, hold?: Hold): LoopGate => {
  let isPaused = false
  const refused = Effect.fail(new LoopContinuous({ loop }))
  const set = (to: boolean, effect: Effect.Effect<unknown>) =>
    Effect.andThen(
      effect,
      Effect.sync(() => {
        isPaused = to
      })
    )
  return {
    state: Effect.sync(() => ({
      loop,
      kind: "continuous",
      phase: isPaused ? "paused" : "running",
      isPaused,
      passes: 0,
      startedAt: undefined,
      endedAt: undefined,
      nextAt: undefined
    })),
    pause: hold === undefined ? refused : set(true, hold.pause),
    resume: hold === undefined ? refused : set(false, hold.resume),
    runNow: refused
  }
}
