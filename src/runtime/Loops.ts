import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as LoopGate from "./LoopGate.ts"
import { SettingError } from "./SettingError.ts"

export class LoopEnded extends Schema.TaggedError<LoopEnded>()("LoopEnded", { loop: Schema.String }) {}

interface Cycle<A, E> {
  readonly pass: Effect.Effect<A, E>
  /** The wait between two passes, or how it follows from what a pass gave. */
  readonly every: Duration.Input | ((found: A) => Duration.Input)
  /** Comes before the first pass. */
  readonly after?: Effect.Effect<unknown, E>
  /** Cuts the wait short. */
  readonly woken?: Effect.Effect<unknown>
}

type LoopFault = LoopGate.LoopUnknown | LoopGate.LoopContinuous

/**
 * The background loops of one process. A loop that ends, for any reason, ends the process. A loop is interrupted when the scope it
 * was started in closes, so before whatever that scope was built upon.
 */
export class Loops extends Context.Service<
  Loops,
  {
    /** A loop that goes on all the time; one with a `hold` can be paused. */
    run<E>(name: string, loop: Effect.Effect<unknown, E>, hold?: LoopGate.Hold): Effect.Effect<void, never, Scope.Scope>
    /** A loop of passes: it can be paused between them, and asked for one now. */
    cycle<A, E>(name: string, cycle: Cycle<A, E>): Effect.Effect<void, never, Scope.Scope>
    readonly ended: Effect.Effect<void, unknown>
    readonly states: Effect.Effect<ReadonlyArray<LoopGate.LoopState>>
    /** The pass under way comes to its end; no other begins. Until the process ends, or `resume`. */
    pause(name: string): Effect.Effect<void, LoopFault>
    resume(name: string): Effect.Effect<void, LoopFault>
    /** Waits for the end of a pass that begins now, or after the one under way. */
    runNow(name: string): Effect.Effect<void, LoopFault>
  }
>()("kalshi-ingestor/runtime/Loops") {
  static readonly layer = Layer.effect(
    Loops,
    Effect.gen(function* () {
      const fibers = yield* FiberSet.make<unknown, unknown>()
      const gates = new Map<string, LoopGate.LoopGate>()

      const start = <E>(name: string, loop: Effect.Effect<unknown, E>) =>
        loop.pipe(
          Effect.tapCause((cause) =>
            Cause.hasInterruptsOnly(cause) || isMistake(cause) ? Effect.void : Effect.logFatal("loop died", cause)
          ),
          Effect.andThen(Effect.fail(new LoopEnded({ loop: name }))),
          Effect.annotateLogs({ loop: name }),
          FiberSet.run(fibers),
          Effect.flatMap((fiber) => Effect.addFinalizer(() => Fiber.interrupt(fiber)))
        )

      const listed = (name: string, gate: LoopGate.LoopGate) =>
        Effect.acquireRelease(
          Effect.sync(() => gates.set(name, gate)),
          () => Effect.sync(() => gates.delete(name))
        )

      const of = (name: string) => {
        const gate = gates.get(name)
        return gate === undefined
          ? Effect.fail(new LoopGate.LoopUnknown({ loop: name, loops: [...gates.keys()].sort() }))
          : Effect.succeed(gate)
      }

      return Loops.of({
        run: Effect.fnUntraced(function* (name, loop, hold) {
          yield* listed(name, LoopGate.continuous(name, hold))
          yield* start(name, loop)
        }),
        cycle: Effect.fnUntraced(function* (name, { after, every, pass, woken }) {
          const gate = yield* LoopGate.make(name)
          const turn = gate.turn(
            Effect.map(pass, (found) => (typeof every === "function" ? every(found) : every)),
            woken ?? Effect.never
          )
          yield* listed(name, gate)
          yield* start(name, Effect.andThen(after ?? Effect.void, Effect.forever(turn)))
        }),
        ended: FiberSet.join(fibers),
        states: Effect.suspend(() => Effect.forEach([...gates.values()], ({ state }) => state)),
        pause: (name) => Effect.flatMap(of(name), ({ pause }) => pause),
        resume: (name) => Effect.flatMap(of(name), ({ resume }) => resume),
        runNow: (name) => Effect.flatMap(of(name), ({ runNow }) => runNow)
      })
    })
  )
}

/** A user's mistake is told once, in one line, by whoever runs the role. */
const isMistake = (cause: Cause.Cause<unknown>) => Cause.squash(cause) instanceof SettingError

/** Runs a role until one of its loops ends; fails with that loop's failure. */
export const runRole = <E, R>(role: Layer.Layer<never, E, R | Loops>) =>
  Loops.use((loops) => loops.ended).pipe(Effect.provide(role.pipe(Layer.provideMerge(Loops.layer))))
