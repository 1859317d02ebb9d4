import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as PubSub from "effect/PubSub"
import * as References from "effect/References"
import * as Stream from "effect/Stream"

/** From the least severe to the most; `None` silences everything. */
export const levels = ["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"] as const
export type Level = (typeof levels)[number]

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
   * Stands before the loggers of its own context: what is not severe enough reaches none of them. A fiber's own `MinimumLogLevel`
   * (the flag --log-level sets one) counts instead until `setLevel` is called.
   */
  static readonly layer = (initial: Level) =>
    Layer.effectContext(
      Effect.gen(function* () {
        const loggers = [...(yield* Logger.CurrentLoggers)]
        const published = yield* PubSub.sliding<Numbered>(capacity)
        let level: Level = initial
        let isChosen = false
        let readers = 0
        let number = 0

        const gate = Logger.make<unknown, void>((options) => {
          const own = options.fiber.getRef(References.MinimumLogLevel)
          const least = isChosen || own === "All" ? level : own
          if (LogLevel.isGreaterThan(least, options.logLevel)) return
          for (const logger of loggers) logger.log(options)
          if (readers > 0) PubSub.publishUnsafe(published, { number: ++number, line: lineOf(options) })
        })

        const lines = Stream.unwrap(
          Effect.gen(function* () {
            const subscription = yield* PubSub.subscribe(published)
            yield* Effect.acquireRelease(
              Effect.sync(() => {
                readers++
              }),
              () =>
                Effect.sync(() => {
                  readers--
                })
            )
            return Stream.fromSubscription(subscription).pipe(
              Stream.mapAccum(
                () => number,
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

const text = (value: unknown): string => (typeof value === "string" ? value : Formatter.formatJson(value))

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
