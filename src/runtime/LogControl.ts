import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Formatter from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Queue from "effect/Queue"
import * as References from "effect/References"
import * as Stream from "effect/Stream"

/** From the least severe to the most; `None` silences everything. */
export const levels = ["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"] as const
export type Level = (typeof levels)[number]

/** What may have a level of its own: lines annotated `part`. http: calls of the exchange's REST API; ws: its live feed. */
export type LogPart = "http" | "ws"

/** One line of the log. A secret in it is `<redacted>`. */
export interface LogLine {
  /** RFC 3339 */
  readonly at: string
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, string>>
  /** Failure and stack as text. */
  readonly cause?: string
}

/** What one reader of `lines` may fall behind by. */
const capacity = 1024

interface Numbered {
  readonly number: number
  readonly line: LogLine
}

/** What this process logs, and how much of it. */
export class LogControl extends Context.Service<
  LogControl,
  {
    readonly level: Effect.Effect<Level>
    /** From now on, for every fiber of the process and every place its log goes to. */
    setLevel(level: Level): Effect.Effect<void>
    /**
     * The lines from now on, as severe as `level` or more. A reader that falls 1024 lines behind loses the oldest, and finds a line in
     * their place whose annotation `lost` says how many.
     */
    readonly lines: Stream.Stream<LogLine>
  }
>()("kalshi-ingestor/runtime/LogControl") {
  /**
   * Stands before the loggers of its own context: what is not severe enough reaches none of them. Until `setLevel` is called, a
   * fiber's own `MinimumLogLevel` (the flag --log-level sets one) counts instead, and so do the levels of `parts`.
   */
  static readonly layer = (initial: Level, parts: Partial<Record<LogPart, Level>> = {}) =>
    Layer.effectContext(
      Effect.gen(function* () {
        const loggers = [...(yield* Logger.CurrentLoggers)]
        const readers = new Set<Queue.Queue<Numbered>>()
        let level: Level = initial
        let isChosen = false
        let number = 0

        const initialOf = (fiber: Fiber.Fiber<unknown, unknown>): Level => {
          const own = fiber.getRef(References.MinimumLogLevel)
          if (own !== "All") return own
          const part = fiber.getRef(References.CurrentLogAnnotations)["part"]
          return (part === "http" || part === "ws" ? parts[part] : undefined) ?? level
        }

        const gate = Logger.make<unknown, void>((options) => {
          const least = isChosen ? level : initialOf(options.fiber)
          if (LogLevel.isGreaterThan(least, options.logLevel)) return
          for (const logger of loggers) logger.log(options)
          if (readers.size === 0) return
          const numbered = { number: ++number, line: lineOf(options) }
          for (const reader of readers) Queue.offerUnsafe(reader, numbered)
        })

        const lines = Stream.unwrap(
          Effect.gen(function* () {
            const reader = yield* Effect.acquireRelease(
              Effect.tap(Queue.sliding<Numbered>(capacity), (queue) => Effect.sync(() => readers.add(queue))),
              (queue) => Effect.sync(() => readers.delete(queue))
            )
            const before = number
            return Stream.fromQueue(reader).pipe(
              Stream.mapAccum(
                () => before,
                (last, { line, number: current }) => {
                  const lost = current - last - 1
                  return [current, lost > 0 ? [lossOf(lost, line.at), line] : [line]] as const
                }
              )
            )
          })
        )

        return Context.make(
          LogControl,
          LogControl.of({
            level: Effect.sync(() => level),
            setLevel: (wanted) =>
              Effect.sync(() => {
                level = wanted
                isChosen = true
              }),
            lines
          })
        ).pipe(
          Context.add(Logger.CurrentLoggers, new Set([gate])),
          Context.add(References.MinimumLogLevel, "All" as const)
        )
      })
    )
}

const text = (value: unknown): string => (typeof value === "string" ? value : String(Formatter.formatJson(value)))

const lineOf = (options: Logger.Options<unknown>): LogLine => {
  const { annotations, cause, message, timestamp } = Logger.formatStructured.log(options)
  return {
    at: timestamp,
    level: options.logLevel,
    message: Arr.ensure(message).map(text).join(" "),
    annotations: Object.fromEntries(Object.entries(annotations).map(([key, value]) => [key, text(value)])),
    ...(cause === undefined ? {} : { cause })
  }
}

const lossOf = (lost: number, at: string): LogLine => ({
  at,
  level: "Warn",
  message: `${lost} lines are left out here: the reader is slower than the log`,
  annotations: { lost: String(lost) }
})
