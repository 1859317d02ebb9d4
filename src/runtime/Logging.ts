import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { LogControl, levels } from "./LogControl.ts"
import * as Setting from "./Setting.ts"

export const settings = {
  level: Setting.oneOf("LOG_LEVEL", "least severe level that is logged", levels, "Info"),
  format: Setting.oneOf(
    "LOG_FORMAT",
    "json for machines, pretty for people, auto for pretty on a terminal",
    ["auto", "json", "pretty"],
    "auto"
  )
}

/** Logs of one program on standard error, each line tagged with the program's name; with the control of them. */
export const layer = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { level, format } = yield* Setting.read(settings)
      const pretty = format === "pretty" || (format === "auto" && process.stderr.isTTY === true)
      return Layer.mergeAll(LogControl.layer(level), Layer.succeed(References.CurrentLogAnnotations, { service })).pipe(
        Layer.provideMerge(
          pretty
            ? Layer.merge(Logger.layer([Logger.consolePretty()]), Layer.succeed(Logger.LogToStderr, true))
            : Logger.layer([Logger.withConsoleError(Logger.formatJson)])
        )
      )
    })
  )
