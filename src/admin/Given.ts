import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ExitCode } from "../runtime/ExitCode.ts"

export const limit = Flag.Int("limit").pipe(
  Flag.withDescription("how many at most"),
  Flag.filter(
    (count) => count >= 1 && count <= 10_000,
    () => "--limit is 1 to 10000"
  ),
  Flag.withDefault(50)
)

export const ids = Argument.String("id").pipe(
  Argument.filter(
    (text) => /^\d{1,18}$/.test(text),
    (text) => `"${text.slice(0, 40)}" is not an id: a number, as list shows it`
  ),
  Argument.variadic({ min: 1 }),
  Argument.map((all) => [...new Set(all)])
)

/** Not all that was named was there, or could be done: exit code 2. */
export const all = (done: number, named: ReadonlyArray<string>) =>
  done < named.length ? Effect.fail(new ExitCode({ code: 2 })) : Effect.void

/** An optional flag as the payload of a call has it: absent when it was not given. */
export const given = <const Name extends string, A>(name: Name, flag: Option.Option<A>) =>
  (Option.isSome(flag) ? { [name]: flag.value } : {}) as { readonly [K in Name]?: A }
