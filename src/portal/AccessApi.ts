import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { Timestamp } from "../market/Timestamp.ts"
import { NotKnown, PersonOnly, TooManyAttempts, Unavailable, WrongPassword } from "./ApiErrors.ts"
import { described, Time } from "./ApiFields.ts"

export const SessionInfo = Schema.Struct({ signedIn: Schema.Boolean, expiresAt: Time })
export type SessionInfo = typeof SessionInfo.Type

export const ApiToken = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  createdAt: Timestamp,
  expiresAt: Time,
  lastUsedAt: Time.annotate(described("to the minute"))
})
export type ApiToken = typeof ApiToken.Type

export class Session extends HttpApiGroup.make("session").add(
  HttpApiEndpoint.get("get", "/api/session", { success: SessionInfo, error: Unavailable }).annotate(
    OpenApi.Summary,
    "Who am I"
  ),
  HttpApiEndpoint.post("login", "/api/session", {
    payload: Schema.Struct({ password: Schema.String.check(Schema.isMaxLength(1024)) }),
    success: SessionInfo,
    error: [WrongPassword, TooManyAttempts, Unavailable]
  }).annotate(OpenApi.Summary, "Sign in; sets the session cookie"),
  HttpApiEndpoint.delete("logout", "/api/session", { success: HttpApiSchema.NoContent, error: Unavailable }).annotate(
    OpenApi.Summary,
    "Sign out: this session is over; clears its cookie"
  )
) {}

export class Access extends HttpApiGroup.make("access")
  .add(
    HttpApiEndpoint.delete("logoutEverywhere", "/api/sessions", {
      success: HttpApiSchema.NoContent,
      error: Unavailable
    }).annotate(OpenApi.Summary, "Sign out everywhere: every session is over, this one too"),
    HttpApiEndpoint.get("tokens", "/api/tokens", { success: Schema.Array(ApiToken), error: Unavailable }).annotate(
      OpenApi.Summary,
      "Read-only tokens for programs"
    ),
    HttpApiEndpoint.post("createToken", "/api/tokens", {
      payload: Schema.Struct({
        name: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(100)),
        days: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3650 }))).annotate(
          described("how long it is valid; for ever when absent")
        )
      }),
      success: Schema.Struct({
        ...ApiToken.fields,
        token: Schema.String.annotate(described("shown this once; send it as `Authorization: Bearer …`"))
      }),
      error: Unavailable
    }).annotate(OpenApi.Summary, "A new token; only its hash is kept"),
    HttpApiEndpoint.delete("revokeToken", "/api/tokens/:id", {
      params: { id: Schema.String.check(Schema.isMaxLength(30)) },
      success: HttpApiSchema.NoContent,
      error: [NotKnown, Unavailable]
    }).annotate(OpenApi.Summary, "The token is refused from now on")
  )
  .middleware(PersonOnly) {}
