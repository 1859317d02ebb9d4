import { readdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { SettingError } from "../runtime/SettingError.ts"
import { runAs } from "./PostgresBinaries.ts"

class Owner extends Schema.Class<Owner>("Owner")({
  pid: Schema.Int,
  /** Tells this process from a later one with the same number. */
  started: Schema.String,
  hostname: Schema.String
}) {}

const OwnerText = Schema.fromJsonString(Owner)
const decodeOwner = Schema.decodeUnknownOption(OwnerText)
const encodeOwner = Schema.encodeSync(OwnerText)

export const thisHost = hostname()

export const readText = (file: string): string | undefined =>
  Result.getOrUndefined(Result.try(() => readFileSync(file, "utf8")))

/** Whether a process runs here; one that has ended but that nobody has reaped does not. */
export const isAlive = (pid: number): boolean => {
  const signalled = Result.try({
    try: () => process.kill(pid, 0),
    catch: (error) => (error instanceof Error && "code" in error ? error.code : undefined)
  })
  if (Result.isFailure(signalled) && signalled.failure !== "EPERM") return false
  return !/^[ZX]$/.test(statOf(pid)?.[0] ?? "")
}

/** The fields of /proc/<pid>/stat after the name: state first, start time twentieth. */
const statOf = (pid: number): ReadonlyArray<string> | undefined => {
  const stat = readText(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")
}

const startOf = Effect.fnUntraced(function* (pid: number) {
  const stat = statOf(pid)
  if (stat === undefined) return (yield* runAs(undefined, "ps", ["-o", "lstart=", "-p", String(pid)])).output.trim()
  return `${readText("/proc/sys/kernel/random/boot_id")?.trim() ?? ""}:${stat[19] ?? ""}`
})

/** Whether the process of this lock file still runs here; another host's counts as running. */
const isHeld = Effect.fnUntraced(function* (owner: Owner) {
  if (owner.hostname !== thisHost) return true
  return isAlive(owner.pid) && (yield* startOf(owner.pid)) === owner.started
})

/** Whether a file left by `acquire` belongs to a process that is gone. */
export const isAbandoned = Effect.fnUntraced(function* (file: string) {
  const text = readText(file)
  if (text === undefined) return false
  const owner = decodeOwner(text)
  return Option.isNone(owner) || !(yield* isHeld(owner.value))
})

/**
 * Holds `file` as the one owner of a folder until the scope closes. Succeeds with true when it was taken over from a process of
 * this host that is gone; fails naming the holder when there is one.
 */
export const acquire = Effect.fn("OwnerLock.acquire")(function* (file: string, folder: string) {
  const mine = encodeOwner(new Owner({ pid: process.pid, started: yield* startOf(process.pid), hostname: thisHost }))
  const create = Effect.sync(() => Result.isSuccess(Result.try(() => writeFileSync(file, mine, { flag: "wx" }))))
  const take = Effect.gen(function* () {
    if (yield* create) return false
    const text = readText(file)
    if (text === undefined && (yield* create)) return false
    const owner = decodeOwner(text ?? "")
    if (Option.isSome(owner) && (yield* isHeld(owner.value))) return yield* heldBy(owner.value, file, folder)
    const aside = `${file}.${process.pid}`
    const moved = Result.try(() => renameSync(file, aside))
    if (Result.isSuccess(moved) && readText(aside) !== text) {
      renameSync(aside, file)
      return yield* heldBy(undefined, file, folder)
    }
    rmSync(aside, { force: true })
    return (yield* create) ? true : yield* heldBy(undefined, file, folder)
  })
  return yield* Effect.acquireRelease(take, () =>
    Effect.sync(() => {
      if (readText(file) === mine) rmSync(file, { force: true })
    })
  )
})

const heldBy = (owner: Owner | undefined, file: string, folder: string) =>
  Effect.fail(
    new SettingError({
      setting: "DATA_DIR",
      problem:
        owner === undefined
          ? `${folder} was taken by another process at this moment`
          : `${folder} is in use by process ${owner.pid} on host ${owner.hostname}`,
      fix:
        owner !== undefined && owner.hostname !== thisHost
          ? `stop that one, or remove ${file} once that host is gone for good, or choose another folder`
          : "stop that one, or choose another folder"
    })
  )

/** The processes of this host that run in `folder`, as a PostgreSQL server and its helpers do; empty where /proc is missing. */
export const processesIn = (folder: string): ReadonlyArray<number> =>
  Result.getOrElse(
    Result.try(() => readdirSync("/proc")),
    () => []
  )
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => Result.getOrUndefined(Result.try(() => readlinkSync(`/proc/${pid}/cwd`))) === folder)
    .filter((pid) => /postgres/.test(readText(`/proc/${pid}/cmdline`) ?? ""))
    .map(Number)
