import * as os from "node:os"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import type { AdminClient } from "../../src/admin/AdminClient.ts"
import type { AdminError } from "../../src/admin/AdminError.ts"
import { AdminRpcs, Mutates } from "../../src/admin/AdminRpcs.ts"
import * as Ports from "../../src/local/Ports.ts"
import { proxy } from "../ingest/PostgresProxy.ts"
import { TestDatabase } from "../support/Database.ts"
import { auditRows, folder, overDatabase, overPort, overSocket, program, token, until } from "./AdminFixture.ts"

const reading = [
  "archive",
  "audit",
  "budget",
  "config",
  "gaps",
  "health",
  "jobs",
  "logLevel",
  "loops",
  "metrics",
  "partitions",
  "quarantine",
  "status",
  "subscriptions",
  "tail"
]

/** A call of everything that changes something, and how it ends in a rest that has nothing but loops and its login. */
const changing: Readonly<Record<string, { readonly payload?: unknown; readonly fails?: AdminError["reason"] }>> = {
  pauseLoop: { payload: { loop: "discovery" } },
  resumeLoop: { payload: { loop: "discovery" } },
  runLoop: { payload: { loop: "discovery" } },
  setLogLevel: { payload: { level: "Debug" } },
  drain: {},
  resubscribe: { payload: { reconnect: false }, fails: "NotHere" },
  rotateKey: { payload: { keyId: "k", path: "/nowhere" }, fails: "NotHere" },
  repairGaps: { payload: { ids: ["1"] } },
  backfill: { payload: { series: "KXBTCD" }, fails: "NotHere" },
  reprocess: { payload: { from: "2026-11-24T14:00:00Z" }, fails: "NotHere" },
  retryQuarantined: { payload: { ids: ["1"] }, fails: "NotHere" },
  dropQuarantined: { payload: { ids: ["1"] }, fails: "Refused" },
  retryJobs: { payload: { ids: ["1"] } },
  cancelJobs: { payload: { ids: ["1"], why: "a test" } },
  purgeJobs: { payload: { status: "done", olderThanSeconds: 0 } }
}

const verbs =
  /^(pause|resume|run|set|drain|stop|re(subscribe|process|try)|rotate|repair|backfill|retry|drop|cancel|purge|delete|add|apply|enqueue)/

const tagsWhere = (mutates: boolean) =>
  [...AdminRpcs.requests.values()]
    .filter((rpc) => Context.get(rpc.annotations, Mutates) === mutates)
    .map((rpc) => rpc._tag as string)
    .sort()

/** Any call by its name, a stream to its end. */
const call = (client: AdminClient, tag: string, payload: unknown): Effect.Effect<unknown, AdminError> => {
  const calls = client as unknown as Record<
    string,
    (payload: unknown) => Effect.Effect<unknown, AdminError> | Stream.Stream<unknown, AdminError>
  >
  const made = calls[tag]!(payload)
  return Stream.isStream(made) ? Stream.runDrain(made) : made
}

