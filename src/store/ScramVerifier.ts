import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto"

const iterations = 4096

/**
 * What PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5802 and 7677). Sent in place of the password it tells nobody what the
 * password is, not even the server's log.
 */
export const scramVerifier = (password: string, salt: Uint8Array = randomBytes(16)): string => {
  const salted = pbkdf2Sync(password.normalize("NFKC"), salt, iterations, 32, "sha256")
  const keyed = (label: string) => createHmac("sha256", salted).update(label).digest()
  const stored = createHash("sha256").update(keyed("Client Key")).digest("base64")
  const server = keyed("Server Key").toString("base64")
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString("base64")}$${stored}:${server}`
}
