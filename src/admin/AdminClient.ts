import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import type { SocketError } from "effect/socket/Socket"
import * as AdminConfig from "./AdminConfig.ts"
import { actorHeader } from "./AdminGuards.ts"
import { AdminGuard, AdminRpcs } from "./AdminRpcs.ts"

/** Where a program listens. */
export type Address =
  | { readonly _tag: "Socket"; readonly path: string; readonly service: string; readonly instance: string }
  | { readonly _tag: "Port"; readonly url: string; readonly token: Redacted.Redacted<string> }

/** The user of the system who runs this, and where. */
const actor = () => `${os.userInfo().username}@${os.hostname()}`

/** Says who calls. */
export const introduced = RpcMiddleware.layerClient(AdminGuard, ({ next, request }) =>
  next({ ...request, headers: Headers.set(request.headers, actorHeader, actor()) })
)

const showing = (token: Redacted.Redacted<string>) =>
  Layer.effect(
    HttpClient.HttpClient,
    HttpClient.HttpClient.use((client) =>
      Effect.succeed(
        client.pipe(
          HttpClient.mapRequest(HttpClientRequest.bearerToken(Redacted.value(token))),
          HttpClient.filterStatusOk
        )
      )
    )
  )

const protocol = (address: Address) =>
  address._tag === "Socket"
    ? RpcClient.layerProtocolSocket().pipe(Layer.provide(NodeSocket.layerNet({ path: address.path })))
    : RpcClient.layerProtocolHttp({ url: `${address.url.replace(/\/+$/, "")}${AdminConfig.rpcPath}` }).pipe(
        Layer.provide(showing(address.token)),
        Layer.provide(NodeHttpClient.layerNodeHttp)
      )

/** Why there was no answer, in a few words. */
export const complaintOf = (error: RpcClientError | SocketError): string => {
  if (error._tag !== "RpcClientError" || error.reason._tag !== "HttpError") return error.message
  const { cause } = error.reason
  if (cause instanceof HttpClientError.StatusCodeError) return `status ${cause.response.status}: no admin port`
  const reason = cause instanceof Error ? cause.cause : undefined
  return reason instanceof Error ? reason.message : error.reason.kind
}

/** Whether a port did not take the token. */
export const isRefusal = ({ reason }: RpcClientError | SocketError): boolean =>
  reason._tag === "HttpError" &&
  reason.cause instanceof HttpClientError.StatusCodeError &&
  reason.cause.response.status === 401

/** A client of one program, while the scope is open. */
export const connect = Effect.fnUntraced(function* (address: Address) {
  const context = yield* Layer.build(
    Layer.merge(protocol(address).pipe(Layer.provide(RpcSerialization.layerNdjson)), introduced)
  )
  return yield* RpcClient.make(AdminRpcs).pipe(Effect.provideContext(context))
})

export type AdminClient = Effect.Success<ReturnType<typeof connect>>

/** Whether nobody listens there any more: sockets outlive programs that were killed. A program that is busy is not dead. */
export const isDead = (socket: string) =>
  Effect.callback<boolean>((resume) => {
    const connection = net.connect(socket)
    connection.on("connect", () => {
      connection.destroy()
      resume(Effect.succeed(false))
    })
    connection.on("error", (error: NodeJS.ErrnoException) =>
      resume(Effect.succeed(error.code === "ECONNREFUSED" || error.code === "ENOENT"))
    )
  })

/** Names in a directory; none where there is no such directory, undefined where this user may not look. */
const namesIn = (directory: string): ReadonlyArray<string> | undefined => {
  try {
    return fs.readdirSync(directory).sort()
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined
    if (code === "ENOENT" || code === "ENOTDIR") return []
    if (code === "EACCES" || code === "EPERM") return undefined
    throw cause
  }
}

/** The sockets of programs that keep their files in this directory; a program that was killed may have left one. */
export const sockets = (
  dataDirectory: string
): ReadonlyArray<Address & { readonly _tag: "Socket" }> | "only another user may look" => {
  const directory = AdminConfig.socketDirectory(dataDirectory)
  return (
    namesIn(directory)?.flatMap((name) => {
      const [, service, instance] = /^([a-z]+)-([0-9a-f]+)\.sock$/.exec(name) ?? []
      return service === undefined || instance === undefined
        ? []
        : [{ _tag: "Socket" as const, path: path.join(directory, name), service, instance }]
    }) ?? "only another user may look"
  )
}
