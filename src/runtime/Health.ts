import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Setting from "./Setting.ts"
import { SettingError } from "./SettingError.ts"

/** What the name of every metric begins with. */
export const metricsPrefix = "kalshi_ingestor"

/** The state of one part of a program; `ageSeconds` is how old its newest data is. */
export interface HealthReport {
  readonly ok: boolean
  readonly detail: string
  readonly ageSeconds?: number | undefined
}

/** What the parts of this process say about themselves. */
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
        Effect.forEach(parts, ([part, report]) => Effect.map(report, (found) => [part, found] as const))
      ).pipe(
        Effect.map((found) => ({
          ok: found.every(([, report]) => report.ok),
          parts: Object.fromEntries(found)
        }))
      )
    })
  })
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
        PrometheusMetrics.layerHttp({ path: "/metrics", prefix: metricsPrefix })
      )
      return HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
        Layer.catch((_) => Layer.effectDiscard(Effect.fail(portInUse("SERVICE_HEALTH_PORT", port)())))
      )
    })
  )
