import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { SettingError } from "./SettingError.ts"

type Parsed<A> = Result.Result<A, { readonly problem: string; readonly fix: string }>

/** One environment variable: its name, meaning, default (as one would type it) and parser. An empty value is unset. */
export interface Setting<A> {
  readonly name: string
  readonly aliases: ReadonlyArray<string>
  readonly doc: string
  readonly shown: string
  readonly secret: boolean
  readonly whenUnset: Result.Result<A, { readonly problem: string; readonly fix: string }>
  readonly parse: (text: string) => Parsed<A>
}

type Settings = { readonly [key: string]: Setting<unknown> }
export type Values<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer A> ? A : never }

interface Options {
  readonly aliases?: ReadonlyArray<string>
  readonly secret?: boolean
}

const make = <A>(
  name: string,
  doc: string,
  fallback: string,
  parse: (text: string) => Parsed<A>,
  options: Options = {}
) => ({
  name,
  aliases: options.aliases ?? [],
  doc,
  shown: fallback,
  secret: options.secret ?? false,
  whenUnset: parse(fallback),
  parse
})

const wrong = (problem: string, fix: string) => Result.fail({ problem, fix })
const quoted = (text: string) => `"${text.length > 40 ? `${text.slice(0, 40)}…` : text}"`

/** A whole number within bounds. */
export const int = (
  name: string,
  doc: string,
  fallback: number,
  bounds: { readonly min: number; readonly max: number },
  options?: Options
): Setting<number> =>
  make(
    name,
    doc,
    String(fallback),
    (text) => {
      const value = Number(text)
      return /^-?\d+$/.test(text) && value >= bounds.min && value <= bounds.max
        ? Result.succeed(value)
        : wrong(
            `${quoted(text)} is not a whole number from ${bounds.min} to ${bounds.max}`,
            `set it like ${name}=${fallback}`
          )
    },
    options
  )

/** A number of seconds (or any positive measure) within bounds; fractions allowed. */
export const number = (
  name: string,
  doc: string,
  fallback: number,
  bounds: { readonly min: number; readonly max: number },
  options?: Options
): Setting<number> =>
  make(
    name,
    doc,
    String(fallback),
    (text) => {
      const value = Number(text)
      return /^-?\d+(\.\d+)?$/.test(text) && value >= bounds.min && value <= bounds.max
        ? Result.succeed(value)
        : wrong(
            `${quoted(text)} is not a number from ${bounds.min} to ${bounds.max}`,
            `set it like ${name}=${fallback}`
          )
    },
    options
  )

/** A number within bounds; `undefined` when unset. */
export const numberOption = (
  name: string,
  doc: string,
  example: number,
  bounds: { readonly min: number; readonly max: number },
  options?: Options
): Setting<number | undefined> => unsetable({ ...number(name, doc, example, bounds, options), shown: "" })

/** A whole number within bounds; `undefined` when unset. */
export const intOption = (
  name: string,
  doc: string,
  example: number,
  bounds: { readonly min: number; readonly max: number }
): Setting<number | undefined> => unsetable({ ...int(name, doc, example, bounds), shown: "" })

/** `1`, `true`, `yes`, `on` or `0`, `false`, `no`, `off`. */
export const boolean = (name: string, doc: string, fallback: boolean, options?: Options): Setting<boolean> =>
  make(
    name,
    doc,
    fallback ? "1" : "0",
    (text) => {
      const word = text.toLowerCase()
      if (["1", "true", "yes", "on"].includes(word)) return Result.succeed(true)
      if (["0", "false", "no", "off"].includes(word)) return Result.succeed(false)
      return wrong(`${quoted(text)} is neither yes nor no`, `set ${name}=1 or ${name}=0`)
    },
    options
  )

/** One of the given words, in any case. */
export const oneOf = <const A extends string>(
  name: string,
  doc: string,
  words: ReadonlyArray<A>,
  fallback: NoInfer<A>,
  options?: Options
): Setting<A> =>
  make(
    name,
    doc,
    fallback,
    (text) => {
      const word = words.find((candidate) => candidate.toLowerCase() === text.toLowerCase())
      return word === undefined
        ? wrong(`${quoted(text)} is not one of ${words.join(", ")}`, `set it like ${name}=${fallback}`)
        : Result.succeed(word)
    },
    options
  )

