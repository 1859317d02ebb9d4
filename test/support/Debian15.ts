import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Ports from "../../src/local/Ports.ts"
import { identity, PostgresBinaries, runAs } from "../../src/store/PostgresBinaries.ts"

const binaries = "/usr/lib/postgresql/15/bin"

export const isInstalled = fs.existsSync(path.join(binaries, "initdb"))

/** Debian's PostgreSQL 15 on a port of its own, gone when the scope closes. Gives the superuser's address. */
export const server = Effect.gen(function* () {
  const { account } = yield* PostgresBinaries
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const made = fs.mkdtempSync(path.join(os.tmpdir(), "postgres-15-"))
      if (account !== undefined) fs.chownSync(made, account.uid, account.gid)
      return made
    }),
    (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
  )
  const data = path.join(home, "data")
  const made = yield* runAs(account, path.join(binaries, "initdb"), [
    "-D",
    data,
    "-A",
    "trust",
    "-U",
    "postgres",
    "-E",
    "UTF8"
  ])
  if (made.code !== 0) return yield* Effect.die(new Error(made.output))
  const port = yield* Ports.free()
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(path.join(binaries, "postgres"), ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", home, "-F"], {
        ...identity(account),
        stdio: "ignore"
      })
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        child.once("close", () => resume(Effect.void))
        child.kill("SIGINT")
      })
  )
  return Redacted.make(`postgres://postgres@127.0.0.1:${port}/postgres`)
}).pipe(Effect.provide(PostgresBinaries.layer))
