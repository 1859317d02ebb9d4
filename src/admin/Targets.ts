import * as os from "node:os"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import { LogControl } from "../runtime/LogControl.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { databaseSettings } from "../store/Database.ts"
import * as AdminClient from "./AdminClient.ts"
import * as AdminConfig from "./AdminConfig.ts"
import { AdminError } from "./AdminError.ts"
import * as LocalClient from "./LocalClient.ts"

/** Which programs a call is meant for, as flags say it. */
export interface Aim {
  readonly service: Option.Option<string>
  readonly instance: Option.Option<string>
  readonly url: Option.Option<string>
}

/** A program that can be called. */
export interface Target {
  /** `ws-0123456789`, the address of a port, or `database`. */
  readonly name: string
  readonly service: string
  readonly call: <A>(
    use: (client: AdminClient.AdminClient) => Effect.Effect<A, AdminError | RpcClientError>
  ) => Effect.Effect<A, AdminError | SettingError>
}

const over = (name: string, service: string, address: AdminClient.Address): Target => ({
  name,
  service,
  call: (use) =>
    AdminClient.connect(address).pipe(
      Effect.flatMap(use),
      Effect.scoped,
      Effect.mapError((error) =>
        error._tag === "AdminError"
          ? error
          : AdminClient.isRefusal(error)
            ? refused
            : silent(name, AdminClient.complaintOf(error))
      )
    )
})

const refused = new AdminError({
  reason: "Refused",
  problem: "the token is not the one of SERVICE_ADMIN_TOKEN",
  fix: "set SERVICE_ADMIN_TOKEN to the token that the program has"
})

const silent = (name: string, problem: string) =>
  new AdminError({
    reason: "Unavailable",
    problem: `${name} does not answer (${problem.split("\n")[0]})`,
    fix: "see what runs with: node dist/admin.js status"
  })

/** The demo keeps its files below DATA_DIR, or, where its user may not, in the system's temporary directory. */
const demoHomes = (dataDir: string) => [
  path.join(dataDir, "demo"),
  path.join(os.tmpdir(), "kalshi-ingestor-demo", "demo")
]

const socketsNear = Effect.fnUntraced(function* (dataDir: string) {
  const own = AdminClient.sockets(dataDir)
  if (typeof own === "string")
    return yield* new SettingError({
      setting: "DATA_DIR",
      problem: `${AdminConfig.socketDirectory(dataDir)} can be opened by the user of its programs alone`,
      fix: "run this as that user, or ask a program over --url"
    })
  const demos = demoHomes(dataDir).flatMap((home) => {
    const found = AdminClient.sockets(home)
    return typeof found === "string" ? [] : found
  })
  return [...new Map([...own, ...demos].map((one) => [one.path, one])).values()]
})

const onPort = Effect.fnUntraced(function* (url: string) {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    return yield* new SettingError({
      setting: "--url",
      problem: "it is not an address",
      fix: "write it like --url http://127.0.0.1:9201"
    })
  const { token } = yield* Setting.read({
    token: Setting.required(AdminConfig.settings.token, "set it to the token that the program was started with")
  })
  return over(url, "?", { _tag: "Port", url, token })
})

/** Programs that answer on this machine, or the one at `--url`. */
export const running = Effect.fnUntraced(function* (aim: Aim) {
  if (Option.isSome(aim.url)) return [yield* onPort(aim.url.value)]
  const { dataDir } = yield* Setting.read({ dataDir: databaseSettings.dataDir })
  const found = (yield* socketsNear(dataDir)).filter(
    ({ instance, service }) =>
      (Option.isNone(aim.service) || aim.service.value === service) &&
      (Option.isNone(aim.instance) || `${service}-${instance}`.includes(aim.instance.value))
  )
  const alive = yield* Effect.filter(
    found,
    (address) => Effect.map(AdminClient.isDead(address.path), (dead) => !dead),
    {
      concurrency: 16
    }
  )
  return alive.map((address) => over(`${address.service}-${address.instance}`, address.service, address))
})

const nobody = (services: ReadonlyArray<string>) =>
  new SettingError({
    setting: "admin",
    problem: `no ${services.length === 0 ? "program" : services.join(" or ")} of this user answers here`,
    fix: "start one, set DATA_DIR to the one it has, or name its port with --url"
  })

const ofServices = (targets: ReadonlyArray<Target>, services: ReadonlyArray<string>) =>
  services.length === 0
    ? targets
    : targets
        .filter(({ service }) => service === "?" || services.includes(service))
        .sort((a, b) => services.indexOf(a.service) - services.indexOf(b.service))

/** All programs of these services, of all services when none is named; at least one. */
export const every = Effect.fnUntraced(function* (aim: Aim, services: ReadonlyArray<string>) {
  const targets = ofServices(yield* running(aim), Option.isSome(aim.service) ? [] : services)
  return targets.length === 0 ? yield* nobody(services) : targets
})

/** One program of these services, the first named preferred. */
export const one = Effect.fnUntraced(function* (aim: Aim, services: ReadonlyArray<string>) {
  return (yield* every(aim, services))[0]!
})

const database = (url: Redacted.Redacted<string>, log: LogControl["Service"]): Target => ({
  name: "database",
  service: "command",
  call: (use) =>
    LocalClient.make(url).pipe(
      Effect.provideService(LogControl, log),
      Effect.flatMap(use),
      Effect.scoped,
      Effect.mapError((error) =>
        error._tag === "AdminError" || error._tag === "SettingError" ? error : silent("database", error.message)
      )
    )
})

/** Nothing was done, and somebody else may be able to. */
const isForOthers = (error: AdminError | SettingError) =>
  error._tag === "SettingError" || error.reason === "Refused" || error.reason === "NotHere"

/** Asks one after another, until one does not refuse; `answeredBy` is its name. Fails as the first failed. */
const inTurn = (targets: ReadonlyArray<Target>) => {
  let answeredBy = ""
  const from = <A>(at: number, use: Parameters<Target["call"]>[0]): Effect.Effect<A, AdminError | SettingError> =>
    Effect.suspend(() => targets[at]!.call(use) as Effect.Effect<A, AdminError | SettingError>).pipe(
      Effect.tap(() =>
        Effect.sync(() => {
          answeredBy = targets[at]!.name
        })
      ),
      Effect.catch((error) =>
        isForOthers(error) && at + 1 < targets.length
          ? Effect.mapError(from<A>(at + 1, use), () => error)
          : Effect.fail(error)
      )
    )
  const call: Target["call"] = (use) => from(0, use)
  return { call, answeredBy: () => answeredBy }
}

/**
 * What needs no more than the database: done by a program of these services whose role may, the first named preferred, else in the
 * database of DATABASE_URL. Whom the flags aim at is asked alone.
 */
export const record = Effect.fnUntraced(function* (aim: Aim, services: ReadonlyArray<string>) {
  const isAimed = Option.isSome(aim.service) || Option.isSome(aim.instance) || Option.isSome(aim.url)
  const programs = ofServices(yield* running(aim), Option.isSome(aim.service) ? [] : services)
  const { url } = yield* Setting.read({ url: databaseSettings.url })
  const targets = url === undefined || isAimed ? programs : [...programs, database(url, yield* LogControl)]
  return targets.length === 0 ? yield* nobody(services) : inTurn(targets)
})
