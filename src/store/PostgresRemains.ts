import { existsSync, rmSync } from "node:fs"
import { connect } from "node:net"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { SettingError } from "../runtime/SettingError.ts"
import { isAlive, processesIn, readText, thisHost } from "./OwnerLock.ts"
import { type Account, runAs } from "./PostgresBinaries.ts"

/** Where a server of our own keeps its files, and who runs it. */
export interface Home {
  readonly dataDir: string
  readonly cluster: string
  readonly account: Account | undefined
}

/** What holds the lease of a folder knows: the host whose job on it has provably ended, if the last one did not release it. */
export interface Leased {
  readonly over: string | undefined
}

export const wrongFolder = (problem: string, fix: string) => new SettingError({ setting: "DATA_DIR", problem, fix })

/** Makes sure that no server runs on the cluster, and that no lock file of one that is gone stays behind. */
export const releaseCluster = Effect.fnUntraced(function* (
  home: Home,
  isTakenOver: boolean,
  leased: Leased | undefined
) {
  const lockFile = Path.join(home.cluster, "postmaster.pid")
  const text = readText(lockFile)
  if (text === undefined) return
  const pid = Number(text.split("\n")[0])
  const host = readText(Path.join(home.cluster, "postmaster.host"))?.trim()
  if (host !== undefined && host === leased?.over && host !== thisHost) {
    rmSync(lockFile, { force: true })
    return
  }
  if (host !== thisHost) {
    return yield* wrongFolder(
      `the database in ${home.cluster} was left running as process ${pid} on ${host === undefined ? "an unknown host" : `host ${host}`}`,
      `stop it there; if it is gone for good, remove ${lockFile}`
    )
  }
  if (leased !== undefined) {
    // It may run in a process namespace that we do not see: then its port tells.
    const port = Number(text.split("\n")[3])
    const isOver = Effect.gen(function* () {
      return !(yield* isPostmaster(home, pid)) && !(port > 0 && (yield* isListening(port)))
    })
    const patient = isOver.pipe(
      Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: (over) => over }),
      Effect.timeoutOption("15 seconds")
    )
    if (Option.isNone(yield* patient))
      return yield* wrongFolder(
        `the database in ${home.cluster} is still run by a server on this host, process ${pid}, port ${port}, that an earlier job left`,
        "stop that server (kill -INT ends it cleanly) and start again"
      )
  } else if (yield* isPostmaster(home, pid)) {
    if (!isTakenOver) {
      return yield* wrongFolder(
        `the database in ${home.cluster} is in use by a server, process ${pid}, that we did not start`,
        "stop that server, or choose another folder"
      )
    }
    yield* Effect.logWarning("stopping the database server that a killed process left running", { pid })
    yield* stop(pid, home)
  }
  yield* waitUntil(() => processesIn(home.cluster).length === 0, "10 seconds").pipe(
    Effect.catch(() =>
      Effect.fail(
        wrongFolder(
          `the database in ${home.cluster} is still in use by process ${processesIn(home.cluster).join(", ")}`,
          "end that process, or choose another folder"
        )
      )
    )
  )
  rmSync(lockFile, { force: true })
})

/** The owner file of a host whose owner has provably ended. */
export const forget = (ownerFile: string, host: string) => {
  if (readText(ownerFile)?.includes(`"hostname":${JSON.stringify(host)}`) === true) rmSync(ownerFile, { force: true })
}

/** Whether something listens on this port of this machine. */
export const isListening = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = connect({ host: "127.0.0.1", port, timeout: 2000 })
    const end = (listens: boolean) => {
      socket.destroy()
      resume(Effect.succeed(listens))
    }
    socket.once("connect", () => end(true))
    socket.once("timeout", () => end(true))
    socket.once("error", () => end(false))
  })

const isPostmaster = Effect.fnUntraced(function* (home: Home, pid: number) {
  if (!isAlive(pid)) return false
  if (existsSync(`/proc/${process.pid}/cwd`)) return processesIn(home.cluster).includes(pid)
  const command = yield* runAs(undefined, "ps", ["-o", "command=", "-p", String(pid)])
  return command.output.includes("postgres") && command.output.includes(home.cluster)
})

export const poll = (condition: () => boolean) =>
  Effect.sync(condition).pipe(Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (isTrue) => isTrue }))

const waitUntil = (condition: () => boolean, patience: "10 seconds") => Effect.timeout(poll(condition), patience)

const signal = (pid: number, name: "SIGINT" | "SIGQUIT" | "SIGKILL") =>
  Effect.ignore(Effect.try(() => process.kill(pid, name)))

/** Fast shutdown: sessions are ended and everything is written. Not over in 10 s: immediate, which recovers at the next start. */
export const stop = Effect.fnUntraced(function* (pid: number, home: Home) {
  const isGone = () => !isAlive(pid) && !processesIn(home.cluster).includes(pid)
  yield* signal(pid, "SIGINT")
  yield* waitUntil(isGone, "10 seconds").pipe(
    Effect.catch(() => Effect.andThen(signal(pid, "SIGQUIT"), waitUntil(isGone, "10 seconds"))),
    Effect.catch(() => signal(pid, "SIGKILL"))
  )
})
