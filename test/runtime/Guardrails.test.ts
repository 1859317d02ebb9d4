import * as fs from "node:fs"
import * as path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it, layer } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Roles from "../../src/local/Roles.ts"
import { withheld } from "../../src/portal/PortalConfig.ts"
import { access, type RoleName, roleNames, secretKind } from "../../src/runtime/Access.ts"
import * as Environment from "../../src/runtime/Environment.ts"
import * as Guardrails from "../../src/runtime/Guardrails.ts"
import { IngestState } from "../../src/store/IngestState.ts"
import { QueueJobs } from "../../src/store/QueueJobs.ts"
import { TestDatabase } from "../support/Database.ts"

const settings = (env: Readonly<Record<string, string>>) => ConfigProvider.layer(ConfigProvider.fromUnknown(env))

/** The stores of a program of this role, on a database whose owner does the asking: only the guardrail is in the way. */
const guarded = (role: RoleName, env: Readonly<Record<string, string>> = {}) =>
  Layer.mergeAll(IngestState.layer, QueueJobs.layer).pipe(
    Layer.provide(Guardrails.layer(role, role === "portal" ? withheld : undefined)),
    Layer.provide(settings({ SERVICE_ENV_GUARDRAILS: "off", ...env })),
    Layer.fresh
  )

const job = { type: "a", payload: "{}", priority: 5, key: undefined, delaySeconds: 0, maxAttempts: 3 }
const enter = QueueJobs.use((jobs) => jobs.enqueue([job]))
const messageOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => (error instanceof Guardrails.NotOurs ? error.message : error))

layer(TestDatabase.layer)("guardrails", (it) => {
  it.effect("a key of ingest_state is written by its owner only, and whoever else tries hears whose it is", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const write = IngestState.use((state) => state.set("discovery_full_at", "1"))
      assert.strictEqual(
        yield* messageOf(write.pipe(Effect.provide(guarded("worker")))),
        "worker may not write the key discovery_full_at of ingest_state; rest may"
      )
      assert.include(
        String(
          yield* messageOf(
            IngestState.use((state) => state.remove("backfill_closed_until")).pipe(Effect.provide(guarded("ws")))
          )
        ),
        "ws may not write the key backfill_closed_until of ingest_state; rest may"
      )
      assert.deepStrictEqual(yield* sql`select key from ingest_state`, [])
      yield* write.pipe(Effect.provide(guarded("rest")))
      yield* IngestState.use((state) => state.set("discovery_series_until", "1")).pipe(
        Effect.provide(guarded("worker"))
      )
      assert.strictEqual((yield* sql`select key from ingest_state`).length, 2)
    })
  )

  it.effect("jobs are entered by who may; the portal may when its setting says so", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* messageOf(enter.pipe(Effect.provide(guarded("ws")))),
        "ws may not enter jobs in the work queue; rest and portal and admin may"
      )
      assert.strictEqual(
        yield* messageOf(enter.pipe(Effect.provide(guarded("portal")))),
        "portal may not enter jobs in the work queue; it may with WEB_PORTAL_BACKFILL_MODE=queue"
      )
      assert.strictEqual(
        (yield* enter.pipe(Effect.provide(guarded("portal", { WEB_PORTAL_BACKFILL_MODE: "queue" })))).size,
        1
      )
      assert.strictEqual((yield* enter.pipe(Effect.provide(guarded("rest")))).size, 1)
      const join = QueueJobs.use((jobs) => jobs.join({ instance: "i", host: "h", pid: 1, types: ["a"] }, 10))
      assert.include(String(yield* messageOf(join.pipe(Effect.provide(guarded("rest"))))), "worker may")
      const clean = QueueJobs.use((jobs) => jobs.clean(0, 0, 10))
      assert.include(String(yield* messageOf(clean.pipe(Effect.provide(guarded("portal"))))), "worker and admin may")
      yield* join.pipe(Effect.provide(guarded("worker")))
    })
  )

  it.effect("warn lets it happen, off says nothing", () =>
    Effect.gen(function* () {
      for (const mode of ["warn", "off"])
        assert.strictEqual((yield* enter.pipe(Effect.provide(guarded("ws", { SERVICE_GUARDRAILS: mode })))).size, 1)
    })
  )
})

const groups: Readonly<Record<RoleName, Roles.Group>> = {
  rest: Roles.rest,
  ws: Roles.ws,
  worker: Roles.worker,
  predictor: Roles.predictor,
  portal: Roles.portal,
  admin: Roles.admin,
  reader: Roles.reader
}

