import * as Schema from "effect/Schema"

const NotFound = Schema.TaggedStruct("NotFound", {})
const RateLimited = Schema.TaggedStruct("RateLimited", { retryAfterSeconds: Schema.optionalKey(Schema.Finite) })
const Unauthorized = Schema.TaggedStruct("Unauthorized", { code: Schema.optionalKey(Schema.String) })
const Rejected = Schema.TaggedStruct("Rejected", {
  status: Schema.Int,
  code: Schema.optionalKey(Schema.String),
  details: Schema.optionalKey(Schema.String)
})
const ExchangeUnavailable = Schema.TaggedStruct("ExchangeUnavailable", { status: Schema.Int })
const CircuitOpen = Schema.TaggedStruct("CircuitOpen", { retryAfterSeconds: Schema.Finite })
const Malformed = Schema.TaggedStruct("Malformed", { issue: Schema.String })
const Network = Schema.TaggedStruct("Network", { problem: Schema.String })

export const KalshiRestReason = Schema.Union([
  NotFound,
  RateLimited,
  Unauthorized,
  Rejected,
  ExchangeUnavailable,
  CircuitOpen,
  Malformed,
  Network
])
export type KalshiRestReason = typeof KalshiRestReason.Type

/** Why a REST call failed. `route` is the template (`GET /markets/{ticker}`), never the values in it. */
export class KalshiRestError extends Schema.TaggedError<KalshiRestError>()("KalshiRestError", {
  route: Schema.String,
  reason: KalshiRestReason
}) {
  /** The same call may work later, unchanged. */
  get retryable(): boolean {
    return retryableReasons.has(this.reason._tag)
  }

  /** The exchange, or the way to it, failed: not our request. */
  get outage(): boolean {
    return this.reason._tag === "ExchangeUnavailable" || this.reason._tag === "Network"
  }

  override get message(): string {
    return `${this.route}: ${explain(this.reason)}`
  }
}

const retryableReasons: ReadonlySet<string> = new Set(["RateLimited", "ExchangeUnavailable", "CircuitOpen", "Network"])

const explain = (reason: KalshiRestReason): string => {
  switch (reason._tag) {
    case "NotFound":
      return "not found"
    case "RateLimited":
      return "too many requests (429)"
    case "Unauthorized":
      return `not authorized (401${reason.code === undefined ? "" : `, ${reason.code}`}); check KALSHI_API_KEY_ID, that its private key is the one of KALSHI_PRIVATE_KEY_PEM_PATH, and that this machine's clock is right`
    case "Rejected":
      return `refused (${[reason.status, reason.code, reason.details].filter((part) => part !== undefined).join(", ")})`
    case "ExchangeUnavailable":
      return `the exchange is unavailable (${reason.status})`
    case "CircuitOpen":
      return `calls pause for ${Math.ceil(reason.retryAfterSeconds)} s after repeated failures`
    case "Malformed":
      return `the answer is not what this version expects: ${reason.issue}`
    case "Network":
      return `no answer: ${reason.problem}`
  }
}
