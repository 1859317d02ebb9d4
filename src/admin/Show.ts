import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Prompt from "effect/cli/Prompt"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ExitCode } from "../runtime/ExitCode.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { admin } from "./AdminFlags.ts"
import type * as Facts from "./Facts.ts"

/** Lines for people, or one line of JSON. */
export const show = Effect.fnUntraced(function* (value: unknown, lines: ReadonlyArray<string>) {
  const { json } = yield* admin
  if (json) return yield* Console.log(JSON.stringify(value))
  for (const line of lines) yield* Console.log(line)
})

/** Asks before something cannot be undone; ends the command when the answer is no. */
export const confirm = Effect.fnUntraced(function* (what: string) {
  const { yes } = yield* admin
  if (yes) return
  if (process.stdin.isTTY !== true)
    return yield* new SettingError({
      setting: "--yes",
      problem: `nobody can be asked whether to ${what}`,
      fix: "add --yes"
    })
  const isSure = yield* Prompt.run(Prompt.Confirm({ message: `${what}?`, initial: false })).pipe(
    Effect.catchTag("QuitError", () => Effect.succeed(false))
  )
  if (!isSure) {
    yield* Console.error("nothing was done")
    return yield* new ExitCode({ code: 1 })
  }
})

const width = 30
const everyMillis = 2_000

/** One line of a bar. */
export const bar = ({ done, note, total }: Facts.Progress): string => {
  if (total === null) return `… ${note}`
  const filled = total === 0 ? width : Math.floor((width * done) / total)
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${done}/${total}${note === "" ? "" : ` ${note}`}`
}

/** Draws a long call's progress on standard error: a bar on a terminal, else a line from time to time. Gives the last of it. */
export const progress = Effect.fnUntraced(function* <E, R>(stream: Stream.Stream<Facts.Progress, E, R>) {
  const isTerminal = process.stderr.isTTY === true
  const problems = new Set<string>()
  let last: Facts.Progress = { done: 0, total: null, note: "" }
  let shownAt = Number.NEGATIVE_INFINITY
  yield* Stream.runForEach(
    stream,
    Effect.fnUntraced(function* (step) {
      last = step
      if (step.note !== "") problems.add(step.note)
      const now = yield* Clock.currentTimeMillis
      if (isTerminal) yield* Effect.sync(() => process.stderr.write(`\r\u001b[K${bar(step)}`))
      else if (now - shownAt >= everyMillis) {
        shownAt = now
        yield* Console.error(bar(step))
      }
    })
  )
  if (isTerminal) yield* Effect.sync(() => process.stderr.write("\n"))
  return { ...last, notes: [...problems] }
})
