import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { LogControl, levels } from "./LogControl.ts"
import * as LogFile from "./LogFile.ts"
import * as Setting from "./Setting.ts"
import { SettingError } from "./SettingError.ts"
import * as Telemetry from "./Telemetry.ts"

const partLevel = (name: string, what: string) =>
  Setting.oneOfOption(name, `least severe level that is logged of ${what}; LOG_LEVEL when unset`, levels)

export const settings = {
  level: Setting.oneOf("LOG_LEVEL", "least severe level that is logged", levels, "Info"),
  httpLevel: partLevel("LOG_HTTP_LEVEL", "calls of the exchange's REST API (Debug: each call)"),
  wsLevel: partLevel("LOG_WS_LEVEL", "the exchange's live feed (Debug: each command)"),
  format: Setting.oneOf(
    "LOG_FORMAT",
    "json for machines, pretty for people, auto for pretty on a terminal",
    ["auto", "json", "pretty"],
    "auto"
  ),
  console: Setting.boolean(
    "LOG_STDOUT",
    "0 logs to the file or the collector only; otherwise to standard error too (standard output is for results)",
    true
  ),
  directory: Setting.text("LOG_DIR", "folder of a log file of JSON lines; no file when this and LOG_FILE are unset"),
  file: Setting.text(
    "LOG_FILE",
    "name of the log file, in LOG_DIR if that is set; by default the program's, like ws.log"
  ),
  fileMegabytes: Setting.number(
    "LOG_FILE_MAX_MB",
    "a log file of this size is put aside and another begun, as on each new day (UTC)",
    50,
    { min: 0.001, max: 100_000 }
  ),
  fileKeep: Setting.int("LOG_FILE_KEEP", "log files that were put aside and are kept", 10, { min: 0, max: 100_000 })
}

/**
 * Logs of one program on standard error, in a file and at a collector, where those are wanted, each line tagged with the program's
 * name; with the control of them.
 */
export const layer = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const read = yield* Setting.read(settings)
      const { endpoint } = yield* Setting.read({ endpoint: Telemetry.settings.endpoint })
      const toFile = read.directory !== undefined || read.file !== undefined
      if (!(read.console || toFile || endpoint !== undefined))
        return yield* new SettingError({
          setting: "LOG_STDOUT",
          problem: "there would be no log at all",
          fix: "set LOG_DIR or LOG_FILE, or LOG_STDOUT=1"
        })
      const pretty = read.format === "pretty" || (read.format === "auto" && process.stderr.isTTY === true)
      const toConsole = pretty ? Logger.consolePretty() : Logger.withConsoleError(Logger.formatJson)
      const file = LogFile.make({
        file: path.resolve(read.directory ?? ".", read.file ?? `${service}.log`),
        setting: read.directory === undefined ? "LOG_FILE" : "LOG_DIR",
        maxBytes: read.fileMegabytes * 1_000_000,
        keep: read.fileKeep
      })
      const parts = {
        ...(read.httpLevel === undefined ? {} : { http: read.httpLevel }),
        ...(read.wsLevel === undefined ? {} : { ws: read.wsLevel })
      }
      return Layer.mergeAll(
        LogControl.layer(read.level, parts),
        Layer.succeed(References.CurrentLogAnnotations, { service }),
        Layer.succeed(Logger.LogToStderr, true)
      ).pipe(
        Layer.provideMerge(Telemetry.layer(service)),
        Layer.provideMerge(Logger.layer([...(read.console ? [toConsole] : []), ...(toFile ? [file] : [])]))
      )
    })
  )