/** One of the given words, in any case; `undefined` when unset. */
export const oneOfOption = <const A extends string>(
  name: string,
  doc: string,
  words: ReadonlyArray<A>
): Setting<A | undefined> => unsetable({ ...oneOf(name, doc, words, words[0]!), shown: "" })

/** Words separated by commas; each must be among `words` when given. */
export const list = (
  name: string,
  doc: string,
  fallback: ReadonlyArray<string>,
  words?: ReadonlyArray<string>,
  options?: Options
): Setting<ReadonlyArray<string>> =>
  make(
    name,
    doc,
    fallback.join(","),
    (text) => {
      const items = text
        .split(",")
        .map((item) => item.trim())
        .filter((item) => item !== "")
      const stranger = words === undefined ? undefined : items.find((item) => !words.includes(item))
      if (stranger !== undefined)
        return wrong(
          `${quoted(stranger)} is not one of ${words!.join(", ")}`,
          `set it like ${name}=${fallback.join(",")}`
        )
      return items.length === 0
        ? wrong("the list is empty", `set it like ${name}=${fallback.join(",")}`)
        : Result.succeed(items)
    },
    options
  )

const port = (name: string, text: string, example: number): Parsed<number> =>
  /^\d{1,5}$/.test(text) && Number(text) <= 65535
    ? Result.succeed(Number(text))
    : wrong(`${quoted(text)} is not a port number (0 to 65535)`, `set it like ${name}=${example}`)

/** Words separated by commas; `undefined` when unset. */
export const listOption = (
  name: string,
  doc: string,
  example: ReadonlyArray<string>
): Setting<ReadonlyArray<string> | undefined> => unsetable({ ...list(name, doc, example), shown: "" })

/** A TCP port with a default. */
export const portNumber = (name: string, doc: string, fallback: number, options?: Options): Setting<number> =>
  make(name, doc, String(fallback), (text) => port(name, text, fallback), options)

/** A TCP port, nothing listens when unset. */
export const portOption = (
  name: string,
  doc: string,
  example: number,
  options?: Options
): Setting<number | undefined> =>
  unsetable(make<number | undefined>(name, doc, "", (text) => port(name, text, example), options))

/** An absolute URL with one of the given schemes. */
export const url = (
  name: string,
  doc: string,
  fallback: string,
  schemes: ReadonlyArray<string>,
  options?: Options
): Setting<string> => make(name, doc, fallback, (text) => parseUrl(name, text, schemes, fallback), options)

/** Such a URL; `undefined` when unset. */
export const urlOption = (
  name: string,
  doc: string,
  example: string,
  schemes: ReadonlyArray<string>
): Setting<string | undefined> =>
  unsetable(make<string | undefined>(name, doc, "", (text) => parseUrl(name, text, schemes, example)))

const parseUrl = (name: string, text: string, schemes: ReadonlyArray<string>, example: string): Parsed<string> => {
  const parsed = URL.canParse(text) ? new URL(text) : undefined
  return parsed !== undefined && schemes.includes(parsed.protocol.slice(0, -1)) && parsed.hostname !== ""
    ? Result.succeed(text.replace(/\/+$/, ""))
    : wrong(`it is not a ${schemes.join(":// or ")}:// address`, `set it like ${name}=${example}`)
}

const unsetable = <A>(setting: Setting<A | undefined>): Setting<A | undefined> => ({
  ...setting,
  whenUnset: Result.succeed(undefined)
})

/** Any text; `undefined` when unset. */
export const text = (name: string, doc: string, options?: Options): Setting<string | undefined> =>
  unsetable(make<string | undefined>(name, doc, "", (value) => Result.succeed(value), options))

/** Any text, with a default. */
export const textOr = (name: string, doc: string, fallback: string, options?: Options): Setting<string> =>
  make(name, doc, fallback, (value) => Result.succeed(value), options)

