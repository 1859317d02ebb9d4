import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import * as AdminClient from "../../src/admin/AdminClient.ts"
import * as AdminServer from "../../src/admin/AdminServer.ts"
import * as LocalClient from "../../src/admin/LocalClient.ts"
import * as Roles from "../../src/local/Roles.ts"
import type { RoleName } from "../../src/runtime/Access.ts"
import { ExchangeTime } from "../../src/runtime/ExchangeTime.ts"
import { Health } from "../../src/runtime/Health.ts"
import { Instance } from "../../src/runtime/Instance.ts"
import { LogControl } from "../../src/runtime/LogControl.ts"
import { Loops } from "../../src/runtime/Loops.ts"
import { StopSignal } from "../../src/runtime/StopSignal.ts"
import { Database } from "../../src/store/Database.ts"
import { TestDatabase } from "../support/Database.ts"

export const token = "0123456789abcdef-right"

export const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "admin-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
)

interface ProgramOptions<A, E, R> {
  readonly service?: RoleName
  readonly instance?: string
  readonly home: string
  readonly env?: Readonly<Record<string, string>>
  /** What it can do beside what every program can. */
  readonly controls?: Layer.Layer<A, E, R>
  /** The address that a program of this role is given, when absent. */
  readonly url?: Redacted.Redacted<string>
}

/** A program that does nothing but answer admin calls, until the scope closes. */
export const program = Effect.fnUntraced(function* <A = never, E = never, R = never>(options: ProgramOptions<A, E, R>) {
  const { controls, env = {}, home, instance = "00000000aa", service = "rest" } = options
  const url = options.url ?? (yield* TestDatabase.urlAs(service))
  const logged: Array<string> = []
  let stops = 0
  const logger = Logger.make(({ logLevel, message }) => {
    logged.push(`${logLevel} ${String(message)}`)
  })
  const settings = ConfigProvider.layer(ConfigProvider.fromUnknown({ DATA_DIR: home, ...env }))
  const context = yield* Layer.build(
    Layer.fresh(
      AdminServer.layer(service, Roles.rest).pipe(
        Layer.provide(controls ?? Layer.empty),
        Layer.provideMerge(Layer.mergeAll(Loops.layer, Health.layer, ExchangeTime.layerReal)),
        Layer.provide([
          Layer.succeed(Instance, { id: instance, host: "here", pid: process.pid, startedMillis: 0 }),
          Layer.succeed(
            StopSignal,
            Effect.sync(() => {
              stops += 1
            })
          )
        ]),
        Layer.provideMerge(Database.layerFrom({ url, applicationName: "test", maxConnections: 4 })),
        Layer.provideMerge(LogControl.layer("Info").pipe(Layer.provide(Logger.layer([logger])))),
        Layer.provide(settings)
      )
    )
  )
  return {
    logged,
    stops: () => stops,
    loops: Context.get(context, Loops),
    health: Context.get(context, Health),
    /** Runs something within the program. */
    within: Effect.provideContext(context),
    socket: path.join(home, "run", `${service}-${instance}.sock`)
  }
})

export const overSocket = (socket: string) =>
  AdminClient.connect({ _tag: "Socket", path: socket, service: "rest", instance: "00000000aa" })

/** The admin command itself, on the database, logged in as the admin role. */
export const overDatabase = Effect.gen(function* () {
  return yield* LocalClient.make(yield* TestDatabase.urlAs("admin"))
}).pipe(Effect.provide(LogControl.layer("Info").pipe(Layer.provide(Logger.layer([])))))

export const overPort = (port: number, shown: Redacted.Redacted<string>) =>
  AdminClient.connect({ _tag: "Port", url: `http://127.0.0.1:${port}`, token: shown })

export interface AuditRow {
  readonly actor: string
  readonly via: string
  readonly service: string
  readonly instance: string
  readonly call: string
  readonly payload: unknown
  readonly outcome: string | null
  readonly detail: string | null
}

export const auditRows = SqlClient.SqlClient.use(
  (sql) => sql<AuditRow>`
    select actor, via, service, instance, call, payload, outcome, detail from admin_audit order by id`
)

export const until = <A, E, R>(look: Effect.Effect<A, E, R>, done: (found: A) => boolean) =>
  look.pipe(Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: done }), Effect.timeout("15 seconds"))
