import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type { RoleName } from "../runtime/Access.ts"
import * as Environment from "../runtime/Environment.ts"
import type { SettingError } from "../runtime/SettingError.ts"
import { Database } from "../store/Database.ts"
import { Children } from "./Children.ts"
import type { Addresses } from "./Logins.ts"
import * as Ports from "./Ports.ts"

export interface StackOptions {
  /** Variables over those of this process: exchange, clock. Each program gets what is its own of them. */
  readonly env: Readonly<Record<string, string>>
  /** Whether they come over the variables of our ENV_FILE, too. */
  readonly withFile: boolean
  /** How each program logs in, once the database is migrated. */
  readonly addresses: Effect.Effect<Addresses, SettingError, Database>
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
  const { url } = yield* Database
  const migrator = { ...options.env, DATABASE_URL: Redacted.value(url) }
  yield* children.run({
    program: "migrator",
    env: yield* Environment.ofChild("none", migrator, options.withFile)
  })
  const addresses = yield* options.addresses
  const envOf = (role: RoleName, more: Readonly<Record<string, string>> = {}) =>
    Environment.ofChild(
      role,
      {
        ...options.env,
        ...more,
        DATABASE_URL: Redacted.value(addresses[role]),
        SERVICE_ROLE: role,
        SERVICE_ENV_GUARDRAILS: "enforce"
      },
      options.withFile
    )
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
    env: yield* envOf("rest", {
      ...(workers > 0 ? { WORK_QUEUE_ENABLE: "1" } : {}),
      ...(yield* watched("rest"))
    })
  })
  for (let n = 1; n <= workers; n++)
    yield* children.supervise({
      program: "worker",
      label: `worker-${n}`,
      env: yield* envOf("worker", yield* watched(`worker-${n}`))
    })
  yield* children.supervise({ program: "ws", env: yield* envOf("ws", yield* watched("ws")) })
  yield* children.supervise({
    program: "portal",
    env: yield* envOf("portal", {
      ...(yield* watched("portal")),
      WEB_PORTAL_HOST: "127.0.0.1",
      WEB_PORTAL_PORT: String(portalPort),
      WEB_PORTAL_PASSWORD: portalPassword,
      WEB_PORTAL_SECRET_KEY: randomBytes(32).toString("hex")
    })
  })
  if (options.predictor !== undefined)
    yield* children.supervise({
      program: "predictor",
      env: yield* envOf("predictor", { ...(yield* watched("predictor")), ...options.predictor })
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
