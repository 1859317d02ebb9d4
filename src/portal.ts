import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AdminServer from "./admin/AdminServer.ts"
import * as Roles from "./local/Roles.ts"
import { settings, withheld } from "./portal/PortalConfig.ts"
import { PortalServer } from "./portal/PortalServer.ts"
import { ExchangeTime } from "./runtime/ExchangeTime.ts"
import * as Health from "./runtime/Health.ts"
import { runRoleProgram } from "./runtime/Program.ts"
import * as Setting from "./runtime/Setting.ts"
import { Database } from "./store/Database.ts"
import { Migrations } from "./store/Migrations.ts"
import { SchemaCheck } from "./store/SchemaCheck.ts"
import * as ServiceInstances from "./store/ServiceInstances.ts"

const database = Layer.unwrap(
  Effect.gen(function* () {
    const { poolMax, poolMin } = yield* Setting.read({ poolMax: settings.poolMax, poolMin: settings.poolMin })
    return Database.layerUrl({
      applicationName: "kalshi-ingestor portal",
      multiplex: true,
      minConnections: poolMin,
      maxConnections: poolMax
    })
  })
)

runRoleProgram(
  "portal",
  Layer.mergeAll(
    PortalServer,
    AdminServer.layer("portal", Roles.portal),
    Health.layerServer("portal"),
    ServiceInstances.layer("portal")
  ).pipe(
    Layer.provide([ExchangeTime.layer, Health.Health.layer]),
    Layer.provide(SchemaCheck.pipe(Layer.provide(Migrations.layer))),
    Layer.provide(database),
    Layer.provide(Setting.layerChecked(Roles.portal))
  ),
  withheld
)