describe("the audit", () => {
  it("every call is known here to read or to change, and says so", () => {
    assert.deepStrictEqual(tagsWhere(false), reading)
    assert.deepStrictEqual(tagsWhere(true), Object.keys(changing).sort())
    for (const tag of reading) assert.notMatch(tag, verbs)
    for (const tag of Object.keys(changing)) assert.match(tag, verbs)
  })

  it.live("has one row for each call that changes something, failed or not, and none for those that read", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const { loops, socket, stops } = yield* program({ home })
      yield* loops.cycle("discovery", { pass: Effect.void, every: "1 hour" })
      const client = yield* overSocket(socket)
      for (const tag of reading) {
        if (tag === "tail") continue
        const limited = ["audit", "gaps", "jobs", "quarantine"].includes(tag)
        const payload = limited ? { limit: 10, ...(tag === "gaps" ? { state: "all" } : {}) } : undefined
        yield* Effect.exit(call(client, tag, payload))
      }
      assert.deepStrictEqual(yield* auditRows, [])
      for (const [tag, { fails, payload }] of Object.entries(changing)) {
        const result = yield* Effect.result(call(client, tag, payload))
        assert.strictEqual(result._tag === "Failure" ? result.failure.reason : undefined, fails, tag)
        const rows = (yield* auditRows).filter((row) => row.call === tag)
        assert.strictEqual(rows.length, 1, tag)
        const [row] = rows
        assert.deepStrictEqual(
          { ...row, detail: undefined },
          {
            actor: `${os.userInfo().username}@${os.hostname()}`,
            via: "socket",
            service: "rest",
            instance: "00000000aa",
            call: tag,
            payload: payload ?? null,
            outcome: fails === undefined ? "done" : "failed",
            detail: undefined
          },
          tag
        )
        assert.strictEqual(row?.detail === null, fails === undefined, tag)
      }
      assert.strictEqual((yield* auditRows).length, Object.keys(changing).length)
      const command = yield* overDatabase
      const told = yield* client.audit({ limit: 3 })
      assert.deepStrictEqual(yield* command.audit({ limit: 3 }), told)
      assert.deepStrictEqual(
        told.map(({ call, outcome }) => [call, outcome]),
        [
          ["purgeJobs", "done"],
          ["cancelJobs", "done"],
          ["retryJobs", "done"]
        ]
      )
      yield* until(Effect.sync(stops), (n) => n === 1)
      for (const tag of ["dropQuarantined", "retryJobs", "cancelJobs", "purgeJobs"])
        yield* call(command, tag, changing[tag]!.payload)
      assert.deepStrictEqual(
        (yield* auditRows).slice(-4).map(({ call, outcome, service, via }) => [call, service, via, outcome]),
        [
          ["dropQuarantined", "command", "command", "done"],
          ["retryJobs", "command", "command", "done"],
          ["cancelJobs", "command", "command", "done"],
          ["purgeJobs", "command", "command", "done"]
        ]
      )
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("tells calls on the port from those on the socket", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const port = yield* Ports.free()
      yield* program({ home, env: { SERVICE_ADMIN_PORT: String(port), SERVICE_ADMIN_TOKEN: token } })
      const client = yield* overPort(port, Redacted.make(token))
      yield* client.setLogLevel({ level: "Warn" })
      const rows = yield* auditRows
      assert.deepStrictEqual(
        rows.map(({ call, via }) => [call, via]),
        [["setLogLevel", "port"]]
      )
      assert.notInclude(JSON.stringify(rows), token)
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live(
    "does not hold up a pause when the database is away, and is entered when it is back",
    () =>
      Effect.gen(function* () {
        const home = yield* folder
        const url = yield* TestDatabase.urlAs("rest")
        const road = yield* proxy(Redacted.value(url))
        const { loops, socket } = yield* program({ home, url: road.road() })
        yield* loops.cycle("discovery", { pass: Effect.void, every: "1 hour" })
        const client = yield* overSocket(socket)
        assert.deepStrictEqual(yield* client.gaps({ state: "all", limit: 1 }), [])
        road.plan.refuse = true
        road.cut()
        const paused = yield* client.pauseLoop({ loop: "discovery" }).pipe(Effect.timeout("10 seconds"))
        assert.isTrue(paused.isPaused)
        const unread = yield* Effect.flip(client.gaps({ state: "all", limit: 1 })).pipe(Effect.timeout("15 seconds"))
        assert.include(String(unread), "the database does not do it")
        assert.deepStrictEqual(yield* auditRows, [])
        road.plan.refuse = false
        const rows = yield* until(auditRows, (found) => found.length > 0)
        assert.deepStrictEqual(
          rows.map(({ call, outcome }) => [call, outcome]),
          [["pauseLoop", "done"]]
        )
        const sql = yield* SqlClient.SqlClient
        const [row] = yield* sql`select at < ended_at as ordered from admin_audit`
        assert.isTrue(row?.["ordered"])
      }).pipe(Effect.provide(TestDatabase.layer)),
    60_000
  )

  it.live(
    "does not hold up a pause when the database is silent",
    () =>
      Effect.gen(function* () {
        const home = yield* folder
        const url = yield* TestDatabase.urlAs("rest")
        const road = yield* proxy(Redacted.value(url))
        const { loops, socket } = yield* program({ home, url: road.road() })
        yield* loops.cycle("discovery", { pass: Effect.void, every: "1 hour" })
        const client = yield* overSocket(socket)
        yield* client.gaps({ state: "all", limit: 1 })
        road.plan.isMute = true
        for (let n = 0; n < 2; n++)
          assert.isTrue((yield* client.pauseLoop({ loop: "discovery" }).pipe(Effect.timeout("10 seconds"))).isPaused)
        road.plan.isMute = false
        road.cut()
        const rows = yield* until(auditRows, (found) => found.length === 2)
        assert.isTrue(rows.every(({ call, outcome }) => call === "pauseLoop" && outcome === "done"))
      }).pipe(Effect.provide(TestDatabase.layer)),
    60_000
  )

  it.live(
    "learns the outcome of a call during which the database went away",
    () =>
      Effect.gen(function* () {
        const home = yield* folder
        const url = yield* TestDatabase.urlAs("rest")
        const road = yield* proxy(Redacted.value(url))
        const { loops, socket } = yield* program({ home, url: road.road() })
        const may = yield* Deferred.make<void>()
        yield* loops.cycle("slow", { pass: Deferred.await(may), every: "1 hour" })
        const client = yield* overSocket(socket)
        const run = yield* Effect.forkChild(client.runLoop({ loop: "slow" }), { startImmediately: true })
        yield* until(auditRows, (rows) => rows.length === 1)
        road.plan.refuse = true
        road.cut()
        yield* Deferred.succeed(may, undefined)
        assert.isAtLeast((yield* Fiber.join(run).pipe(Effect.timeout("10 seconds"))).passes, 1)
        assert.strictEqual((yield* auditRows)[0]?.outcome, null)
        road.plan.refuse = false
        const rows = yield* until(auditRows, ([row]) => row?.outcome !== null)
        assert.deepStrictEqual(
          rows.map(({ call, outcome }) => [call, outcome]),
          [["runLoop", "done"]]
        )
      }).pipe(Effect.provide(TestDatabase.layer)),
    60_000
  )
})