describe("a program's environment", () => {
  const started = (role: RoleName, env: Readonly<Record<string, string>>) =>
    Effect.flip(Layer.build(Guardrails.layer(role).pipe(Layer.provide(settings(env)))).pipe(Effect.scoped)).pipe(
      Effect.map(({ message }) => message)
    )
  const variable = (name: string, value: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        // @effect-diagnostics-next-line processEnvInEffect:off what is tested is the environment of the process
        process.env[name] = value
      }),
      () =>
        Effect.sync(() => {
          // @effect-diagnostics-next-line processEnvInEffect:off what is tested is the environment of the process
          delete process.env[name]
        })
    )

  it.effect(
    "is refused when it holds a secret of another's, by name and without the value; what is allowed is allowed",
    () =>
      Effect.gen(function* () {
        yield* variable("ANTHROPIC_API_KEY", "sk-hunter2")
        yield* variable("DATABASE_URL_WS", "postgres://u:hunter2@h/d")
        const enforced = { SERVICE_ENV_GUARDRAILS: "enforce" }
        const said = yield* started("rest", enforced)
        assert.match(said, /^ANTHROPIC_API_KEY, DATABASE_URL_WS: rest has no use for /)
        assert.notInclude(said, "hunter2")
        assert.match(yield* started("predictor", enforced), /^DATABASE_URL_WS: /)
        assert.match(
          yield* started("rest", { ...enforced, SERVICE_ENV_ALLOW_PREFIXES: "DATABASE_" }),
          /^ANTHROPIC_API_KEY: /
        )
        yield* Layer.build(
          Guardrails.layer("rest").pipe(
            Layer.provide(settings({ ...enforced, SERVICE_ENV_ALLOW_KEYS: "ANTHROPIC_API_KEY,DATABASE_URL_WS" }))
          )
        )
        yield* Layer.build(Guardrails.layer("rest").pipe(Layer.provide(settings({ SERVICE_ENV_GUARDRAILS: "warn" }))))
      }).pipe(Effect.scoped)
  )

  it.effect("a child's has what is its own and no other secret, whatever ours holds", () =>
    Effect.gen(function* () {
      yield* variable("KALSHI_API_KEY_ID", "ours")
      yield* variable("OPENAI_API_KEY", "sk")
      const more = { WEB_PORTAL_PASSWORD: "p", KALSHI_PRIVATE_KEY_PEM_PATH: "/key", DISCOVERY_SECONDS: "1" }
      const of = (role: RoleName | "none") =>
        Effect.map(Environment.ofChild(role, more, true), (env) =>
          Object.keys(env)
            .filter((name) => secretKind(name) !== undefined || name === "DISCOVERY_SECONDS")
            .sort()
        )
      assert.deepStrictEqual(yield* of("portal"), ["DISCOVERY_SECONDS", "WEB_PORTAL_PASSWORD"])
      assert.deepStrictEqual(yield* of("predictor"), ["DISCOVERY_SECONDS", "OPENAI_API_KEY"])
      for (const role of ["rest", "ws", "worker"] as const)
        assert.deepStrictEqual(yield* of(role), [
          "DISCOVERY_SECONDS",
          "KALSHI_API_KEY_ID",
          "KALSHI_PRIVATE_KEY_PEM_PATH"
        ])
      assert.deepStrictEqual(yield* of("none"), ["DISCOVERY_SECONDS"])
    }).pipe(Effect.scoped)
  )

  it("no program reads a secret that it may not be given, and every secret that is read is somebody's", () => {
    for (const role of roleNames) {
      for (const setting of Object.values(groups[role])) {
        const kind = secretKind(setting.name)
        if (kind !== undefined) assert.include(access[role].secrets, kind, `${role} reads ${setting.name}`)
        else if (setting.secret)
          assert.include(
            ["DATABASE_URL", "SERVICE_ADMIN_TOKEN", "OTEL_EXPORTER_OTLP_HEADERS"],
            setting.name,
            "a secret of nobody"
          )
      }
      const example = fs.readFileSync(
        path.resolve(import.meta.dirname, `../../configs/env/${role}.env.example`),
        "utf8"
      )
      for (const [, name] of example.matchAll(/^#([A-Z0-9_]+)=/gm))
        assert.isFalse(Environment.isForeign(role, name!), `${role}.env.example names ${name}`)
    }
  })
})
