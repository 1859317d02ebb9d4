import * as os from "node:os"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it, layer } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Healthcheck from "../../src/local/Healthcheck.ts"
import * as Ports from "../../src/local/Ports.ts"
import * as Health from "../../src/runtime/Health.ts"
import { runRole } from "../../src/runtime/Loops.ts"
import * as ServiceInstances from "../../src/store/ServiceInstances.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Programs from "../support/Programs.ts"

const host = os.hostname()

interface Given {
  readonly instance: string
  readonly service: string
  readonly host?: string
  readonly pid?: number
  readonly silentSeconds?: number
  readonly parts?: Readonly<Record<string, Health.HealthReport>>
}

const given = (rows: ReadonlyArray<Given>) =>
  PgClient.PgClient.use((sql) =>
    Effect.gen(function* () {
      yield* sql`delete from service_instances`
      for (const row of rows) {
        const parts = row.parts ?? { feed: { ok: true, detail: "connected", ageSeconds: 2 } }
        const ok = Object.values(parts).every((part) => part.ok)
        yield* sql`insert into service_instances (instance, service, host, pid, started_at, seen_at, ok, parts)
          values (${row.instance}, ${row.service}, ${row.host ?? host}, ${row.pid ?? 1}, now() - interval '1 hour',
            now() - ${row.silentSeconds ?? 1} * interval '1 second', ${ok}, ${JSON.stringify(parts)}::text::jsonb)`
      }
    })
  )

const check = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  TestDatabase.use(({ url }) =>
    Programs.run("healthcheck", { DATABASE_URL: Redacted.value(url), LOG_FORMAT: "json", ...env }, args)
  )

/** The same without a process of its own. */
const asked = (question: Partial<Healthcheck.Question>, env: Readonly<Record<string, string>> = {}) =>
  TestDatabase.use(({ url }) =>
    Healthcheck.ask(
      { service: undefined, instance: undefined, allHosts: false, url: undefined, ...question },
      undefined
    ).pipe(
      Effect.provide(
        Layer.merge(
          ConfigProvider.layer(ConfigProvider.fromUnknown({ DATABASE_URL: Redacted.value(url), ...env })),
          NodeHttpClient.layerNodeHttp
        )
      )
    )
  )

