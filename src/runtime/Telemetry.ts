import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpLogger from "effect/observability/OtlpLogger"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import * as Setting from "./Setting.ts"

const exporter = (signal: "TRACES" | "LOGS" | "METRICS") =>
  Setting.oneOf(
    `OTEL_${signal}_EXPORTER`,
    `otlp sends ${signal.toLowerCase()} to the collector, none does not`,
    ["otlp", "none"],
    "otlp"
  )

export const settings = {
  endpoint: Setting.urlOption(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "an OpenTelemetry collector that gets traces, logs and metrics by HTTP; nothing is sent when unset",
    "http://localhost:4318",
    ["http", "https"]
  ),
  headers: Setting.secretPairs(
    "OTEL_EXPORTER_OTLP_HEADERS",
    "headers for the collector, name=value,name=value with values percent-encoded"
  ),
  protocol: Setting.oneOf(
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "how the collector is spoken to (gRPC is not spoken)",
    ["http/json", "http/protobuf"],
    "http/json"
  ),
  compression: Setting.oneOf(
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "compression of what is sent to the collector",
    ["none", "gzip"],
    "none"
  ),
  timeout: Setting.int(
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "milliseconds until a request to the collector is given up",
    10_000,
    { min: 1, max: 600_000 }
  ),
  serviceName: Setting.text(
    "OTEL_SERVICE_NAME",
    "name of this program at the collector; kalshi-ingestor-ws and the like when unset"
  ),
  resource: Setting.pairs(
    "OTEL_RESOURCE_ATTRIBUTES",
    "attributes of everything sent to the collector, name=value,name=value with values percent-encoded"
  ),
  sampler: Setting.oneOf(
    "OTEL_TRACES_SAMPLER",
    "which traces are sent",
    [
      "always_on",
      "always_off",
      "traceidratio",
      "parentbased_always_on",
      "parentbased_always_off",
      "parentbased_traceidratio"
    ],
    "parentbased_always_on"
  ),
  sampled: Setting.number("OTEL_TRACES_SAMPLER_ARG", "share of traces that the samplers named …traceidratio send", 1, {
    min: 0,
    max: 1
  }),
  traces: exporter("TRACES"),
  logs: exporter("LOGS"),
  metrics: exporter("METRICS"),
  disabled: Setting.boolean("OTEL_SDK_DISABLED", "1 sends nothing to the collector", false)
}

const failures = Metric.counter("telemetry_requests_failed", {
  description: "Requests to the OpenTelemetry collector that failed; what they held is lost to it",
  incremental: true
})

const shutdownTimeout = Duration.seconds(1)

/** Headers of the exchange's requests that sign them: never in a trace. */
const redactedHeaders = Layer.effect(
  Headers.CurrentRedactedNames,
  Effect.map(Headers.CurrentRedactedNames, (names) => [...names, /^kalshi-access-/i])
)

/**
 * Sends traces, logs and metrics to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names. What it does not take in time is dropped
 * and told: no program waits for it.
 */
export const layer = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const read = yield* Setting.read(settings)
      if (read.endpoint === undefined || read.disabled) return redactedHeaders
      const to = (signal: string) => ({
        url: `${read.endpoint}/v1/${signal}`,
        resource: { serviceName: read.serviceName ?? `kalshi-ingestor-${service}` },
        headers: Redacted.value(read.headers),
        compression: read.compression,
        shutdownTimeout
      })
      const signals = Layer.mergeAll(
        redactedHeaders,
        read.traces === "otlp" ? sampledTracer(to("traces"), ratioOf(read)) : Layer.empty,
        read.logs === "otlp" ? OtlpLogger.layer(to("logs")) : Layer.empty,
        read.metrics === "otlp" ? OtlpMetrics.layer(to("metrics")) : Layer.empty
      )
      return signals.pipe(
        Layer.provide([
          read.protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf,
          client(read.timeout).pipe(Layer.provide(NodeHttpClient.layerNodeHttp))
        ])
      )
    })
  )

const ratioOf = (read: { readonly sampler: string; readonly sampled: number }) =>
  read.sampler.endsWith("always_off") ? 0 : read.sampler.endsWith("traceidratio") ? read.sampled : 1

/** A trace is sent whole or not at all: its root decides. */
const sampledTracer = (options: Parameters<typeof OtlpTracer.make>[0], ratio: number) =>
  Layer.effect(
    Tracer.Tracer,
    Effect.gen(function* () {
      const random = yield* Random.Random
      const tracer = yield* OtlpTracer.make(options)
      if (ratio >= 1) return tracer
      return Tracer.make({
        span: (span) =>
          tracer.span(
            Option.isNone(span.parent) && random.nextDoubleUnsafe() >= ratio ? { ...span, sampled: false } : span
          ),
        context: tracer.context
      })
    })
  ).pipe(Layer.provideMerge(OtlpExporter.layerFlusher))

/** A collector that accepts a connection and says nothing must not keep what waits for it; the first failure of a row is told. */
const client = (timeoutMillis: number) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.gen(function* () {
      let reachable = true
      const tell = (now: boolean, say: Effect.Effect<void>) =>
        Effect.suspend(() => {
          const before = reachable
          reachable = now
          return before === now ? Effect.void : say
        })
      return (yield* HttpClient.HttpClient).pipe(
        HttpClient.transformResponse((response) =>
          response.pipe(
            Effect.tap(({ arrayBuffer }) => arrayBuffer),
            Effect.timeout(Duration.millis(timeoutMillis)),
            Effect.catchTag("TimeoutError", () => Effect.die(new Error("the collector did not answer in time"))),
            Effect.tapCause(() =>
              Effect.andThen(
                Metric.update(failures, 1),
                tell(
                  false,
                  Effect.logWarning("the OpenTelemetry collector does not answer; what it was to get is dropped")
                )
              )
            ),
            Effect.tap(() => tell(true, Effect.logInfo("the OpenTelemetry collector answers again")))
          )
        )
      )
    })
  )
