import * as Crypto from "node:crypto"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Credential, Credentials } from "./Credentials.ts"

export class SigningError extends Schema.TaggedError<SigningError>()("SigningError", {
  reason: Schema.Literals(["NoCredentials", "KeyRefused"])
}) {
  override get message(): string {
    return this.reason === "NoCredentials"
      ? "KALSHI_API_KEY_ID and KALSHI_PRIVATE_KEY_PEM_PATH are not set"
      : "the private key of KALSHI_PRIVATE_KEY_PEM_PATH cannot sign"
  }
}

/** Signs requests and WebSocket upgrades for the configured API key. */
export class Signer extends Context.Service<
  Signer,
  {
    /** False when no API key is configured; public routes then go unsigned. */
    readonly available: boolean
    /**
     * The three access headers over `timestamp + METHOD + path`, with the wall clock's milliseconds of now. `path` runs
     * from the root (`/trade-api/v2/markets`); a query string, if any, is left out. RSA keys sign with PSS, SHA-256 and
     * a salt of 32 bytes.
     */
    readonly headers: (method: string, path: string) => Effect.Effect<Readonly<Record<string, string>>, SigningError>
  }
>()("kalshi-ingestor/kalshi/Signer") {
  static readonly layer = Layer.effect(
    Signer,
    Effect.gen(function* () {
      const { current, isConfigured } = yield* Credentials
      const headers = Effect.fn("Signer.headers")(function* (method: string, path: string) {
        const credential = Option.getOrUndefined(yield* current)
        if (credential === undefined) return yield* new SigningError({ reason: "NoCredentials" })
        const timestamp = String(yield* Clock.currentTimeMillis)
        const signature = yield* sign(credential, `${timestamp}${method.toUpperCase()}${path.split("?", 1)[0]}`)
        return {
          "KALSHI-ACCESS-KEY": credential.keyId,
          "KALSHI-ACCESS-TIMESTAMP": timestamp,
          "KALSHI-ACCESS-SIGNATURE": signature
        }
      })
      return Signer.of({ available: isConfigured, headers })
    })
  )
}

const sign = (credential: Credential, text: string) =>
  Effect.callback<string, SigningError>((resume) =>
    Crypto.sign(
      credential.algorithm === "rsa" ? "sha256" : null,
      Buffer.from(text),
      credential.algorithm === "rsa"
        ? {
            key: credential.privateKey,
            padding: Crypto.constants.RSA_PKCS1_PSS_PADDING,
            saltLength: Crypto.constants.RSA_PSS_SALTLEN_DIGEST
          }
        : credential.privateKey,
      (error, signature) =>
        resume(
          error === null
            ? Effect.succeed(signature.toString("base64"))
            : Effect.fail(new SigningError({ reason: "KeyRefused" }))
        )
    )
  )
