import { createHash, scrypt, timingSafeEqual } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { SettingError } from "../runtime/SettingError.ts"

interface ScryptHash {
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
  readonly salt: Buffer
  readonly hash: Buffer
}

const maxScryptBytes = 256 * 1024 * 1024
const form = /^scrypt\$(\d{1,7})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/_=-]+)\$([A-Za-z0-9+/_=-]+)$/

const isPowerOfTwo = (n: number) => n > 1 && (n & (n - 1)) === 0

const parseHash = (text: string): ScryptHash | undefined => {
  const match = form.exec(text)
  if (match === null) return undefined
  const [cost, blockSize, parallelization] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const [salt, hash] = [Buffer.from(match[4]!, "base64"), Buffer.from(match[5]!, "base64")]
  const memory = 128 * cost * blockSize + 128 * blockSize * parallelization
  return isPowerOfTwo(cost) && blockSize > 0 && parallelization > 0 && memory <= maxScryptBytes && hash.length >= 16
    ? { cost, blockSize, parallelization, salt, hash }
    : undefined
}

const digest = (text: string) => createHash("sha256").update(text, "utf8").digest()

const derive = (attempt: string, { cost, blockSize, parallelization, salt, hash }: ScryptHash) =>
  Effect.callback<Buffer>((resume) => {
    const options = { N: cost, r: blockSize, p: parallelization, maxmem: 2 * maxScryptBytes }
    scrypt(attempt, salt, hash.length, options, (error, key) =>
      resume(error === null ? Effect.succeed(key) : Effect.die(error))
    )
  })

/**
 * A check of attempts against the configured password, plain or `scrypt$N$r$p$salt$hash` with salt and hash in base64. Takes
 * the same time whatever the attempt.
 */
export const makePasswordCheck = Effect.fnUntraced(function* (configured: string) {
  if (!configured.startsWith("scrypt$")) {
    const expected = digest(configured)
    return (attempt: string) => Effect.sync(() => timingSafeEqual(digest(attempt), expected))
  }
  const hash = parseHash(configured)
  if (hash === undefined)
    return yield* new SettingError({
      setting: "WEB_PORTAL_PASSWORD",
      problem: "starts with scrypt$ but is no scrypt hash within 256 MiB",
      fix: "set it to scrypt$N$r$p$salt$hash, e.g. with N=16384, r=8, p=1, or to the plain password"
    })
  const oneAtATime = yield* Semaphore.make(1)
  return (attempt: string) =>
    derive(attempt, hash).pipe(
      Effect.map((key) => timingSafeEqual(key, hash.hash)),
      oneAtATime.withPermits(1)
    )
})
