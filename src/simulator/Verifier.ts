import { constants, createPublicKey, type KeyObject, verify } from "node:crypto"
import type { AcceptedKey, Strictness } from "./Options.ts"

export type Verdict =
  | { readonly _tag: "Anonymous" }
  | { readonly _tag: "Signed"; readonly keyId: string }
  | { readonly _tag: "Refused"; readonly details: string }

/** The three headers of a signed request, as they came. */
export interface SignedHeaders {
  readonly key: string | undefined
  readonly timestamp: string | undefined
  readonly signature: string | undefined
}

const base64 = /^[A-Za-z0-9+/]+={0,2}$/

/** Checks signatures of `timestamp + METHOD + path` against the accepted keys. */
export class Verifier {
  readonly #keys: Map<string, KeyObject>
  readonly #strictness: Strictness

  constructor(keys: ReadonlyArray<AcceptedKey>, strictness: Strictness) {
    this.#keys = new Map(keys.map((key) => [key.keyId, createPublicKey(key.publicKeyPem)]))
    this.#strictness = strictness
  }

  accept({ keyId, publicKeyPem }: AcceptedKey): void {
    this.#keys.set(keyId, createPublicKey(publicKeyPem))
  }

  /** False when no such key is accepted. */
  revoke(keyId: string): boolean {
    return this.#keys.delete(keyId)
  }

  verify(headers: SignedHeaders, method: string, path: string, wallMillis: number): Verdict {
    const { key, signature, timestamp } = headers
    if (key === undefined && signature === undefined && timestamp === undefined) return { _tag: "Anonymous" }
    if (key === undefined || signature === undefined || timestamp === undefined)
      return { _tag: "Refused", details: "KALSHI-ACCESS-KEY, -TIMESTAMP and -SIGNATURE go together" }
    const publicKey = this.#keys.get(key)
    if (publicKey === undefined) return { _tag: "Refused", details: "NOT_FOUND" }
    if (!/^\d{13}$/.test(timestamp)) return { _tag: "Refused", details: "TIMESTAMP_NOT_MILLISECONDS" }
    if (Math.abs(wallMillis - Number(timestamp)) > this.#strictness.clockSkewMs)
      return { _tag: "Refused", details: "TIMESTAMP_EXPIRED" }
    if (!base64.test(signature) || signature.length % 4 !== 0)
      return { _tag: "Refused", details: "INCORRECT_API_KEY_SIGNATURE" }
    const text = Buffer.from(`${timestamp}${method}${path}`, "utf8")
    const bytes = Buffer.from(signature, "base64")
    const good =
      publicKey.asymmetricKeyType === "ed25519"
        ? verify(null, text, publicKey, bytes)
        : verify(
            "sha256",
            text,
            {
              key: publicKey,
              padding: constants.RSA_PKCS1_PSS_PADDING,
              saltLength: this.#strictness.strictSalt ? 32 : constants.RSA_PSS_SALTLEN_AUTO
            },
            bytes
          )
    return good ? { _tag: "Signed", keyId: key } : { _tag: "Refused", details: "INCORRECT_API_KEY_SIGNATURE" }
  }
}
