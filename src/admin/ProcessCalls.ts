import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import { fromMillis } from "../market/Timestamp.ts"
import { Health, metricsText } from "../runtime/Health.ts"
import { Instance } from "../runtime/Instance.ts"
import { LogControl } from "../runtime/LogControl.ts"
import type { LoopContinuous, LoopState, LoopUnknown } from "../runtime/LoopGate.ts"
import { Loops } from "../runtime/Loops.ts"
import * as Setting from "../runtime/Setting.ts"
import { StopSignal } from "../runtime/StopSignal.ts"
import { version } from "../runtime/Version.ts"
import { Database } from "../store/Database.ts"
import { AdminError } from "./AdminError.ts"
import { instantOrNull } from "./Answer.ts"
import type * as Facts from "./Facts.ts"

/** Long enough for the answer to go out before the program stops. */
const stopAfter = "250 millis"

export const loopFact = ({ endedAt, nextAt, startedAt, ...rest }: LoopState): Facts.Loop => ({
  ...rest,
  startedAt: instantOrNull(startedAt),
  endedAt: instantOrNull(endedAt),
  nextAt: instantOrNull(nextAt)
})

const loopFault = (error: LoopUnknown | LoopContinuous) =>
  error._tag === "LoopUnknown"
    ? new AdminError({
        reason: "Unknown",
        problem: `there is no loop "${error.loop.slice(0, 60)}" here`,
        fix: `the loops are ${error.loops.join(", ")}`
      })
    : new AdminError({ reason: "Invalid", problem: error.message, fix: "name a loop that comes in passes" })

/** What a program tells of itself and lets be done to it. `settings`: those that it reads. */
export const make = Effect.fnUntraced(function* (
  service: string,
  settings: { readonly [key: string]: Setting.Setting<unknown> }
) {
  const loops = yield* Loops
  const health = yield* Health
  const log = yield* LogControl
  const database = yield* Database
  const instance = yield* Instance
  const stop = yield* StopSignal
  const scope = yield* Effect.scope

  const loopFacts = Effect.map(loops.states, (states) =>
    states.map(loopFact).sort((a, b) => a.loop.localeCompare(b.loop))
  )
  const healthFact = Effect.map(
    health.report,
    ({ ok, parts }): Facts.Health => ({
      ok,
      parts: Object.fromEntries(
        Object.entries(parts).map(([name, { ageSeconds, detail, ok }]) => [
          name,
          ageSeconds === undefined ? { ok, detail } : { ok, detail, ageSeconds }
        ])
      )
    })
  )
  /** Does something to a loop, and tells how it is then. */
  const onLoop = (name: string, effect: Effect.Effect<void, LoopUnknown | LoopContinuous>) =>
    effect.pipe(
      Effect.mapError(loopFault),
      Effect.andThen(loopFacts),
      Effect.flatMap((facts) => {
        const found = facts.find(({ loop }) => loop === name)
        return found === undefined ? Effect.die(`loop ${name} vanished`) : Effect.succeed(found)
      })
    )

  return {
    status: () =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        return {
          service,
          instance: instance.id,
          host: instance.host,
          pid: instance.pid,
          version,
          node: process.versions.node,
          startedAt: fromMillis(instance.startedMillis),
          uptimeSeconds: Math.max(0, Math.round((now - instance.startedMillis) / 1000)),
          memoryBytes: process.memoryUsage.rss(),
          database: database.address,
          logLevel: yield* log.level,
          health: yield* healthFact,
          loops: yield* loopFacts
        } satisfies Facts.Status
      }),
    config: () =>
      Setting.states(settings).pipe(
        Effect.mapError(
          ({ fix, problem, setting }) =>
            new AdminError({ reason: "Unavailable", problem: `${setting}: ${problem}`, fix })
        )
      ),
    health: () => healthFact,
    metrics: () => Effect.andThen(health.report, metricsText),
    loops: () => loopFacts,
    pauseLoop: ({ loop }: { readonly loop: string }) => onLoop(loop, loops.pause(loop)),
    resumeLoop: ({ loop }: { readonly loop: string }) => onLoop(loop, loops.resume(loop)),
    runLoop: ({ loop }: { readonly loop: string }) => onLoop(loop, loops.runNow(loop)),
    logLevel: () => log.level,
    setLogLevel: ({ level }: { readonly level: Parameters<LogControl["Service"]["setLevel"]>[0] }) =>
      log.setLevel(level),
    drain: () => Effect.asVoid(Effect.forkIn(Effect.delay(stop, stopAfter), scope)),
    tail: ({ level, loop }: { readonly level?: LogLevel.LogLevel; readonly loop?: string }) =>
      log.lines.pipe(
        Stream.filter(
          (line) =>
            (level === undefined || LogLevel.isGreaterThanOrEqualTo(line.level as LogLevel.LogLevel, level)) &&
            (loop === undefined || line.annotations["loop"] === loop || "lost" in line.annotations)
        )
      )
  }
})
