import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Database } from "../store/Database.ts"
import { DatabaseRoles } from "../store/DatabaseRoles.ts"
import { show } from "./Show.ts"

const apply = Command.make("apply", {}, () =>
  Effect.gen(function* () {
    const { address } = yield* Database
    const { logins } = yield* DatabaseRoles.use((roles) => roles.applySettings)
    yield* show({ database: address, logins }, [
      `${address}: every role has its grants`,
      ...Object.entries(logins).map(([role, user]) => `${role} logs in as ${user}`)
    ])
  })
).pipe(
  Command.withDescription(
    "grants each program what it needs, and makes the users of DATABASE_URL_REST, DATABASE_URL_WS, …; DATABASE_URL is the owner's"
  ),
  Command.provide(
    DatabaseRoles.layer.pipe(Layer.provideMerge(Database.layerUrl({ applicationName: "kalshi-ingestor admin roles" })))
  )
)

export const roles = Command.make("roles").pipe(
  Command.withDescription("who may do what in the database"),
  Command.withSubcommands([apply])
)
