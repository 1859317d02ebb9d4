import * as Layer from "effect/Layer"
import * as Roles from "./local/Roles.ts"
import { PortalServer } from "./portal/PortalServer.ts"
import { ExchangeTime } from "./runtime/ExchangeTime.ts"
import * as Health from "./runtime/Health.ts"
import { runRoleProgram } from "./runtime/Program.ts"
import * as Setting from "./runtime/Setting.ts"
import { Database } from "./store/Database.ts"

runRoleProgram(
  "portal",
  Layer.mergeAll(PortalServer, Health.layerServer("portal")).pipe(
    Layer.provide([
      Database.layerUrl({ applicationName: "kalshi-ingestor portal", multiplex: true }),
      ExchangeTime.layer,
      Health.Health.layer
    ]),
    Layer.provide(Setting.layerChecked(Roles.portal))
  )
)
