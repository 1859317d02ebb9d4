import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import type { AdminClient } from "../../src/admin/AdminClient.ts"
import type { AdminError } from "../../src/admin/AdminError.ts"
import { TestDatabase } from "../support/Database.ts"
import { auditRows, folder, overSocket, program, until } from "./AdminFixture.ts"

const refusal = <A, E>(effect: Effect.Effect<A, E>) => Effect.map(Effect.flip(effect), (error) => error as AdminError)

const ready = Effect.gen(function* () {
  const made = yield* program({ home: yield* folder })
  return { ...made, client: yield* overSocket(made.socket) }
})

describe("loops", () => {
  it.live("are paused between passes, run on request, and resumed", () =>
    Effect.gen(function* () {
      const { client, loops } = yield* ready
      yield* loops.cycle("discovery", { pass: Effect.void, every: "20 millis" })
      yield* until(client.loops(), ([loop]) => loop!.passes > 2)
      const paused = yield* client.pauseLoop({ loop: "discovery" })
      assert.isTrue(paused.isPaused)
      const { passes } = (yield* until(client.loops(), ([loop]) => loop!.phase === "paused"))[0]!
      yield* Effect.sleep("150 millis")
      assert.strictEqual((yield* client.loops())[0]!.passes, passes, "no pass while it is paused")
      const run = yield* client.runLoop({ loop: "discovery" })
      assert.strictEqual(run.passes, passes + 1)
      assert.isTrue(run.isPaused, "it stays paused")
      assert.isFalse((yield* client.resumeLoop({ loop: "discovery" })).isPaused)
      yield* until(client.loops(), ([loop]) => loop!.passes > passes + 2)
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("one that does not exist, and one that has no passes, are refused by name", () =>
    Effect.gen(function* () {
      const { client, loops } = yield* ready
      yield* loops.run("live-capture", Effect.never)
      const unknown = yield* refusal(client.pauseLoop({ loop: "discovry" }))
      assert.strictEqual(unknown.reason, "Unknown")
      assert.include(unknown.message, "live-capture")
      const continuous = yield* refusal(client.runLoop({ loop: "live-capture" }))
      assert.strictEqual(continuous.reason, "Invalid")
      const huge = yield* refusal(client.pauseLoop({ loop: "x".repeat(100_000) }))
      assert.isBelow(huge.message.length, 300)
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("a caller that does not wait for the end of a pass does not stop it", () =>
    Effect.gen(function* () {
      const { client, loops } = yield* ready
      const may = yield* Deferred.make<void>()
      let ended = 0
      yield* loops.cycle("slow", {
        pass: Effect.andThen(
          Deferred.await(may),
          Effect.sync(() => {
            ended += 1
          })
        ),
        every: "1 hour"
      })
      const run = yield* Effect.forkChild(client.runLoop({ loop: "slow" }), { startImmediately: true })
      yield* until(auditRows, (rows) => rows.length === 1)
      yield* Fiber.interrupt(run)
      const rows = yield* until(auditRows, ([row]) => row!.outcome !== null)
      assert.strictEqual(rows[0]!.outcome, "interrupted")
      assert.strictEqual((yield* client.loops())[0]!.phase, "running")
      yield* Deferred.succeed(may, undefined)
      yield* until(client.loops(), ([loop]) => loop!.passes >= 1)
      assert.isAtLeast(ended, 1)
    }).pipe(Effect.provide(TestDatabase.layer))
  )
})

describe("a program", () => {
  const elsewhere: Readonly<
    Record<string, readonly [call: (client: AdminClient) => Effect.Effect<unknown, unknown>, who: string]>
  > = {
    subscriptions: [(client) => client.subscriptions(), "ws"],
    resubscribe: [(client) => client.resubscribe({ reconnect: true }), "ws"],
    "rotate-key": [(client) => client.rotateKey({ keyId: "k", path: "/nowhere" }), "rest, ws or worker"],
    backfill: [(client) => Stream.runDrain(client.backfill({ series: "KXBTCD" })), "rest or worker"],
    reprocess: [(client) => Stream.runDrain(client.reprocess({ from: "2026-11-24T14:00:00Z" })), "ws"],
    "quarantine retry": [(client) => client.retryQuarantined({ ids: ["1"] }), "ws"]
  }

  it.live("refuses what it has nothing to do with, and says who has", () =>
    Effect.gen(function* () {
      const { client } = yield* ready
      for (const [what, [call, who]] of Object.entries(elsewhere)) {
        const error = yield* refusal(call(client))
        assert.strictEqual(error.reason, "NotHere", what)
        assert.include(error.fix, who, what)
      }
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("goes on after calls with an input that cannot be", () =>
    Effect.gen(function* () {
      const { client } = yield* ready
      const wrong: ReadonlyArray<() => Effect.Effect<unknown, unknown>> = [
        () => client.repairGaps({ ids: ["1; drop table ticks"] }),
        () => client.dropQuarantined({ ids: ["-1"] }),
        () => client.cancelJobs({ ids: ["9".repeat(30)], why: "" }),
        () => client.retryJobs({ ids: [""] }),
        () => client.gaps({ state: "all", limit: 0 }),
        () => client.jobs({ limit: 1_000_000 })
      ]
      for (const [at, call] of wrong.entries())
        assert.isTrue((yield* Effect.exit(Effect.suspend(call)))._tag === "Failure", `${at}`)
      for (const from of ["yesterday", "2026-11-24T14:00:00", ""])
        assert.strictEqual((yield* refusal(client.gaps({ state: "all", limit: 1, from }))).reason, "Invalid")
      const backwards = { from: "2026-11-24T14:00:00Z", to: "2026-11-24T13:00:00Z" }
      assert.strictEqual((yield* refusal(client.quarantine({ limit: 1, ...backwards }))).reason, "Invalid")
      assert.strictEqual((yield* client.status()).service, "rest")
      assert.deepStrictEqual(yield* auditRows, [])
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("hides its secrets, and says how it is", () =>
    Effect.gen(function* () {
      const { client, health, within } = yield* ready
      yield* health.register("journal", Effect.succeed({ ok: false, detail: "cannot be written", ageSeconds: 3 }))
      const status = yield* client.status()
      assert.isFalse(status.health.ok)
      assert.deepStrictEqual(status.health.parts["journal"], { ok: false, detail: "cannot be written", ageSeconds: 3 })
      const { url } = yield* TestDatabase
      assert.notInclude(JSON.stringify(status), JSON.stringify(url))
      const config = yield* client.config()
      assert.strictEqual(config.find(({ name }) => name === "SERVICE_ADMIN_TOKEN")?.value, "")
      assert.isAbove(config.length, 20)
      yield* within(Metric.update(Metric.counter("admin_test", { incremental: true }), 3))
      assert.match(yield* client.metrics(), /^kalshi_ingestor_admin_test(_total)? 3$/m)
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("is told to end once, after it has answered", () =>
    Effect.gen(function* () {
      const { client, stops } = yield* ready
      yield* client.drain()
      assert.strictEqual(stops(), 0)
      yield* until(Effect.sync(stops), (n) => n === 1)
    }).pipe(Effect.provide(TestDatabase.layer))
  )
})

describe("tail", () => {
  it.live("tells lines as they are logged, those as severe as asked for, of the loop asked for", () =>
    Effect.gen(function* () {
      const { client, within } = yield* ready
      const read = yield* Effect.forkChild(
        client.tail({ level: "Warn", loop: "discovery" }).pipe(Stream.take(2), Stream.runCollect),
        { startImmediately: true }
      )
      const say = within(
        Effect.gen(function* () {
          yield* Effect.logInfo("not severe").pipe(Effect.annotateLogs({ loop: "discovery" }))
          yield* Effect.logError("of another").pipe(Effect.annotateLogs({ loop: "backfill" }))
          yield* Effect.logWarning("first").pipe(Effect.annotateLogs({ loop: "discovery" }))
          yield* Effect.logError("second").pipe(Effect.annotateLogs({ loop: "discovery" }))
        })
      )
      const lines = yield* Effect.raceFirst(
        Fiber.join(read),
        Effect.andThen(Effect.sleep("50 millis"), say).pipe(Effect.forever)
      )
      for (const { annotations, level, message } of lines) {
        assert.strictEqual(annotations["loop"], "discovery")
        assert.deepInclude({ first: "Warn", second: "Error" }, { [message]: level })
      }
    }).pipe(Effect.provide(TestDatabase.layer))
  )

  it.live("a reader that is slower than the log loses the oldest lines, and is told how many", () =>
    Effect.gen(function* () {
      const { client, within } = yield* ready
      const may = yield* Deferred.make<void>()
      const began = yield* Deferred.make<void>()
      const seen: Array<string> = []
      let lost = 0
      const read = yield* Effect.forkChild(
        client.tail({}).pipe(
          Stream.takeUntil(({ message }) => message === "last"),
          Stream.runForEach(({ annotations, message }) =>
            Effect.gen(function* () {
              yield* Deferred.succeed(began, undefined)
              yield* Deferred.await(may)
              if (annotations["lost"] === undefined) seen.push(message)
              else lost += Number(annotations["lost"])
            })
          )
        ),
        { startImmediately: true }
      )
      let first = 0
      yield* Effect.raceFirst(
        Deferred.await(began),
        within(Effect.suspend(() => Effect.logInfo(`first ${++first}`))).pipe(Effect.delay("20 millis"), Effect.forever)
      )
      const flood = 5_000
      yield* within(
        Effect.forEach(Array.from({ length: flood }), (_, n) => Effect.logInfo(`line ${n}`), { discard: true })
      )
      yield* Deferred.succeed(may, undefined)
      yield* Effect.raceFirst(
        Fiber.join(read),
        within(Effect.logInfo("last")).pipe(Effect.delay("20 millis"), Effect.forever)
      )
      const lines = seen.filter((message) => message.startsWith("line"))
      assert.isAbove(lost, 0)
      assert.include(lines, `line ${flood - 1}`, "the newest are there")
      assert.strictEqual(seen.at(-1), "last")
      assert.deepStrictEqual(lines, [...new Set(lines)])
      assert.isAtMost(Math.abs(lines.length + lost - flood), first, "every line was told or counted")
    }).pipe(Effect.provide(TestDatabase.layer))
  )
})
