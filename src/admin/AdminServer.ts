import * as fs from "node:fs"
import { createServer } from "node:http"
import * as path from "node:path"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import { portInUse } from "../runtime/Health.ts"
import { Instance } from "../runtime/Instance.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { databaseSettings } from "../store/Database.ts"
import { isDead } from "./AdminClient.ts"
import * as AdminConfig from "./AdminConfig.ts"
import * as AdminGuards from "./AdminGuards.ts"
import * as AdminHandlers from "./AdminHandlers.ts"
import { AdminRpcs } from "./AdminRpcs.ts"
import * as BearerToken from "./BearerToken.ts"

/** Each way in has a server of its own: layers are shared by identity, and the second way would be without one. */
const calls = () => RpcServer.layer(AdminRpcs, { disableFatalDefects: true })

const openDirectory = (directory: string) =>
  Effect.gen(function* () {
    const names = yield* Effect.sync(() => {
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
      const { mode, uid } = fs.statSync(directory)
      if ((mode & 0o077) !== 0 || uid !== process.getuid?.())
        throw new Error(`${directory} is not this user's alone (chmod 700)`)
      return fs.readdirSync(directory).filter((name) => name.endsWith(".sock"))
    })
    for (const name of names) {
      const socket = path.join(directory, name)
      if (yield* isDead(socket)) yield* Effect.sync(() => fs.rmSync(socket, { force: true }))
    }
  })

const onSocket = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { dataDir } = yield* Setting.read({ dataDir: databaseSettings.dataDir })
      const { id } = yield* Instance
      const directory = AdminConfig.socketDirectory(dataDir)
      yield* openDirectory(directory)
      return calls().pipe(
        Layer.provide(AdminGuards.layer(service, "socket")),
        Layer.provide(RpcServer.layerProtocolSocketServer),
        Layer.provide(RpcSerialization.layerNdjson),
        Layer.provide(NodeSocketServer.layer({ path: path.join(directory, `${service}-${id}.sock`) }))
      )
    })
  ).pipe(
    // Recording does not depend on it.
    Layer.catchCause((cause) =>
      Layer.effectDiscard(Effect.logWarning("admin calls cannot be made: there is no socket for them", cause))
    )
  )

const onPort = (service: string, port: number, host: string, token: Redacted.Redacted<string>) =>
  HttpRouter.serve(
    calls().pipe(
      Layer.provide(AdminGuards.layer(service, "port")),
      Layer.provide(RpcServer.layerProtocolHttp({ path: AdminConfig.rpcPath })),
      Layer.provide(RpcSerialization.layerNdjson),
      Layer.merge(BearerToken.layer(token))
    ),
    { disableLogger: true, disableListenLog: true }
  ).pipe(
    Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
    Layer.catchTag("ServeError", () => Layer.effectDiscard(Effect.fail(portInUse("SERVICE_ADMIN_PORT", port)())))
  )

/**
 * Listens for admin calls: on a Unix socket, and on SERVICE_ADMIN_PORT where that is set. `settings`: those that the program reads.
 * What the program can do follows from the services that it has (`FeedControl`, `JournalControl`, `HistoryControl`, `KeyRotation`).
 */
export const layer = (service: string, settings: { readonly [key: string]: Setting.Setting<unknown> }) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { host, port, socket, token } = yield* Setting.read(AdminConfig.settings)
      if (port !== undefined && (token === undefined || Redacted.value(token).length < AdminConfig.shortestToken))
        return yield* new SettingError({
          setting: "SERVICE_ADMIN_TOKEN",
          problem: token === undefined ? "is not set, and SERVICE_ADMIN_PORT is" : "is too short",
          fix: `set it to ${AdminConfig.shortestToken} random characters or more, or unset SERVICE_ADMIN_PORT`
        })
      const ways = [
        ...(socket ? [onSocket(service)] : []),
        ...(port === undefined || token === undefined ? [] : [onPort(service, port, host, token)])
      ]
      const [first, ...rest] = ways
      return first === undefined
        ? Layer.empty
        : Layer.mergeAll(first, ...rest).pipe(Layer.provide(AdminHandlers.layer(service, settings)))
    })
  )
