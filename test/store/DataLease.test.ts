import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { hostname, tmpdir } from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { BatchJob, DataLease, LeaseHolder, type LeaseOptions } from "../../src/store/DataLease.ts"
import { machine } from "../support/Programs.ts"

const root = path.resolve(import.meta.dirname, "../..")

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(tmpdir(), "lease-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

const timing = { beatMillis: 50, fenceMillis: 400, takeMillis: 900 }

const take = (directory: string, options: Partial<LeaseOptions> = {}) =>
  Effect.map(Layer.build(Layer.fresh(DataLease.layer({ directory, timing, ...options }))), (context) =>
    DataLease.pipe(Effect.provideContext(context))
  ).pipe(Effect.flatten)

const refusal = (directory: string, options: Partial<LeaseOptions> = {}) =>
  take(directory, options).pipe(
    Effect.scoped,
    Effect.flip,
    Effect.map(({ message }) => message)
  )

/** A lease that a job on a node far away has or had. */
const elsewhere = (directory: string, change: Partial<ConstructorParameters<typeof LeaseHolder>[0]> = {}) => {
  const holder = new LeaseHolder({
    id: "0123456789abcdef",
    host: "node-17",
    kernel: "of-node-17",
    network: "net:[1]",
    pid: 4711,
    job: new BatchJob({ cluster: "della", id: "100", restart: 0 }),
    started: "2026-11-24T10:00:00.000Z",
    heartbeat: "2026-11-24T12:00:00.000Z",
    beat: 7,
    released: false,
    ...change
  })
  fs.writeFileSync(path.join(directory, "lease.3"), JSON.stringify(holder))
  return holder
}

const job = (id: string, restart = 0) => new BatchJob({ cluster: "della", id, restart })

describe("DataLease", () => {
  it.live("has one holder, is released with its scope, and counts the holders", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      yield* Effect.gen(function* () {
        const lease = yield* take(directory, { job: job("41") })
        assert.deepStrictEqual([lease.generation, lease.over], [1, undefined])
        const message = yield* refusal(directory)
        assert.include(
          message,
          `PGDATA_HOST: ${directory} is in use by job 41, process ${process.pid} on host ${hostname()}, since `
        )
      }).pipe(Effect.scoped)
      const next = yield* take(directory)
      assert.deepStrictEqual([next.generation, next.over], [2, undefined])
      assert.deepStrictEqual(fs.readdirSync(directory).sort(), ["lease.1", "lease.2"])
      assert.strictEqual(fs.statSync(path.join(directory, "lease.2")).mode & 0o777, 0o600)
    })
  )

  it.live("goes to one of many who want it at the same moment", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const exits = yield* Effect.forEach(Array.from({ length: 12 }), () => Effect.exit(take(directory)), {
        concurrency: "unbounded"
      })
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
    })
  )

  it.live("is kept from others while its process lives, and free as soon as that was killed", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, [path.join(root, "dist/cluster.js"), "lease"], {
            env: { ...machine(), ENV_FILE: "/dev/null", PGDATA_HOST: directory, SLURM_JOB_ID: "77" },
            stdio: "ignore"
          })
        ),
        (running) => Effect.sync(() => running.kill("SIGKILL"))
      )
      yield* Effect.sync(() => fs.existsSync(path.join(directory, "lease.1"))).pipe(
        Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (isThere) => isThere })
      )
      assert.include(yield* refusal(directory), `is in use by job 77, process ${child.pid} on host `)
      const ended = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGKILL")
      yield* Effect.promise(() => ended)
      const lease = yield* take(directory)
      assert.deepStrictEqual([lease.generation, lease.over?.job?.id], [2, "77"])
    })
  )

  it.live("is not taken from another node without a proof, and says how a person can vouch for it", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const holder = elsewhere(directory)
      const text = fs.readFileSync(path.join(directory, "lease.3"), "utf8")
      for (const options of [{}, { job: job("101") }, { job: job("100", 0) }, { liveJobs: new Set(["7"]) }]) {
        const message = yield* refusal(directory, options)
        assert.include(message, "is in use by job 100, process 4711 on host node-17, since 2026-11-24T10:00:00.000Z")
        assert.include(message, `set LEASE_GONE=${holder.id} for one start`)
      }
      assert.match(
        yield* refusal(directory, { job: job("101"), liveJobs: new Set(["100", "101"]) }),
        /; stop that one, or name another folder$/
      )
      assert.strictEqual(fs.readFileSync(path.join(directory, "lease.3"), "utf8"), text)
      const lease = yield* take(directory, { gone: holder.id })
      assert.deepStrictEqual([lease.generation, lease.over?.host], [4, "node-17"])
    })
  )

  it.live("is taken from a job that has ended, but only after its silence", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      for (const options of [
        { job: job("101"), liveJobs: new Set(["101"]) },
        { job: job("100", 1), liveJobs: new Set(["100"]) }
      ]) {
        elsewhere(directory)
        const began = performance.now()
        const lease = yield* take(directory, options).pipe(Effect.scoped)
        assert.strictEqual(lease.generation, 4)
        assert.isAtLeast(performance.now() - began, timing.takeMillis)
        fs.rmSync(path.join(directory, "lease.4"))
      }
    })
  )

  it.live("is not taken from a job that is said to have ended but whose heart beats", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      elsewhere(directory)
      let beat = 8
      yield* Effect.sync(() => elsewhere(directory, { beat: beat++ })).pipe(
        Effect.repeat(Schedule.spaced("200 millis")),
        Effect.forkScoped
      )
      assert.include(yield* refusal(directory, { job: job("101"), liveJobs: new Set(["101"]) }), "is in use by job 100")
    })
  )

  it.live("is lost to a higher number, which its holder leaves alone", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const lease = yield* take(directory)
      fs.writeFileSync(path.join(directory, "lease.2"), "somebody else's")
      assert.match((yield* Effect.flip(lease.lost)).message, /another job has taken the lease$/)
      assert.strictEqual(fs.readFileSync(path.join(directory, "lease.2"), "utf8"), "somebody else's")
    })
  )

  it.live("is lost when it cannot be renewed in time", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const lease = yield* take(directory)
      fs.renameSync(directory, `${directory}.gone`)
      const began = performance.now()
      assert.match((yield* Effect.flip(lease.lost)).message, /could not be renewed for \d+ s$/)
      assert.isAtLeast(performance.now() - began, timing.fenceMillis - 2 * timing.beatMillis)
      fs.rmSync(`${directory}.gone`, { recursive: true })
    })
  )

  it.live("refuses a lease file that cannot be read", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      fs.writeFileSync(path.join(directory, "lease.1"), "{")
      assert.match(
        yield* refusal(directory),
        /^PGDATA_HOST: .*lease\.1, which says who uses that folder, cannot be read; remove/
      )
    })
  )
})
