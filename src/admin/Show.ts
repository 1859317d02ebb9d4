import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Prompt from "effect/cli/Prompt"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ExitCode } from "../runtime/ExitCode.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { admin } from "./AdminFlags.ts"
import type * as Facts from "./Facts.ts"
import { plain } from "./Table.ts"

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
const isTerminal = () => process.stderr.isTTY === true

/** One line of a bar. */
export const bar = ({ done, note, total }: Facts.Progress): string => {
  if (total === null) return note === "" ? `… ${done}` : `… ${done} ${note}`
  const filled = total === 0 ? width : Math.min(width, Math.floor((width * done) / total))
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${done}/${total}${note === "" ? "" : ` ${note}`}`
}

/**
 * Draws how far a long work is on standard error: a bar on a terminal, else a line from time to time. `end` comes after the last of it.
 */
export const drawing = Effect.fnUntraced(function* () {
  let shownAt = Number.NEGATIVE_INFINITY
  return {
    step: Effect.fnUntraced(function* (step: Facts.Progress) {
      const now = yield* Clock.currentTimeMillis
      const line = plain(bar(step))
      if (isTerminal()) yield* Effect.sync(() => process.stderr.write(`\r\u001b[K${line}`))
      else if (now - shownAt >= everyMillis) {
        shownAt = now
        yield* Console.error(line)
      }
    }),
    end: Effect.sync(() => {
      if (isTerminal()) process.stderr.write("\n")
    })
  }
})

/** Draws a long call's progress. Gives the last of it, and what was noted on the way. */
export const progress = Effect.fnUntraced(function* <E, R>(stream: Stream.Stream<Facts.Progress, E, R>) {
  const { end, step } = yield* drawing()
  const notes = new Set<string>()
  let last: Facts.Progress = { done: 0, total: null, note: "" }
  yield* Stream.runForEach(stream, (next) => {
    last = next
    if (next.note !== "") notes.add(next.note)
    return step(next)
  }).pipe(Effect.ensuring(end))
  return { ...last, notes: [...notes] }
})
