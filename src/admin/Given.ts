import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"

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
  Argument.variadic({ min: 1 })
)

/** An optional flag as the payload of a call has it: absent when it was not given. */
export const given = <const Name extends string, A>(name: Name, flag: Option.Option<A>) =>
  (Option.isSome(flag) ? { [name]: flag.value } : {}) as { readonly [K in Name]?: A }
