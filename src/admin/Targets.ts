import * as os from "node:os"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { RpcClientError } from "effect/rpc/RpcClientError"
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
  ) => Effect.Effect<A, AdminError>
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

/**
 * One program of these services, or, where none answers and nothing was aimed at, the database of DATABASE_URL itself, as long as the scope
 * is open.
 */
export const oneOrDatabase = Effect.fnUntraced(function* (aim: Aim, services: ReadonlyArray<string>) {
  const targets = ofServices(yield* running(aim), Option.isSome(aim.service) ? [] : services)
  if (targets[0] !== undefined) return targets[0]
  const { url } = yield* Setting.read({ url: databaseSettings.url })
  if (url === undefined || Option.isSome(aim.service) || Option.isSome(aim.instance)) return yield* nobody(services)
  const client = yield* LocalClient.make
  return {
    name: "database",
    service: "command",
    call: (use) =>
      Effect.mapError(use(client), (error) => (error._tag === "AdminError" ? error : silent("database", error.message)))
  } satisfies Target
})
