import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { SettingError } from "../runtime/SettingError.ts"
import { readText, thisHost } from "../store/OwnerLock.ts"

export interface Connection {
  readonly url: Redacted.Redacted<string>
  /** The node of the database. */
  readonly host: string
  /** Which start of which job made it. */
  readonly run: string
}

const loopback = "127.0.0.1"

/** How programs of this and other nodes reach the database of PGDATA_HOST: lines NAME=value that only this user can read. */
export const fileOf = (dataHost: string): string => path.join(dataHost, "connection.env")

export const write = (dataHost: string, { host, run, url }: Connection): Effect.Effect<void> =>
  Effect.sync(() => {
    const draft = `${fileOf(dataHost)}.${process.pid}`
    fs.rmSync(draft, { force: true })
    fs.writeFileSync(draft, `DATABASE_URL=${Redacted.value(url)}\nDATABASE_NODE=${host}\nCLUSTER_RUN=${run}\n`, {
      mode: 0o600,
      flag: "wx"
    })
    fs.renameSync(draft, fileOf(dataHost))
  })

/** Removed only while it is that of `run`. */
export const remove = (dataHost: string, run: string): Effect.Effect<void> =>
  Effect.sync(() => {
    if (read(dataHost)?.run === run) fs.rmSync(fileOf(dataHost), { force: true })
  })

export const read = (dataHost: string): Connection | undefined => {
  const lines = new Map(
    (readText(fileOf(dataHost)) ?? "").split("\n").map((line) => {
      const [name = "", ...value] = line.split("=")
      return [name, value.join("=")] as const
    })
  )
  const url = lines.get("DATABASE_URL")
  if (url === undefined) return undefined
  return { url: Redacted.make(url), host: lines.get("DATABASE_NODE") ?? "", run: lines.get("CLUSTER_RUN") ?? "" }
}

/** The address as this node must write it. Fails where the database is on another node and lets nobody else in. */
export const urlHere = ({ host, url }: Connection): Result.Result<Redacted.Redacted<string>, SettingError> => {
  const here = new URL(Redacted.value(url))
  if (host === thisHost) {
    here.hostname = loopback
    return Result.succeed(Redacted.make(here.href))
  }
  return here.hostname === loopback
    ? Result.fail(
        new SettingError({
          setting: "POSTGRES_LISTEN",
          problem: `the database on ${host} listens for programs of its own node only`,
          fix: "set POSTGRES_LISTEN=* for the job that runs it, and start that job again"
        })
      )
    : Result.succeed(url)
}
