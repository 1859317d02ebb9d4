import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Setting from "./Setting.ts"
import { SettingError } from "./SettingError.ts"

/** What the name of every metric begins with. */
const metricsPrefix = "kalshi_ingestor"

/** The state of one part of a program; `ageSeconds` is how old its newest data is. */
export interface HealthReport {
  readonly ok: boolean
  readonly detail: string
  readonly ageSeconds?: number | undefined
}

const partOk = Metric.gauge("part_ok", {
  description: "1 where this part of the program is well, 0 where it is not, as /healthz says"
})
const partAge = Metric.gauge("part_age_seconds", {
  description: "Age of this part's newest data or last complete pass"
})

/** A part that does not answer must not keep the others from being heard. */
const answersWithin = "3 seconds"

/** What the parts of this process say about themselves; `report` brings the metrics of the parts up to date. */
export class Health extends Context.Service<
  Health,
  {
    register(part: string, report: Effect.Effect<HealthReport>): Effect.Effect<void>
    readonly report: Effect.Effect<{ readonly ok: boolean; readonly parts: Readonly<Record<string, HealthReport>> }>
  }
>()("kalshi-ingestor/runtime/Health") {
  static readonly layer = Layer.sync(Health, () => {
    const parts = new Map<string, Effect.Effect<HealthReport>>()
    return Health.of({
      register: (part, report) =>
        Effect.sync(() => {
          parts.set(part, report)
        }),
      report: Effect.suspend(() =>
        Effect.forEach(parts, ([part, report]) => Effect.map(heard(report), (found) => [part, found] as const), {
          concurrency: "unbounded"
        })
      ).pipe(
        Effect.tap((found) => Effect.forEach(found, ([part, report]) => counted(part, report), { discard: true })),
        Effect.map((found) => ({
          ok: found.every(([, report]) => report.ok),
          parts: Object.fromEntries(found)
        }))
      )
    })
  })
}

const counted = (part: string, { ageSeconds, ok }: HealthReport) =>
  Effect.andThen(
    Metric.update(Metric.withAttributes(partOk, { part }), ok ? 1 : 0),
    ageSeconds === undefined ? Effect.void : Metric.update(Metric.withAttributes(partAge, { part }), ageSeconds)
  )

const heard = (report: Effect.Effect<HealthReport>) =>
  report.pipe(
    Effect.timeoutOrElse({
      duration: answersWithin,
      orElse: () => Effect.succeed<HealthReport>({ ok: false, detail: "does not answer within 3 s" })
    })
  )

const bounds = { min: 1, max: 31_536_000 }
const stale = (name: string, what: string, unset: string, example: number, aliases: ReadonlyArray<string> = []) =>
  Setting.numberOption(name, `${what} is unwell; ${unset} when unset`, example, bounds, { aliases })

/** From which age on a part is unwell. Each is read by the program whose part it is. */
export const thresholds = {
  discovery: stale(
    "HEALTH_DISCOVERY_STALE_SECONDS",
    "seconds since the last complete discovery pass from which on rest",
    "twice DISCOVERY_SECONDS, 600 at least,",
    600
  ),
  backfill: stale(
    "HEALTH_BACKFILL_STALE_SECONDS",
    "seconds since the last complete backfill pass from which on rest",
    "twice BACKFILL_SECONDS, 600 at least,",
    600
  ),
  ws: stale(
    "HEALTH_WS_STALE_SECONDS",
    "seconds without a sign of life of the feed (a quiet market's server still pings), or with frames not stored, from which on ws",
    "60",
    60
  ),
  worker: stale(
    "HEALTH_WORKER_STALE_SECONDS",
    "seconds without an answer of the queue from which on worker",
    "the lease of a job",
    60
  ),
  predictor: stale(
    "HEALTH_RAG_STALE_SECONDS",
    "seconds since the last look for due forecasts from which on predictor",
    "three times the poll, 60 at least,",
    60,
    ["HEALTH_PREDICTOR_STALE_SECONDS"]
  )
}

export const settings = {
  port: Setting.portOption(
    "SERVICE_HEALTH_PORT",
    "serves /healthz and /metrics on this port; nothing listens when unset",
    9101
  ),
  host: Setting.textOr("SERVICE_HEALTH_HOST", "address the health port listens on", "127.0.0.1")
}

/** A listen failure as the user's mistake it is. */
export const portInUse = (setting: string, port: number) => () =>
  new SettingError({
    setting,
    problem: `port ${port} cannot be listened on (in use, or not allowed)`,
    fix: "set a free port"
  })

/** The metrics of this process as Prometheus reads them; the names of counters end in `_total`. */
export const metricsText = Effect.gen(function* () {
  const counters = new Set((yield* Metric.snapshot).flatMap(({ id, type }) => (type === "Counter" ? [id] : [])))
  return yield* PrometheusMetrics.format({
    prefix: metricsPrefix,
    metricNameMapper: (name) => (counters.has(name) ? `${name}_total` : name)
  })
})

/** Serves `/healthz` (200 or 503 with the parts as JSON) and `/metrics` (Prometheus text) when SERVICE_HEALTH_PORT is set. */
export const layerServer = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { host, port } = yield* Setting.read(settings)
      if (port === undefined) return Layer.empty
      const health = yield* Health
      const routes = Layer.mergeAll(
        HttpRouter.add(
          "GET",
          "/healthz",
          Effect.flatMap(health.report, ({ ok, parts }) =>
            HttpServerResponse.json({ ok, service, parts }, { status: ok ? 200 : 503 })
          )
        ),
        HttpRouter.add(
          "GET",
          "/metrics",
          Effect.andThen(
            health.report,
            Effect.map(metricsText, (text) =>
              HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" })
            )
          )
        )
      )
      return HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
        Layer.catch((_) => Layer.effectDiscard(Effect.fail(portInUse("SERVICE_HEALTH_PORT", port)())))
      )
    })
  )
