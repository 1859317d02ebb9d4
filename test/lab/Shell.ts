import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { machine } from "../support/Programs.ts"

export class LabFailed extends Schema.TaggedError<LabFailed>()("LabFailed", {
  step: Schema.String,
  said: Schema.String
}) {
  override get message(): string {
    return `${this.step}: ${this.said}`
  }
}

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

interface Where {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** This user instead of root. */
  readonly user?: string
  /** What this starts is not put behind everything else on the machine. */
  readonly prompt?: boolean
}

const start = (script: string, { cwd = "/", env = {}, prompt, user }: Where) => {
  const command =
    user === undefined ? ["bash"] : ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--init-groups", "bash"]
  return spawn("nice", [...(prompt === true ? ["-n", "0"] : []), ...command, "-c", script], {
    cwd,
    env: { ...machine(), ...env },
    stdio: ["ignore", "pipe", "pipe"]
  })
}

/** Runs a script of bash to its end; what it says is on standard error, too. */
export const run = (script: string, where: Where = {}): Effect.Effect<Ran> =>
  Effect.callback((resume) => {
    const child = start(script, where)
    let out = ""
    let err = ""
    child.stdout.on("data", (chunk) => {
      out += chunk
    })
    child.stderr.on("data", (chunk) => {
      err += chunk
    })
    child.once("close", (code) => resume(Effect.succeed({ code: code ?? -1, out, err })))
    return Effect.sync(() => child.kill("SIGTERM"))
  })

/** The same, and it must succeed. */
export const must = (step: string, script: string, where: Where = {}) =>
  run(script, where).pipe(
    Effect.flatMap((ran) =>
      ran.code === 0
        ? Effect.succeed(ran)
        : Effect.fail(
            new LabFailed({
              step,
              said: `exit code ${ran.code}\n${`${ran.out}\n${ran.err}`.trim().split("\n").slice(-25).join("\n")}`
            })
          )
    )
  )

/** Runs until the scope closes: then SIGTERM, and its end is waited for. */
export const keep = (script: string, where: Where, log: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = start(`exec ${script}`, where)
      fs.writeFileSync(log, "")
      const file = fs.createWriteStream(log, { flags: "a" })
      child.stdout.pipe(file)
      child.stderr.pipe(file)
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
      return { child, ended }
    }),
    ({ child, ended }) =>
      Effect.sync(() => child.kill("SIGTERM")).pipe(
        Effect.andThen(Effect.promise(() => ended)),
        Effect.timeoutOption("60 seconds"),
        Effect.andThen(Effect.sync(() => child.kill("SIGKILL")))
      )
  )

/** Asks until the answer is there. */
export const waitFor = <A, E, R>(
  step: string,
  seconds: number,
  question: Effect.Effect<A, E, R>,
  isIt: (answer: A) => boolean
) => {
  const last = { said: "no answer" }
  return question.pipe(
    Effect.tap((answer) =>
      Effect.sync(() => {
        last.said = JSON.stringify(answer)
      })
    ),
    Effect.retry(Schedule.spaced("500 millis")),
    Effect.repeat({ schedule: Schedule.spaced("500 millis"), until: isIt }),
    Effect.timeoutOrElse({
      duration: `${seconds} seconds`,
      orElse: () =>
        Effect.fail(new LabFailed({ step, said: `not within ${seconds} s; last answer ${last.said.slice(0, 500)}` }))
    })
  )
}

/** Processes of a user, by their command lines. */
export const processesOf = (user: string): ReadonlyArray<string> =>
  spawnSync("ps", ["-u", user, "-o", "pid=,stat=,args="], { encoding: "utf8" })
    .stdout.split("\n")
    .filter((line) => line.trim() !== "" && !/^\s*\d+\s+Z/.test(line))
