import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as RpcTest from "effect/rpc/RpcTest"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Health } from "../runtime/Health.ts"
import { LogControl } from "../runtime/LogControl.ts"
import { Loops } from "../runtime/Loops.ts"
import { Database } from "../store/Database.ts"
import { Migrations } from "../store/Migrations.ts"
import { SchemaCheck } from "../store/SchemaCheck.ts"
import { introduced } from "./AdminClient.ts"
import * as AdminGuards from "./AdminGuards.ts"
import * as AdminHandlers from "./AdminHandlers.ts"
import { AdminRpcs } from "./AdminRpcs.ts"

const database = (url: Redacted.Redacted<string>) =>
  SchemaCheck.pipe(
    Layer.provide(Migrations.layer),
    Layer.provideMerge(Database.layerFrom({ url, applicationName: "kalshi-ingestor admin", maxConnections: 2 }))
  )

/** The calls that need no more than a database, answered by this process itself, while the scope is open. */
export const make = Effect.fnUntraced(function* (url: Redacted.Redacted<string>) {
  const log = yield* LogControl
  const context = yield* Layer.build(
    Layer.mergeAll(AdminGuards.layer("command", "command"), introduced).pipe(
      Layer.provideMerge(AdminHandlers.layer("command", {})),
      Layer.provide([Loops.layer, Health.layer, ExchangeTime.layer, Layer.succeed(LogControl, log)]),
      Layer.provide(database(url))
    )
  )
  return yield* RpcTest.makeClient(AdminRpcs).pipe(Effect.provideContext(context))
})
