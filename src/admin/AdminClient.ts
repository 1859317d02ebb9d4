import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as AdminConfig from "./AdminConfig.ts"
import { actorHeader } from "./AdminGuards.ts"
import { AdminGuard, AdminRpcs } from "./AdminRpcs.ts"

/** Where a program listens. */
export type Address =
  | { readonly _tag: "Socket"; readonly path: string; readonly service: string; readonly instance: string }
  | { readonly _tag: "Port"; readonly url: string; readonly token: Redacted.Redacted<string> }

/** The user of the system who runs this, and where. */
const actor = () => `${os.userInfo().username}@${os.hostname()}`

/** Says who calls; and shows the token, where there is one. */
export const introduced = (token: Redacted.Redacted<string> | undefined) =>
  RpcMiddleware.layerClient(AdminGuard, ({ next, request }) => {
    const named = Headers.set(request.headers, actorHeader, actor())
    return next({
      ...request,
      headers: token === undefined ? named : Headers.set(named, "authorization", `Bearer ${Redacted.value(token)}`)
    })
  })

const protocol = (address: Address) =>
  address._tag === "Socket"
    ? RpcClient.layerProtocolSocket().pipe(Layer.provide(NodeSocket.layerNet({ path: address.path })))
    : RpcClient.layerProtocolHttp({ url: `${address.url.replace(/\/+$/, "")}${AdminConfig.rpcPath}` }).pipe(
        Layer.provide(NodeHttpClient.layerNodeHttp)
      )

/** A client of one program, while the scope is open. */
export const connect = Effect.fnUntraced(function* (address: Address) {
  const context = yield* Layer.build(
    Layer.merge(
      protocol(address).pipe(Layer.provide(RpcSerialization.layerNdjson)),
      introduced(address._tag === "Port" ? address.token : undefined)
    )
  )
  return yield* RpcClient.make(AdminRpcs).pipe(Effect.provideContext(context))
})

export type AdminClient = Effect.Success<ReturnType<typeof connect>>

/** Whether somebody listens there; sockets outlive programs that were killed. */
export const isAlive = (socket: string) =>
  Effect.callback<boolean>((resume) => {
    const connection = net.connect(socket)
    connection.on("connect", () => {
      connection.destroy()
      resume(Effect.succeed(true))
    })
    connection.on("error", () => resume(Effect.succeed(false)))
  })

/** The sockets of programs that keep their files in one of these directories; a program that was killed may have left one. */
export const sockets = (dataDirectories: ReadonlyArray<string>): ReadonlyArray<Address & { readonly _tag: "Socket" }> =>
  [...new Set(dataDirectories.map(AdminConfig.socketDirectory))].flatMap((directory) => {
    const names = fs.existsSync(directory) ? fs.readdirSync(directory) : []
    return names.sort().flatMap((name) => {
      const [, service, instance] = /^([a-z]+)-([0-9a-f]+)\.sock$/.exec(name) ?? []
      return service === undefined || instance === undefined
        ? []
        : [{ _tag: "Socket" as const, path: path.join(directory, name), service, instance }]
    })
  })
