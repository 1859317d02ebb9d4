import * as Console from "effect/Console"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import { ExitCode } from "./ExitCode.ts"

/** A wrong flag is one line on standard error that says what is wrong. */
export const presenter = (program: string) =>
  CliOutput.layerPresenter({
    present: (event) =>
      event._tag === "InvalidInvocation"
        ? Console.error(
            `${program}: ${event.errors.map((error) => error.message.replace(/\s*\n\s*/g, " ")).join("; ")} (--help lists the flags)`
          )
        : CliOutput.defaultPresenter.present(event)
  })

/** A mistake in the flags ends the program with code 1; it was told already. */
export const refusedFlags = <A, E, R>(run: Effect.Effect<A, E, R>) =>
  Effect.catchIf(
    run,
    (error: E) => CliError.isCliError(error),
    () => Effect.fail(new ExitCode({ code: 1 }))
  )
