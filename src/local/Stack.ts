import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Schedule from "effect/Schedule"
import { Children } from "./Children.ts"
import * as Ports from "./Ports.ts"

export interface StackOptions {
  /** Variables of every program: database, exchange, clock. */
  readonly env: Readonly<Record<string, string>>
  readonly portalPort: number
  /** Processes that do the heavy pulls, which rest then enqueues. */
  readonly workers?: number | undefined
  /** Generated when absent. */
  readonly portalPassword?: string | undefined
  /** Variables of the predictor; it runs when they are given. */
  readonly predictor?: Readonly<Record<string, string>> | undefined
}

export interface Stack {
  readonly portal: string
  readonly portalPassword: string
  /** Where each program serves /healthz and /metrics, by its label. */
  readonly health: Readonly<Record<string, string>>
  /** Waits until every program says it is well. */
  readonly ready: Effect.Effect<void>
  /** Logs in and reads the portal's overview; 0 when it does not answer. */
  readonly portalStatus: Effect.Effect<number>
}

const password = () => randomBytes(9).toString("base64url")

/** Migrates the database, then keeps rest, ws, the portal and, where it is wanted, the predictor running, as in production: one process each. */
export const start = Effect.fn("Stack.start")(function* (options: StackOptions) {
  const children = yield* Children
  const http = yield* HttpClient.HttpClient
  yield* children.run({ program: "migrator", env: options.env })
  const health: Record<string, string> = {}
  const watched = Effect.fnUntraced(function* (label: string) {
    const port = yield* Ports.free()
    health[label] = `http://127.0.0.1:${port}`
    return { SERVICE_HEALTH_PORT: String(port) }
  })
  const portalPort = yield* Ports.free(options.portalPort)
  const portalPassword = options.portalPassword ?? password()
  const workers = options.workers ?? 0
  yield* children.supervise({
    program: "rest",
    env: {
      ...options.env,
      ...(workers > 0 ? { WORK_QUEUE_ENABLE: "1" } : {}),
      ...(yield* watched("rest"))
    }
  })
  for (let n = 1; n <= workers; n++)
    yield* children.supervise({
      program: "worker",
      label: `worker-${n}`,
      env: { ...options.env, ...(yield* watched(`worker-${n}`)) }
    })
  yield* children.supervise({ program: "ws", env: { ...options.env, ...(yield* watched("ws")) } })
  yield* children.supervise({
    program: "portal",
    env: {
      ...options.env,
      ...(yield* watched("portal")),
      WEB_PORTAL_HOST: "127.0.0.1",
      WEB_PORTAL_PORT: String(portalPort),
      WEB_PORTAL_PASSWORD: portalPassword,
      WEB_PORTAL_SECRET_KEY: randomBytes(32).toString("hex")
    }
  })
  if (options.predictor !== undefined)
    yield* children.supervise({
      program: "predictor",
      env: { ...options.env, ...(yield* watched("predictor")), ...options.predictor }
    })
  const portal = `http://127.0.0.1:${portalPort}`
  const answers = (url: string) =>
    http.get(url).pipe(
      Effect.filterOrFail((response) => response.status === 200),
      Effect.retry(Schedule.spaced("200 millis")),
      Effect.ignore
    )
  const portalStatus = Effect.gen(function* () {
    const login = yield* http.execute(
      HttpClientRequest.post(`${portal}/api/session`).pipe(
        HttpClientRequest.setHeader("origin", portal),
        HttpClientRequest.bodyJsonUnsafe({ password: portalPassword })
      )
    )
    const cookie = String(login.headers["set-cookie"] ?? "").split(";")[0]!
    const overview = yield* http.get(`${portal}/api/overview`, { headers: { cookie } })
    return overview.status
  }).pipe(Effect.orElseSucceed(() => 0))
  const stack: Stack = {
    portal,
    portalPassword,
    portalStatus,
    health,
    ready: Effect.all([answers(`${portal}/healthz`), answers(`${health["ws"]}/healthz`)], { discard: true })
  }
  return stack
})
