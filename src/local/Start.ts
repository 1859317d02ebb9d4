import * as path from "node:path"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Credentials } from "../kalshi/Credentials.ts"
import { KalshiConfig } from "../kalshi/KalshiConfig.ts"
import * as PredictionConfig from "../prediction/PredictionConfig.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { Database, databaseSettings } from "../store/Database.ts"
import { DatabaseRoles } from "../store/DatabaseRoles.ts"
import { Children } from "./Children.ts"
import * as Logins from "./Logins.ts"
import { Record } from "./Record.ts"
import * as Stack from "./Stack.ts"
import * as Status from "./Status.ts"

const settings = {
  given: databaseSettings.url,
  dataDir: databaseSettings.dataDir,
  predict: PredictionConfig.schedule.enable,
  portalPort: Setting.portNumber("WEB_PORTAL_PORT", "port of the portal", 8000),
  portalPassword: Setting.secret("WEB_PORTAL_PASSWORD", "password of the portal; generated when unset")
}

/** Names everything that is missing at once, so that one look at the message is enough. */
const credentials = Effect.gen(function* () {
  const { apiKeyId, privateKeyPath } = yield* KalshiConfig
  const missing = [
    ...(apiKeyId === undefined ? ["KALSHI_API_KEY_ID"] : []),
    ...(privateKeyPath === undefined ? ["KALSHI_PRIVATE_KEY_PEM_PATH"] : [])
  ]
  if (missing.length > 0)
    return yield* new SettingError({
      setting: missing.join(" and "),
      problem: missing.length === 1 ? "is not set" : "are not set",
      fix: "set them in the environment or in .env (npm run demo needs neither)"
    })
  yield* Effect.provide(Credentials, Credentials.layerRequired)
}).pipe(Effect.provide(KalshiConfig.layer))

/** Records the real exchange on this machine: a database of our own unless DATABASE_URL names one, rest, ws, the portal, and the predictor if it is turned on. */
export const run = Effect.fn("Start.run")(function* () {
  yield* credentials
  const { dataDir, given, portalPassword, portalPort, predict } = yield* Setting.read(settings)
  yield* Effect.gen(function* () {
    const database = yield* Database
    const roles = yield* DatabaseRoles
    const stack = yield* Stack.start({
      env: {},
      withFile: true,
      addresses: given === undefined ? Effect.provideService(Logins.made, DatabaseRoles, roles) : Logins.given,
      portalPort,
      predictor: predict ? {} : undefined,
      portalPassword: Option.getOrUndefined(Option.map(Option.fromNullishOr(portalPassword), Redacted.value))
    })
    yield* Console.log(`database            ${database.address}`)
    yield* Console.log(`logs                ${path.join(dataDir, "logs")}`)
    yield* Console.log(
      `portal              ${stack.portal}  password ${portalPassword === undefined ? stack.portalPassword : "as set"}`
    )
    return yield* Status.print
  }).pipe(
    Effect.provide(
      Layer.mergeAll(
        Record.layer,
        DatabaseRoles.layer,
        Children.layer({ logDirectory: path.join(dataDir, "logs") })
      ).pipe(Layer.provideMerge(Database.layerEmbeddedOrUrl({ applicationName: "kalshi-ingestor start" })))
    )
  )
})