/** A secret: never printed; `undefined` when unset. */
export const secret = (name: string, doc: string): Setting<Redacted.Redacted<string> | undefined> =>
  unsetable(
    make<Redacted.Redacted<string> | undefined>(name, doc, "", (value) => Result.succeed(Redacted.make(value)), {
      secret: true
    })
  )

const parsePairs = (text: string): Parsed<Readonly<Record<string, string>>> =>
  Result.map(
    Result.all(
      text
        .split(",")
        .filter((pair) => pair.trim() !== "")
        .map((pair) => {
          const at = pair.indexOf("=")
          return at < 1
            ? Result.fail("an entry is not name=value")
            : Result.try({
                try: () => [pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())] as const,
                catch: () => "a value holds a % that starts no percent-encoding"
              })
        })
    ),
    (pairs) => Object.fromEntries(pairs)
  ).pipe(Result.mapError((problem) => ({ problem, fix: "set it like name=value,name=value" })))

/** `name=value` pairs separated by commas, values percent-encoded; none when unset. */
export const pairs = (name: string, doc: string): Setting<Readonly<Record<string, string>>> =>
  make(name, doc, "", parsePairs)

/** Such pairs that are a secret. */
export const secretPairs = (name: string, doc: string): Setting<Redacted.Redacted<Readonly<Record<string, string>>>> =>
  make(name, doc, "", (text) => Result.map(parsePairs(text), (found) => Redacted.make(found)), { secret: true })

/** The same setting, but it must be set. */
export const required = <A>(setting: Setting<A | undefined>, fix: string): Setting<A> => ({
  ...setting,
  whenUnset: Result.fail({ problem: "is not set", fix }),
  parse: (value) => setting.parse(value) as Parsed<A>
})

const lookup = Effect.fnUntraced(function* (name: string) {
  const value = yield* Config.option(Config.String(name)).pipe(
    Effect.mapError(
      () => new SettingError({ setting: name, problem: "cannot be read", fix: "set it as an environment variable" })
    )
  )
  return Option.filter(
    Option.map(value, (found) => found.trim()),
    (found) => found !== ""
  )
})

const readOne = Effect.fnUntraced(function* <A>(setting: Setting<A>) {
  for (const name of [setting.name, ...setting.aliases]) {
    const value = yield* lookup(name)
    if (Option.isNone(value)) continue
    const parsed = setting.parse(value.value)
    return yield* Result.isSuccess(parsed)
      ? Effect.succeed(parsed.success)
      : Effect.fail(new SettingError({ setting: name, ...parsed.failure }))
  }
  return yield* Result.isSuccess(setting.whenUnset)
    ? Effect.succeed(setting.whenUnset.success)
    : Effect.fail(new SettingError({ setting: setting.name, ...setting.whenUnset.failure }))
})

/** Reads every setting of a group from the environment; fails with the first mistake. */
export const read = <const S extends Settings>(settings: S): Effect.Effect<Values<S>, SettingError> =>
  Effect.map(
    Effect.forEach(Object.entries(settings), ([key, setting]) =>
      Effect.map(readOne(setting), (value) => [key, value] as const)
    ),
    (entries) => Object.fromEntries(entries) as Values<S>
  )

/** A setting as it is in force. */
export interface SettingState {
  readonly name: string
  /** As one would type it; `(hidden)` for a secret that is set. */
  readonly value: string
  readonly isSet: boolean
  readonly doc: string
}

const hidden = "(hidden)"

/** What each setting of a group is, for people: no secret is told. */
export const states = (settings: Settings): Effect.Effect<ReadonlyArray<SettingState>, SettingError> =>
  Effect.forEach(
    Object.values(settings),
    Effect.fnUntraced(function* ({ aliases, doc, name, secret, shown }) {
      for (const one of [name, ...aliases]) {
        const value = yield* lookup(one)
        if (Option.isSome(value)) return { name, value: secret ? hidden : value.value, isSet: true, doc }
      }
      return { name, value: shown, isSet: false, doc }
    })
  )

/** Reads settings before anything else is built, so that a mistake in any of them is told at once. */
export const layerChecked = (settings: Settings): Layer.Layer<never, SettingError> =>
  Layer.effectDiscard(read(settings))
