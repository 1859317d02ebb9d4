import * as Layer from "effect/Layer"
import { PortalServer } from "./portal/PortalServer.ts"
import { ExchangeTime } from "./runtime/ExchangeTime.ts"
import { runRoleProgram } from "./runtime/Program.ts"
import { Database } from "./store/Database.ts"

runRoleProgram(
  "portal",
  PortalServer.pipe(
    Layer.provide([Database.layerUrl({ applicationName: "kalshi-portal", multiplex: true }), ExchangeTime.layer])
  )
)
