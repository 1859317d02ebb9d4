import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { acquire, isAbandoned, isAlive } from "../../src/store/OwnerLock.ts"

const lockFile = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "owner-lock-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
).pipe(Effect.map((directory) => join(directory, "owner")))

describe("OwnerLock", () => {
  it.live("is held until the scope closes", () =>
    Effect.gen(function* () {
      const file = yield* lockFile
      yield* Effect.scoped(
        Effect.gen(function* () {
          assert.isFalse(yield* acquire(file, "/data"))
          assert.isFalse(yield* isAbandoned(file))
          const error = yield* Effect.flip(acquire(file, "/data"))
          assert.match(error.message, new RegExp(`^DATA_DIR: /data is in use by process ${process.pid} on host `))
        })
      )
      assert.isFalse(existsSync(file))
    })
  )

  it.live("is taken over from an earlier process that had our number", () =>
    Effect.gen(function* () {
      const file = yield* lockFile
      writeFileSync(file, JSON.stringify({ pid: process.pid, started: "before", hostname: hostname() }))
      assert.isTrue(yield* isAbandoned(file))
      assert.isTrue(yield* acquire(file, "/data"))
      assert.notInclude(readFileSync(file, "utf8"), "before")
    })
  )

  it.live("is taken over when a crash left half of it", () =>
    Effect.gen(function* () {
      const file = yield* lockFile
      writeFileSync(file, '{"pid":')
      assert.isTrue(yield* acquire(file, "/data"))
    })
  )

  it.live("is never taken over from another host", () =>
    Effect.gen(function* () {
      const file = yield* lockFile
      const text = JSON.stringify({ pid: 1, started: "then", hostname: "node-17" })
      writeFileSync(file, text)
      assert.match((yield* Effect.flip(acquire(file, "/data"))).message, /process 1 on host node-17/)
      assert.strictEqual(readFileSync(file, "utf8"), text)
    })
  )

  it.live.skipIf(!existsSync("/proc/self/stat"))("takes a process that ended but was not reaped for gone", () =>
    Effect.gen(function* () {
      const parent = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn("/bin/sh", ["-c", "sleep 0.3 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const pid = yield* Effect.callback<number>((resume) => {
        parent.stdout.once("data", (chunk: Buffer) => resume(Effect.succeed(Number(chunk.toString()))))
      })
      yield* Effect.sync(() => isAlive(pid)).pipe(
        Effect.repeat({ schedule: Schedule.spaced("5 millis"), until: (alive) => !alive })
      )
      assert.match(readFileSync(`/proc/${pid}/stat`, "utf8"), /\) Z /)
    })
  )
})
