import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { Credentials } from "../../src/kalshi/Credentials.ts"
import { KalshiConfig } from "../../src/kalshi/KalshiConfig.ts"
import { Signer } from "../../src/kalshi/Signer.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "key-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true }))
)

const keyFile = Effect.fnUntraced(function* (content: string, mode = 0o600) {
  const path = Path.join(yield* directory, "key.pem")
  Fs.writeFileSync(path, content)
  Fs.chmodSync(path, mode)
  return path
})

const signerWith = (environment: Record<string, string>) =>
  Signer.layer.pipe(
    Layer.provide(Credentials.layer),
    Layer.provide(KalshiConfig.layer),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))
  )

const rsa = Crypto.generateKeyPairSync("rsa", { modulusLength: 2048 })
const ed25519 = Crypto.generateKeyPairSync("ed25519")
const pkcs8 = rsa.privateKey.export({ type: "pkcs8", format: "pem" }).toString()
const pkcs1 = rsa.privateKey.export({ type: "pkcs1", format: "pem" }).toString()
const edPem = ed25519.privateKey.export({ type: "pkcs8", format: "pem" }).toString()

const sign = (pem: string, method: string, path: string) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(1_787_601_660_123)
    const file = yield* keyFile(pem)
    const layer = signerWith({ KALSHI_API_KEY_ID: "key-1", KALSHI_PRIVATE_KEY_PEM_PATH: file })
    return yield* Effect.provide(
      Signer.use((signer) => signer.headers(method, path)),
      layer
    )
  })

const refusal = (environment: Record<string, string>) =>
  Effect.flip(Effect.provide(Signer.use(Effect.succeed), signerWith(environment)))

describe("Signer", () => {
  for (const [name, pem] of [
    ["PKCS#8", pkcs8],
    ["PKCS#1", pkcs1]
  ] as const)
    it.effect(`signs with an RSA key in ${name}: PSS, SHA-256, salt of 32 bytes`, () =>
      Effect.gen(function* () {
        const headers = yield* sign(pem, "get", "/trade-api/v2/markets?limit=5")
        assert.strictEqual(headers["KALSHI-ACCESS-KEY"], "key-1")
        assert.strictEqual(headers["KALSHI-ACCESS-TIMESTAMP"], "1787601660123")
        const verify = (saltLength: number, text: string) =>
          Crypto.verify(
            "sha256",
            Buffer.from(text),
            { key: rsa.publicKey, padding: Crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength },
            Buffer.from(headers["KALSHI-ACCESS-SIGNATURE"]!, "base64")
          )
        assert.isTrue(verify(32, "1787601660123GET/trade-api/v2/markets"))
        assert.isFalse(verify(222, "1787601660123GET/trade-api/v2/markets"))
        assert.isFalse(verify(32, "1787601660123GET/trade-api/v2/markets?limit=5"))
      })
    )

  it.effect("signs with an Ed25519 key", () =>
    Effect.gen(function* () {
      const headers = yield* sign(edPem, "GET", "/trade-api/ws/v2")
      const signature = Buffer.from(headers["KALSHI-ACCESS-SIGNATURE"]!, "base64")
      assert.isTrue(Crypto.verify(null, Buffer.from("1787601660123GET/trade-api/ws/v2"), ed25519.publicKey, signature))
    })
  )

  it.effect("has no signature without a key", () =>
    Effect.gen(function* () {
      const signer = yield* Signer
      assert.isFalse(signer.available)
      assert.strictEqual((yield* Effect.flip(signer.headers("GET", "/x"))).reason, "NoCredentials")
    }).pipe(Effect.provide(signerWith({})))
  )

  it.effect("refuses a key file that others can read and says what to type", () =>
    Effect.gen(function* () {
      const path = yield* keyFile(pkcs8, 0o644)
      const error = yield* refusal({ KALSHI_API_KEY_ID: "k", KALSHI_PRIVATE_KEY_PEM_PATH: path })
      assert.strictEqual(
        error.message,
        `KALSHI_PRIVATE_KEY_PEM_PATH: ${path} can be read by others (mode 0644); run: chmod 600 ${path}`
      )
    })
  )

  it.effect("refuses every other bad key file in one line without its content", () =>
    Effect.gen(function* () {
      const encrypted = rsa.privateKey
        .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" })
        .toString()
      const ec = Crypto.generateKeyPairSync("ec", { namedCurve: "P-256" })
        .privateKey.export({ type: "pkcs8", format: "pem" })
        .toString()
      const cases: ReadonlyArray<readonly [path: string, problem: RegExp]> = [
        [yield* keyFile(encrypted), /encrypted with a passphrase/],
        [yield* keyFile(ec), /of type ec/],
        [yield* keyFile("hunter2"), /not a PEM file/],
        [yield* keyFile(pkcs8.slice(0, 400)), /no private key that can be read/],
        [yield* keyFile(rsa.publicKey.export({ type: "spki", format: "pem" }).toString()), /no private key/],
        [Path.join(yield* directory, "nothing.pem"), /does not exist/],
        [yield* directory, /is not a file/]
      ]
      for (const [path, problem] of cases) {
        const { message } = yield* refusal({ KALSHI_API_KEY_ID: "k", KALSHI_PRIVATE_KEY_PEM_PATH: path })
        assert.match(message, problem)
        assert.match(message, /^KALSHI_PRIVATE_KEY_PEM_PATH: /)
        assert.notMatch(message, /\n|hunter2|MII/)
      }
    })
  )

  it.effect("refuses half a pair", () =>
    Effect.gen(function* () {
      assert.match((yield* refusal({ KALSHI_API_KEY_ID: "k" })).message, /^KALSHI_PRIVATE_KEY_PEM_PATH: is not set; /)
      assert.match((yield* refusal({ KALSHI_PRIVATE_KEY_PEM_PATH: "/x" })).message, /^KALSHI_API_KEY_ID: is not set; /)
    })
  )
})