layer(TestDatabase.layer, { excludeTestServices: true })("node dist/healthcheck.js", (it) => {
  it.effect("says in one line that the instances of this host are well", () =>
    Effect.gen(function* () {
      yield* given([
        { instance: "ws-1", service: "ws" },
        { instance: "ws-2", service: "ws", host: "elsewhere", parts: { feed: { ok: false, detail: "not connected" } } },
        { instance: "rest-1", service: "rest", parts: { discovery: { ok: false, detail: "late" } } }
      ])
      const { code, stderr, stdout } = yield* check(["--service", "ws"])
      assert.match(stdout, /^ws: 1 instance well, data at most 2 s old, database answers in [\d.]+ ms\n$/)
      assert.strictEqual(stderr, "")
      assert.strictEqual(code, 0)
    })
  )

  it.effect("names each part that is stale, instance by instance, and ends with 1", () =>
    Effect.gen(function* () {
      yield* given([
        { instance: "ws-1", service: "ws" },
        {
          instance: "ws-2",
          service: "ws",
          parts: { feed: { ok: false, detail: "not connected", ageSeconds: 75.4 }, writer: { ok: true, detail: "" } }
        },
        { instance: "ws-3", service: "ws", pid: 42, silentSeconds: 40 }
      ])
      const { ok, said } = yield* asked({ service: "ws" })
      assert.match(
        said,
        new RegExp(
          `^ws: ws-2 feed: not connected \\(75 s old\\); ws-3 \\(${host}, pid 42\\) gave no sign of life for 4\\d s$`
        )
      )
      assert.isFalse(ok)
      assert.isTrue((yield* asked({ service: "ws", instance: "ws-1" })).ok)
    })
  )

  it.effect("other hosts count with --all-hosts; --json has the whole verdict", () =>
    Effect.gen(function* () {
      yield* given([
        { instance: "w-1", service: "worker" },
        { instance: "w-2", service: "worker", host: "elsewhere", parts: { queue: { ok: false, detail: "silent" } } }
      ])
      assert.isTrue((yield* asked({ service: "worker" })).ok)
      const { code, stdout } = yield* check(["--service", "worker", "--all-hosts", "--json"])
      assert.strictEqual(code, 1)
      const verdict = JSON.parse(stdout)
      assert.strictEqual(verdict.ok, false)
      assert.isAbove(verdict.databaseMillis, 0)
      assert.deepStrictEqual(
        verdict.instances.map((instance: { instance: string; host: string; ok: boolean }) => [
          instance.instance,
          instance.host,
          instance.ok
        ]),
        [
          ["w-1", host, true],
          ["w-2", "elsewhere", false]
        ]
      )
    })
  )

  it.effect("a missing instance is a fault unless it is allowed; rag is the predictor", () =>
    Effect.gen(function* () {
      yield* given([{ instance: "old", service: "rest", silentSeconds: 700 }])
      const missing = yield* asked({ service: "rest" })
      assert.deepStrictEqual([missing.ok, missing.said], [false, `rest: no instance on ${host}`])
      const allowed = yield* asked({ service: "rest" }, { HEALTH_ALLOW_MISSING: "1" })
      assert.deepStrictEqual([allowed.ok, allowed.said], [true, `rest: no instance on ${host} (allowed)`])
      yield* given([{ instance: "p-1", service: "predictor" }])
      assert.isTrue((yield* asked({ service: "rag" })).ok)
    })
  )

  it.effect("a database that does not answer, and a wrong flag, are one line", () =>
    Effect.gen(function* () {
      const port = yield* Ports.free()
      const { code, stdout } = yield* check(["--service", "ws"], {
        DATABASE_URL: `postgres://u:hunter2@127.0.0.1:${port}/d`
      })
      assert.strictEqual(code, 1)
      assert.match(stdout, /^DATABASE_URL: 127\.0\.0\.1:\d+\/d refused the connection; .*\n$/)
      assert.notInclude(stdout, "hunter2")
      const wrong = yield* check(["--service", "wss"])
      assert.strictEqual(wrong.code, 1)
      assert.match(wrong.stderr, /^healthcheck: [^\n]*wss[^\n]*\n$/)
    })
  )

  it.effect(
    "a program gives signs of life with its parts, takes away what is left of dead ones, and answers at its port",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* given([
          { instance: "ws-dead", service: "ws", pid: 2 ** 22 + 1 },
          { instance: "ws-alive", service: "ws", pid: process.ppid },
          { instance: "ws-far", service: "ws", host: "elsewhere", pid: 2 ** 22 + 1 }
        ])
        const port = yield* Ports.free()
        const role = Layer.mergeAll(ServiceInstances.layer("ws"), Health.layerServer("ws")).pipe(
          Layer.provide(Health.Health.layer),
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ SERVICE_HEALTH_PORT: String(port) })))
        )
        yield* Effect.forkScoped(runRole(role))
        const rows = yield* sql<{ instance: string; parts: Record<string, Health.HealthReport> }>`
        select instance, parts from service_instances order by instance`.pipe(
          Effect.repeat({
            schedule: Schedule.spaced("50 millis"),
            until: (found) => found.length === 3 && !found.some(({ instance }) => instance === "ws-dead")
          })
        )
        const own = rows.find(({ instance }) => instance !== "ws-alive" && instance !== "ws-far")
        assert.isTrue(own?.parts["database"]?.ok)
        const url = `http://127.0.0.1:${port}`
        assert.strictEqual((yield* asked({ service: "ws", url })).said, "ws: 1 instance well, data at most 0 s old")
        assert.strictEqual((yield* check([], { SERVICE_HEALTH_PORT: String(port) })).code, 0)
        const other = yield* asked({ service: "rest", url: `${url}/healthz` })
        assert.deepStrictEqual([other.ok, other.said], [false, `rest: ${url}/healthz healthz: is ws, not rest`])
        const nobody = yield* asked({ url: `http://127.0.0.1:${yield* Ports.free()}` }, { HEALTH_CONNECT_TIMEOUT: "1" })
        assert.isFalse(nobody.ok)
        assert.include(nobody.said, "did not answer within 1 s")
      })
  )
})

describe("Healthcheck.judge", () => {
  it("what is said stays one line", () => {
    const verdict = Healthcheck.judge(
      { service: "ws", instance: undefined, allHosts: false },
      [{ instance: "ws-1", service: "ws", ok: false, parts: { feed: { ok: false, detail: "a\nb" } } }],
      { allowMissing: false, host }
    )
    assert.strictEqual(verdict.said, "ws: ws-1 feed: a b")
    assert.isFalse(verdict.ok)
  })
})
