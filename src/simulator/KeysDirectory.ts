import { createPublicKey } from "node:crypto"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { makeSigningKey, type SigningKey } from "./SigningKey.ts"

const keyFile = "kalshi-key.pem"
const idFile = "kalshi-key-id"

/** The key pair kept in a directory: `kalshi-key.pem` (mode 0600) and `kalshi-key-id`, made on first use. */
export const keysDirectory = Effect.fn("KeysDirectory.load")(function* (directory: string) {
  const files = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const pemPath = path.join(directory, keyFile)
  const idPath = path.join(directory, idFile)
  if ((yield* files.exists(pemPath)) && (yield* files.exists(idPath))) {
    const privateKeyPem = yield* files.readFileString(pemPath)
    const keyId = (yield* files.readFileString(idPath)).trim()
    const publicKeyPem = createPublicKey(privateKeyPem).export({ type: "spki", format: "pem" }).toString()
    return { keyId, privateKeyPem, publicKeyPem } satisfies SigningKey
  }
  yield* files.makeDirectory(directory, { recursive: true })
  const key = yield* makeSigningKey
  yield* files.writeFileString(pemPath, key.privateKeyPem, { mode: 0o600 })
  yield* files.writeFileString(idPath, `${key.keyId}\n`)
  return key
})
