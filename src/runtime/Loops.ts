import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { SettingError } from "./SettingError.ts"

export class LoopEnded extends Schema.TaggedError<LoopEnded>()("LoopEnded", { loop: Schema.String }) {}

/**
 * The background loops of one process. A loop that ends, for any reason, ends the process. A loop is interrupted when the scope it
 * was started in closes, so before whatever that scope was built upon.
 */
export class Loops extends Context.Service<
  Loops,
  {
    readonly run: <E>(name: string, loop: Effect.Effect<unknown, E>) => Effect.Effect<void, never, Scope.Scope>
    readonly ended: Effect.Effect<void, unknown>
  }
>()("kalshi-ingestor/runtime/Loops") {
  static readonly layer = Layer.effect(
    Loops,
    Effect.gen(function* () {
      const fibers = yield* FiberSet.make<unknown, unknown>()
      return Loops.of({
        run: (name, loop) =>
          loop.pipe(
            Effect.tapCause((cause) =>
              Cause.hasInterruptsOnly(cause) || isMistake(cause) ? Effect.void : Effect.logFatal("loop died", cause)
            ),
            Effect.andThen(Effect.fail(new LoopEnded({ loop: name }))),
            Effect.annotateLogs({ loop: name }),
            FiberSet.run(fibers),
            Effect.flatMap((fiber) => Effect.addFinalizer(() => Fiber.interrupt(fiber)))
          ),
        ended: FiberSet.join(fibers)
      })
    })
  )
}

/** A user's mistake is told once, in one line, by whoever runs the role. */
const isMistake = (cause: Cause.Cause<unknown>) => Cause.squash(cause) instanceof SettingError

/** Runs a role until one of its loops ends; fails with that loop's failure. */
export const runRole = <E, R>(role: Layer.Layer<never, E, R | Loops>) =>
  Loops.use((loops) => loops.ended).pipe(Effect.provide(role.pipe(Layer.provideMerge(Loops.layer))))
