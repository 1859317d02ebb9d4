import { createServer } from "node:net"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Ports from "../../src/local/Ports.ts"
import * as Health from "../../src/runtime/Health.ts"

const server = (port: number) =>
  Health.layerServer("test").pipe(
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ SERVICE_HEALTH_PORT: String(port) })))
  )

describe("Health", () => {
  it.effect("is well when every part is; the last word of a part counts", () =>
    Effect.gen(function* () {
      const health = yield* Health.Health
      assert.deepStrictEqual(yield* health.report, { ok: true, parts: {} })
      yield* health.register("a", Effect.succeed({ ok: true, detail: "fine", ageSeconds: 1.5 }))
      yield* health.register("b", Effect.succeed({ ok: false, detail: "late" }))
      assert.deepStrictEqual(yield* health.report, {
        ok: false,
        parts: { a: { ok: true, detail: "fine", ageSeconds: 1.5 }, b: { ok: false, detail: "late" } }
      })
      yield* health.register("b", Effect.succeed({ ok: true, detail: "again" }))
      assert.isTrue((yield* health.report).ok)
    }).pipe(Effect.provide(Health.Health.layer))
  )

  it.live("answers 200 or 503 with its parts, and tells its metrics", () =>
    Effect.gen(function* () {
      const port = yield* Ports.free()
      const health = yield* Health.Health
      const ok = yield* Ref.make(true)
      yield* health.register(
        "feed",
        Effect.map(Ref.get(ok), (isOk) => ({ ok: isOk, detail: "d", ageSeconds: 2 }))
      )
      yield* Layer.build(server(port))
      const client = yield* HttpClient.HttpClient
      const ask = (path: string) =>
        Effect.flatMap(client.get(`http://127.0.0.1:${port}${path}`), (response) =>
          Effect.map(response.text, (text) => ({ status: response.status, text }))
        )
      const well = yield* ask("/healthz")
      assert.strictEqual(well.status, 200)
      assert.deepStrictEqual(JSON.parse(well.text), {
        ok: true,
        service: "test",
        parts: { feed: { ok: true, detail: "d", ageSeconds: 2 } }
      })
      yield* Ref.set(ok, false)
      assert.strictEqual((yield* ask("/healthz")).status, 503)
      assert.strictEqual((yield* ask("/metrics")).status, 200)
      assert.strictEqual((yield* ask("/else")).status, 404)
    }).pipe(Effect.provide([Health.Health.layer, NodeHttpClient.layerNodeHttp]))
  )

  it.live("a port in use is the user's mistake", () =>
    Effect.gen(function* () {
      const taken = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const made = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (made) => Effect.sync(() => made.close())
      )
      const address = taken.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const error = yield* Effect.flip(Layer.build(server(port)))
      assert.strictEqual(
        error.message,
        `SERVICE_HEALTH_PORT: port ${port} cannot be listened on (in use, or not allowed); set a free port`
      )
    }).pipe(Effect.provide(Health.Health.layer))
  )
})
