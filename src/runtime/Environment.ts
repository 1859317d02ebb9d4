import { existsSync, readFileSync } from "node:fs"
import { parseEnv } from "node:util"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import { access, type RoleName, secretKind } from "./Access.ts"
import { SettingError } from "./SettingError.ts"

// @effect-diagnostics-next-line processEnv:off names the file that the ConfigProvider itself is made of
const given = process.env["ENV_FILE"] || undefined
/** The file of NAME=value lines: `.env` when it is there, or the one that ENV_FILE names. */
const file = given ?? ".env"

const unreadable = () =>
  new SettingError({
    setting: "ENV_FILE",
    problem: `${file} cannot be read`,
    fix: "name a readable file of NAME=value lines, or unset it"
  })

/** Variables of the process first, then those of the file. */
export const provider = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const fromProcess = ConfigProvider.fromEnv()
  if (given === undefined && !(yield* fs.exists(file))) return fromProcess
  return ConfigProvider.orElse(fromProcess, yield* ConfigProvider.fromDotEnv({ path: file }))
}).pipe(Effect.mapError(unreadable))

const ofFile = (): Readonly<Record<string, string | undefined>> =>
  given === undefined && !existsSync(file)
    ? {}
    : Result.getOrElse(
        Result.try(() => parseEnv(readFileSync(file, "utf8"))),
        () => ({})
      )

const present = (all: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined || value === "" ? [] : [[name, value]]))
  )

/** Every variable that is set and not empty, of the process and of the file. */
export const variables: Effect.Effect<Readonly<Record<string, string>>> = Effect.sync(() =>
  present({ ...ofFile(), ...process.env })
)

/** Whether a program of this role has a use for the variable; only secrets can be others'. */
export const isForeign = (role: RoleName | "none", variable: string): boolean => {
  const kind = secretKind(variable)
  return kind !== undefined && (role === "none" || !access[role].secrets.includes(kind))
}

/**
 * The whole environment of a child process: that of this one, and then `more`, without the secrets of other roles. `none`: of no role.
 * It reads no file: what ours holds is in it where that is wanted.
 */
export const ofChild = (
  role: RoleName | "none",
  more: Readonly<Record<string, string>>,
  withFile: boolean
): Effect.Effect<Readonly<Record<string, string>>> =>
  Effect.sync(() => {
    const all = { ...present(withFile ? { ...ofFile(), ...process.env } : process.env), ...more }
    return {
      ...Object.fromEntries(Object.entries(all).filter(([name]) => !isForeign(role, name))),
      ENV_FILE: "/dev/null"
    }
  })
