import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { SettingError } from "../runtime/SettingError.ts"
import { KalshiConfig } from "./KalshiConfig.ts"

export interface Credential {
  readonly keyId: string
  /** Prints no key material. */
  readonly privateKey: Crypto.KeyObject
  readonly algorithm: "rsa" | "ed25519"
}

/** The API key, when one is configured. */
export class Credentials extends Context.Service<
  Credentials,
  {
    /** Whether a key is configured; that does not change while the process runs. */
    readonly isConfigured: boolean
    readonly current: Effect.Effect<Option.Option<Credential>>
    /** What is signed from now on is signed with this key. */
    replace(credential: Credential): Effect.Effect<void>
  }
>()("kalshi-ingestor/kalshi/Credentials") {
  static readonly holding = (credential: Option.Option<Credential>): Credentials["Service"] => {
    let current = credential
    return {
      isConfigured: Option.isSome(credential),
      current: Effect.sync(() => current),
      replace: (next) =>
        Effect.sync(() => {
          current = Option.some(next)
        })
    }
  }

  static readonly layerNone = Layer.sync(Credentials, () => Credentials.holding(Option.none()))

  /** None when neither setting is there; half a pair or a bad key file is an error. */
  static readonly layer = Layer.effect(
    Credentials,
    Effect.gen(function* () {
      const { apiKeyId, privateKeyPath } = yield* KalshiConfig
      if (apiKeyId === undefined && privateKeyPath === undefined) return Credentials.holding(Option.none())
      if (apiKeyId === undefined) return yield* missing("KALSHI_API_KEY_ID")
      if (privateKeyPath === undefined) return yield* missing("KALSHI_PRIVATE_KEY_PEM_PATH")
      return Credentials.holding(Option.some(yield* load(apiKeyId, privateKeyPath)))
    })
  )

  static readonly layerRequired = Layer.effect(
    Credentials,
    Effect.gen(function* () {
      const { apiKeyId, privateKeyPath } = yield* KalshiConfig
      if (apiKeyId === undefined) return yield* missing("KALSHI_API_KEY_ID")
      if (privateKeyPath === undefined) return yield* missing("KALSHI_PRIVATE_KEY_PEM_PATH")
      return Credentials.holding(Option.some(yield* load(apiKeyId, privateKeyPath)))
    })
  )
}

const pathSetting = "KALSHI_PRIVATE_KEY_PEM_PATH"

const fixes = {
  KALSHI_API_KEY_ID: "set it to the id of your API key",
  KALSHI_PRIVATE_KEY_PEM_PATH: "set it to the file that holds the private key of your API key"
}

const missing = (setting: keyof typeof fixes) =>
  new SettingError({ setting, problem: "is not set", fix: fixes[setting] })

const refused = (problem: string, fix: string) => Result.fail(new SettingError({ setting: pathSetting, problem, fix }))

/** Reads and checks a private key file: RSA (PKCS#1 or PKCS#8) or Ed25519, unencrypted, readable by its owner alone. */
export const load = (keyId: string, path: string): Effect.Effect<Credential, SettingError> =>
  Effect.suspend(() => Effect.fromResult(Result.flatMap(readKeyFile(path), (pem) => parseKey(keyId, path, pem))))

const readKeyFile = (path: string): Result.Result<string, SettingError> => {
  let descriptor: number | undefined
  try {
    descriptor = Fs.openSync(path, Fs.constants.O_RDONLY | Fs.constants.O_NONBLOCK)
    const stat = Fs.fstatSync(descriptor)
    if (!stat.isFile()) return refused(`${path} is not a file`, "name the PEM file itself")
    if ((stat.mode & 0o077) !== 0)
      return refused(
        `${path} can be read by others (mode ${(stat.mode & 0o7777).toString(8).padStart(4, "0")})`,
        `run: chmod 600 ${path}`
      )
    if (stat.size > 65_536)
      return refused(`${path} is not a PEM private key`, "name the key file the exchange gave you")
    return Result.succeed(Fs.readFileSync(descriptor, "utf8"))
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined
    return code === "ENOENT" || code === "ENOTDIR"
      ? refused(`${path} does not exist`, "name the file that holds the private key")
      : refused(`${path} cannot be read (${code ?? "unknown"})`, `run: chmod 600 ${path} as its owner`)
  } finally {
    if (descriptor !== undefined) Fs.closeSync(descriptor)
  }
}

const parseKey = (keyId: string, path: string, pem: string): Result.Result<Credential, SettingError> => {
  if (!pem.includes("-----BEGIN "))
    return refused(
      `${path} is not a PEM file`,
      "it must begin with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----"
    )
  if (pem.includes("BEGIN ENCRYPTED PRIVATE KEY") || /^Proc-Type:.*ENCRYPTED/m.test(pem))
    return refused(`${path} is encrypted with a passphrase`, `decrypt it: openssl pkey -in ${path} -out key.pem`)
  let key: Crypto.KeyObject
  try {
    key = Crypto.createPrivateKey(pem)
  } catch {
    return refused(`${path} holds no private key that can be read`, "use the PEM file the exchange gave you, unchanged")
  }
  const type = key.asymmetricKeyType
  return type === "rsa" || type === "ed25519"
    ? Result.succeed({ keyId, privateKey: key, algorithm: type })
    : refused(`${path} holds a key of type ${type ?? "unknown"}`, "use an RSA or Ed25519 key")
}
