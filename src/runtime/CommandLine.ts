import * as Console from "effect/Console"
import * as CliOutput from "effect/cli/CliOutput"

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
