import { generateKeyPair, randomUUID } from "node:crypto"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"

/** A key pair that the exchange accepts. */
export interface SigningKey {
  readonly keyId: string
  readonly privateKeyPem: string
  readonly publicKeyPem: string
}

const generate = promisify(generateKeyPair)

export const makeSigningKey: Effect.Effect<SigningKey> = Effect.promise(async () => {
  const { privateKey, publicKey } = await generate("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" }
  })
  return { keyId: randomUUID(), privateKeyPem: privateKey, publicKeyPem: publicKey }
})
