import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

class WrongOption extends Schema.TaggedError<WrongOption>()("WrongOption", {
  option: Schema.String,
  fix: Schema.String
}) {}

/** `--name value` or `--name=value`. */
export const textOption = (args: ReadonlyArray<string>, name: string): string | undefined => {
  const at = args.findIndex((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`))
  if (at < 0) return undefined
  return args[at]!.includes("=") ? args[at]!.slice(name.length + 3) : args[at + 1]
}

/** The option's number, from 0 on; a text that is none ends the program with a line that says so. */
export const numberOption = (
  args: ReadonlyArray<string>,
  name: string,
  usual: number
): Effect.Effect<number, WrongOption> => {
  const text = args.some((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`))
    ? (textOption(args, name) ?? "")
    : String(usual)
  const value = Number(text)
  return text.trim() !== "" && Number.isFinite(value) && value >= 0
    ? Effect.succeed(value)
    : Effect.fail(new WrongOption({ option: `--${name} ${text}`, fix: `a number from 0 on, e.g. --${name} ${usual}` }))
}

/** Runs a program to `true` or `false`, exit code 0 or 1. */
export const runMain = <E>(program: Effect.Effect<boolean, E>): void =>
  program.pipe(
    Effect.catchIf(
      (error): error is E & WrongOption => error instanceof WrongOption,
      ({ fix, option }) => Effect.as(Console.error(`${option}: ${fix}`), false)
    ),
    Effect.tap((ok) =>
      Effect.sync(() => {
        process.exitCode = ok ? 0 : 1
      })
    ),
    NodeRuntime.runMain
  )
