import * as Schema from "effect/Schema"
import { socketErrorCode } from "./SocketErrorCode.ts"

const NoCredentials = Schema.TaggedStruct("NoCredentials", {})
const Unauthorized = Schema.TaggedStruct("Unauthorized", {})
const UpgradeRefused = Schema.TaggedStruct("UpgradeRefused", { status: Schema.Int })
const OpenFailed = Schema.TaggedStruct("OpenFailed", { problem: Schema.String })
const OpenTimeout = Schema.TaggedStruct("OpenTimeout", {})
const Closed = Schema.TaggedStruct("Closed", { code: Schema.Int, closeReason: Schema.String })
const NoPing = Schema.TaggedStruct("NoPing", { seconds: Schema.Finite })
const Broken = Schema.TaggedStruct("Broken", { problem: Schema.String })
const CommandTimeout = Schema.TaggedStruct("CommandTimeout", { command: Schema.String })
const CommandRejected = Schema.TaggedStruct("CommandRejected", { command: Schema.String, code: Schema.Int })
const SubscriptionEnded = Schema.TaggedStruct("SubscriptionEnded", { code: Schema.Int })
const Asked = Schema.TaggedStruct("Asked", {})
const NoData = Schema.TaggedStruct("NoData", { seconds: Schema.Finite })

export const KalshiSocketReason = Schema.Union([
  NoCredentials,
  Unauthorized,
  UpgradeRefused,
  OpenFailed,
  OpenTimeout,
  Closed,
  NoPing,
  Broken,
  CommandTimeout,
  CommandRejected,
  SubscriptionEnded,
  NoData,
  Asked
])
export type KalshiSocketReason = typeof KalshiSocketReason.Type

/** Why there is no session, why one ended, or why a command was not done. */
export class KalshiSocketError extends Schema.TaggedError<KalshiSocketError>()("KalshiSocketError", {
  reason: KalshiSocketReason
}) {
  override get message(): string {
    return explain(this.reason)
  }
}

const explain = (reason: KalshiSocketReason): string => {
  switch (reason._tag) {
    case "NoCredentials":
      return "the feed needs an API key: KALSHI_API_KEY_ID and KALSHI_PRIVATE_KEY_PEM_PATH are not set"
    case "Unauthorized":
      return "the feed refused the API key (401); check KALSHI_API_KEY_ID, that its private key is the one of KALSHI_PRIVATE_KEY_PEM_PATH, and that this machine's clock is right"
    case "UpgradeRefused":
      return `the feed refused the connection (${reason.status})`
    case "OpenFailed":
      return `the feed cannot be reached (${reason.problem})`
    case "OpenTimeout":
      return "the feed did not answer within 10 s"
    case "Closed":
      return `the feed closed the connection (${reason.code}${reason.closeReason === "" ? "" : `, ${reason.closeReason}`})`
    case "NoPing":
      return `the feed is silent: no ping for ${reason.seconds} s`
    case "Broken":
      return `the connection broke (${reason.problem})`
    case "CommandTimeout":
      return `${reason.command}: no acknowledgement within 10 s`
    case "CommandRejected":
      return `${reason.command}: refused with code ${reason.code}, ${socketErrorCode(reason.code).meaning}`
    case "Asked":
      return "a new connection was asked for"
    case "NoData":
      return `the feed lives and sends nothing: no data for ${reason.seconds} s, and none when asked`
    case "SubscriptionEnded":
      return `the feed ended a subscription (code ${reason.code}, ${socketErrorCode(reason.code).meaning})`
  }
}
