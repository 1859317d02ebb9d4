import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type RoleName, roleNames } from "../../src/runtime/Access.ts"
import { addressFor } from "../../src/store/DatabaseRoles.ts"

const root = path.resolve(import.meta.dirname, "../..")

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

type Environment = Readonly<Record<string, string>>

/** What any program needs of this machine. */
export const machine = (): Environment => ({
  // @effect-diagnostics-next-line processEnv:off passed on to a child process
  PATH: process.env["PATH"] ?? "",
  // @effect-diagnostics-next-line processEnv:off passed on to a child process
  HOME: process.env["HOME"] ?? ""
})

/** The role that a program logs in as; those that are not named are the owner's. */
const roleOf: Readonly<Record<string, RoleName>> = {
  rest: "rest",
  ws: "ws",
  worker: "worker",
  predictor: "predictor",
  portal: "portal",
  reprocess: "ws",
  coverage: "admin",
  admin: "admin",
  archive: "admin",
  export: "reader",
  replay: "reader"
}

const settingOf = (role: RoleName) => `DATABASE_URL_${role.toUpperCase()}`

/** A program is given the login of its role, where the environment has logins, and nobody else's. */
export const asItself = (program: string, env: Environment): Environment => {
  const role = roleOf[program]
  const own = role === undefined ? undefined : env[settingOf(role)]
  return program === "migrator" || own === undefined
    ? env
    : {
        ...Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("DATABASE_URL_"))),
        DATABASE_URL: own
      }
}

/** The owner's address of a migrated database, and a login for each role in it that `migrator roles` has made; for `asItself`. */
export const logins = Effect.fnUntraced(function* (url: Redacted.Redacted<string>, env: Environment = {}) {
  const tag = randomBytes(4).toString("hex")
  const addresses = Object.fromEntries(
    roleNames.map((role) => [
      settingOf(role),
      Redacted.value(
        addressFor(url, { user: `login_${tag}_${role}`, password: Redacted.make(randomBytes(9).toString("hex")) })
      )
    ])
  )
  const all = { DATABASE_URL: Redacted.value(url), ...addresses }
  const { code, stderr } = yield* run("migrator", { ...env, ...all }, ["roles"])
  return code === 0 ? all : yield* Effect.die(new Error(`the migrator ended with ${code}\n${stderr}`))
})

const start = (
  program: string,
  args: ReadonlyArray<string>,
  env: Environment,
  nodeArgs: ReadonlyArray<string> = []
): ChildProcess =>
  spawn(process.execPath, [...nodeArgs, path.join(root, "dist", `${program}.js`), ...args], {
    cwd: root,
    // Only what a program needs from this machine: no setting of the developer leaks in.
    env: { ...machine(), ENV_FILE: "/dev/null", ...asItself(program, env) },
    stdio: ["ignore", "pipe", "pipe"]
  })

/** A folder of one's own that PostgreSQL's account may enter, too; gone when the scope closes. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const made = fs.mkdtempSync(path.join(os.tmpdir(), "kalshi-ingestor-"))
    fs.chmodSync(made, 0o755)
    return made
  }),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
)

/** Runs a program of `dist/` to its end. */
export const run = (program: string, env: Environment, args: ReadonlyArray<string> = []): Effect.Effect<Ended> =>
  Effect.callback<Ended>((resume) => {
    const child = start(program, args, env)
    let stdout = ""
    let stderr = ""
    child.stdout?.on("data", (chunk) => {
      stdout += chunk
    })
    child.stderr?.on("data", (chunk) => {
      stderr += chunk
    })
    child.on("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

export interface Running {
  readonly pid: number
  readonly firstLine: Effect.Effect<string>
  readonly stdout: () => string
  readonly stderr: () => string
  /** Its exit code, once it has ended. */
  readonly ended: Effect.Effect<number | null>
  /** Sends the signal and waits for the end. */
  readonly end: (signal: NodeJS.Signals) => Effect.Effect<number | null>
}

/** Starts a program of `dist/`; killed when the scope closes, if it still runs. */
export const running = (
  program: string,
  env: Environment,
  args: ReadonlyArray<string> = [],
  nodeArgs: ReadonlyArray<string> = []
) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = start(program, args, env, nodeArgs)
      let stdout = ""
      let stderr = ""
      child.stderr?.on("data", (chunk) => {
        stderr += chunk
      })
      const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
      const line = new Promise<string>((resolve) =>
        child.stdout?.on("data", (chunk) => {
          stdout += chunk
          if (stdout.includes("\n")) resolve(stdout.slice(0, stdout.indexOf("\n")))
        })
      )
      const handle: Running = {
        pid: child.pid ?? 0,
        firstLine: Effect.promise(() => line),
        stdout: () => stdout,
        stderr: () => stderr,
        ended: Effect.promise(() => ended),
        end: (signal) =>
          Effect.suspend(() => {
            child.kill(signal)
            return Effect.promise(() => ended)
          })
      }
      return { child, handle }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  ).pipe(Effect.map(({ handle }) => handle))
