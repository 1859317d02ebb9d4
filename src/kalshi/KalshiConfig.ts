import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Setting from "../runtime/Setting.ts"

export const settings = {
  apiKeyId: Setting.text("KALSHI_API_KEY_ID", "Id of the API key (a UUID), from your account's API keys page"),
  privateKeyPath: Setting.text(
    "KALSHI_PRIVATE_KEY_PEM_PATH",
    "File with that key's private half: PEM, RSA or Ed25519, readable by you alone (chmod 600)"
  ),
  restUrl: Setting.url(
    "KALSHI_REST_URL",
    "Base address of the REST API; KALSHI_HOST is its older name",
    "https://external-api.kalshi.com/trade-api/v2",
    ["https", "http"],
    { aliases: ["KALSHI_HOST"] }
  ),
  socketUrl: Setting.url(
    "KALSHI_WS_URL",
    "Address of the WebSocket API",
    "wss://external-api-ws.kalshi.com/trade-api/ws/v2",
    ["wss", "ws"]
  ),
  timeoutSeconds: Setting.number("KALSHI_REST_TIMEOUT_SECONDS", "Longest wait for one REST answer", 30, {
    min: 0.1,
    max: 600
  }),
  retries: Setting.int("KALSHI_EVENTS_RETRIES", "How often a REST call that failed in passing is tried again", 5, {
    min: 0,
    max: 50
  }),
  failureThreshold: Setting.int("REST_FAILURE_THRESHOLD", "REST failures in a row after which calls pause", 5, {
    min: 1,
    max: 1000
  }),
  circuitBreakerSeconds: Setting.number("REST_CIRCUIT_BREAKER_SECONDS", "How long calls pause then", 60, {
    min: 0.1,
    max: 3600
  }),
  rateLimitBackend: Setting.oneOf(
    "KALSHI_REST_RATE_LIMIT_BACKEND",
    "db: all processes on this database share one budget of calls; memory: each process has its own",
    ["db", "memory"],
    "db"
  ),
  ratePerSecond: Setting.number(
    "KALSHI_REST_RATE_PER_SEC",
    "REST calls a second (10 tokens each); 0 takes what /account/limits allows",
    0,
    { min: 0, max: 10_000 }
  ),
  burst: Setting.int(
    "KALSHI_REST_BURST",
    "REST calls that may go out at once; 0 takes what /account/limits allows",
    0,
    { min: 0, max: 100_000 }
  )
}

/** How to reach the exchange and how hard to press it. */
export class KalshiConfig extends Context.Service<KalshiConfig, Setting.Values<typeof settings>>()(
  "kalshi-ingestor/kalshi/KalshiConfig"
) {
  static readonly layer = Layer.effect(KalshiConfig, Setting.read(settings))
}
