import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Ports from "../../src/local/Ports.ts"
import { LogControl } from "../../src/runtime/LogControl.ts"
import * as Logging from "../../src/runtime/Logging.ts"
import * as Collector from "../support/Collector.ts"

/** Takes connections and says nothing; its port. */
const silentServer = Effect.acquireRelease(
  Effect.callback<Net.Server>((resume) => {
    const server = Net.createServer(() => {})
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
).pipe(
  Effect.map((server) => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  })
)

const logging = (settings: Readonly<Record<string, string>>) => {
  const provider = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ LOG_STDOUT: "0", ...settings }))
  return <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(effect, Logging.layer("rest").pipe(Layer.provide(provider)))
}

const until = (received: Queue.Dequeue<Collector.Received>, path: string) =>
  Queue.take(received).pipe(Effect.repeat({ until: (request) => request.path === path }), Effect.timeout("10 seconds"))

describe("Telemetry", () => {
  it.live("a span, a line and the metrics arrive with the name of the service and its attributes", () =>
    Effect.gen(function* () {
      const { endpoint, received } = yield* Collector.start
      yield* Effect.logInfo("hello").pipe(
        Effect.annotateLogs({ loop: "discovery" }),
        Effect.andThen(Effect.logDebug("not severe enough")),
        Effect.withSpan("outer"),
        logging({
          OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
          OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20secret",
          OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test"
        })
      )
      const requests = yield* Queue.takeAll(received)
      assert.sameMembers([...new Set(requests.map(({ path }) => path))], ["/v1/logs", "/v1/metrics", "/v1/traces"])
      for (const { authorization, body } of requests) {
        assert.strictEqual(authorization, "Bearer secret")
        assert.include(body, `{"key":"service.name","value":{"stringValue":"kalshi-ingestor-rest"}}`)
        assert.include(body, `{"key":"deployment.environment.name","value":{"stringValue":"test"}}`)
      }
      const bodyOf = (path: string) => requests.find((request) => request.path === path)?.body ?? ""
      assert.include(bodyOf("/v1/traces"), `"name":"outer"`)
      assert.include(bodyOf("/v1/logs"), `"stringValue":"hello"`)
      assert.include(bodyOf("/v1/logs"), `"severityText":"Info"`)
      assert.include(bodyOf("/v1/logs"), `{"key":"loop","value":{"stringValue":"discovery"}}`)
      assert.notInclude(bodyOf("/v1/logs"), "not severe enough")
    })
  )

  it.live("a sampler sends its share of the traces, and a trace whole or not at all", () =>
    Effect.gen(function* () {
      const { endpoint, received } = yield* Collector.start
      yield* Effect.void.pipe(
        Effect.withSpan("inner"),
        Effect.withSpan("outer", { root: true }),
        Effect.repeat({ times: 399 }),
        logging({
          OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
          OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
          OTEL_TRACES_SAMPLER_ARG: "0.25",
          OTEL_LOGS_EXPORTER: "none",
          OTEL_METRICS_EXPORTER: "none",
          OTEL_SERVICE_NAME: "mine"
        })
      )
      const requests = yield* Queue.takeAll(received)
      const text = requests.map(({ body }) => body).join("")
      const outer = text.split(`"name":"outer"`).length - 1
      assert.isTrue(outer > 40 && outer < 200)
      assert.strictEqual(text.split(`"name":"inner"`).length - 1, outer)
      assert.include(text, `"stringValue":"mine"`)
      assert.isTrue(requests.every(({ path }) => path === "/v1/traces"))
    })
  )

  it.live("a level set at run time counts for the collector too", () =>
    Effect.gen(function* () {
      const { endpoint, received } = yield* Collector.start
      yield* Effect.gen(function* () {
        const control = yield* LogControl
        yield* control.setLevel("Debug")
        yield* Effect.logDebug("now it is")
        const { body } = yield* until(received, "/v1/logs")
        assert.include(body, "now it is")
      }).pipe(logging({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }))
    })
  )

  it.live("a collector that is not there, or never answers, keeps nobody", () =>
    Effect.gen(function* () {
      const silent = yield* silentServer
      for (const port of [yield* Ports.free(), silent]) {
        yield* Effect.logInfo("line").pipe(
          Effect.withSpan("span"),
          Effect.repeat({ schedule: Schedule.recurs(5000) }),
          logging({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_TIMEOUT: "500" }),
          Effect.timeout("15 seconds")
        )
      }
    })
  )

  it.effect("a mistake is told in one line, without the secret", () =>
    Effect.gen(function* () {
      const mistake = (settings: Readonly<Record<string, string>>) =>
        Effect.map(Effect.flip(logging(settings)(Effect.void)), (error) => error.message)
      const named = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318" }
      const headers = yield* mistake({ ...named, OTEL_EXPORTER_OTLP_HEADERS: "Bearer hunter2" })
      assert.include(headers, "OTEL_EXPORTER_OTLP_HEADERS: an entry is not name=value")
      assert.notInclude(headers, "hunter2")
      assert.include(
        yield* mistake({ ...named, OTEL_RESOURCE_ATTRIBUTES: "a=%" }),
        "OTEL_RESOURCE_ATTRIBUTES: a value holds a %"
      )
      assert.include(yield* mistake({ ...named, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }), "OTEL_EXPORTER_OTLP_PROTOCOL: ")
      assert.include(yield* mistake({}), "LOG_STDOUT: there would be no log at all")
    })
  )
})
