import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Stops this program as SIGTERM does: it drains and exits with 0. */
export const StopSignal = Context.Reference<Effect.Effect<void>>("kalshi-ingestor/runtime/StopSignal", {
  defaultValue: () => Effect.sync(() => process.kill(process.pid, "SIGTERM"))
})
