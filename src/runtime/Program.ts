import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as CliError from "effect/cli/CliError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type { RoleName } from "./Access.ts"
import * as Environment from "./Environment.ts"
import { ExitCode } from "./ExitCode.ts"
import * as Guardrails from "./Guardrails.ts"
import type { LogControl } from "./LogControl.ts"
import * as Logging from "./Logging.ts"
import { type Loops, runRole } from "./Loops.ts"
import { SettingError } from "./SettingError.ts"

/** After a stop signal a program has this long to drain, unless it says otherwise; then it exits anyway, with code 1. */
const usualDrain = "10 seconds"

const environment = ConfigProvider.layer(Environment.provider.pipe(Effect.provide(NodeFileSystem.layer)))

const settingErrors = (cause: Cause.Cause<unknown>): ReadonlyArray<SettingError> =>
  cause.reasons.flatMap((reason) =>
    Cause.isFailReason(reason) && reason.error instanceof SettingError
      ? [reason.error]
      : Cause.isDieReason(reason) && reason.defect instanceof SettingError
        ? [reason.defect]
        : []
  )

/** A wrong flag: `CommandLine.presenter` has said what is wrong. */
const saysItself = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.every((reason) => Cause.isFailReason(reason) && CliError.isCliError(reason.error))

const exitCodeOf = (cause: Cause.Cause<unknown>): number | undefined => {
  const error = Cause.squash(cause)
  return error instanceof ExitCode ? error.code : undefined
}

const report = <E>(cause: Cause.Cause<E>) => {
  const [mistake] = settingErrors(cause)
  if (mistake !== undefined) return Effect.sync(() => process.stderr.write(`${mistake.message}\n`))
  return Cause.hasInterruptsOnly(cause) || saysItself(cause) || exitCodeOf(cause) !== undefined
    ? Effect.void
    : Effect.logFatal("program ended", cause)
}

/**
 * Runs one program of `dist/`: environment and `.env`, logs, one line for a user's mistake (exit code 1), a cause in the log
 * for anything else (exit code 1), and exit code 0 after SIGTERM or SIGINT once everything has drained. A program that fails with
 * `ExitCode` ends with that code.
 */
export const runProgram = <A, E>(
  service: string,
  program: Effect.Effect<A, E, LogControl>,
  options: { readonly drain?: Duration.Input } = {}
): void => {
  const drainMillis = Duration.toMillis(options.drain ?? usualDrain)
  let stopping = false
  const onSignal = () => {
    if (stopping) return
    stopping = true
    // @effect-diagnostics-next-line globalTimers:off the last resort must work when no fiber does
    setTimeout(() => process.exit(1), drainMillis).unref()
  }
  // @effect-diagnostics-next-line processEnv:off set by the parent process, not by a user
  if (process.env["EXIT_WITH_STDIN"] === "1") {
    process.stdin
      .resume()
      .on("end", () => process.kill(process.pid, "SIGTERM"))
      .unref()
  }
  process.on("SIGTERM", onSignal)
  process.on("SIGINT", onSignal)
  program.pipe(
    Effect.tapCause(report),
    Effect.provide(
      Logging.layer(service).pipe(Layer.tapCause(report), Layer.provideMerge(environment.pipe(Layer.tapCause(report))))
    ),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      teardown: (exit, onExit) =>
        onExit(
          Exit.isSuccess(exit) || (stopping && Cause.hasInterruptsOnly(exit.cause)) ? 0 : (exitCodeOf(exit.cause) ?? 1)
        )
    })
  )
}

/** Runs a role, a layer of loops, as a program that is held to its role. */
export const runRoleProgram = <E>(
  service: RoleName,
  role: Layer.Layer<never, E, Loops | LogControl>,
  withheld?: Effect.Effect<Guardrails.Guard["withheld"], SettingError>
): void => runProgram(service, runRole(role.pipe(Layer.provide(Guardrails.layer(service, withheld)))))
