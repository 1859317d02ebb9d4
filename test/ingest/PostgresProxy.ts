import { connect, createServer, type Socket } from "node:net"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

/** A road to a PostgreSQL server that can be broken at a chosen place. */
export const proxy = (url: string) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof make>>((resume) => {
      const made = make(new URL(url))
      made.server.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
    }),
    ({ cut, server }) =>
      Effect.sync(() => {
        cut()
        server.close()
      })
  )

const make = (target: URL) => {
  const sockets = new Set<Socket>()
  const plan: {
    chunksLeft: number
    onCut: () => void
    refuse: boolean
    /** Nothing of what the client says arrives. */
    isMute: boolean
    loseCommit: boolean
    commitsLost: number
  } = {
    chunksLeft: Number.POSITIVE_INFINITY,
    onCut: () => {},
    refuse: false,
    isMute: false,
    loseCommit: false,
    commitsLost: 0
  }
  const cut = () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  const server = createServer((client) => {
    if (plan.refuse) return void client.destroy()
    const upstream = connect(Number(target.port), target.hostname)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket
        .on("error", () => {})
        .on("close", () => {
          client.destroy()
          upstream.destroy()
        })
    }
    let isDeaf = false
    client.on("data", (chunk) => {
      if (plan.isMute) return
      if (plan.loseCommit && /commit/i.test(chunk.toString("latin1"))) {
        plan.loseCommit = false
        isDeaf = true
      }
      if (--plan.chunksLeft < 0) {
        plan.chunksLeft = Number.POSITIVE_INFINITY
        cut()
        plan.onCut()
        return
      }
      upstream.write(chunk)
    })
    upstream.on("data", (chunk) => {
      if (!isDeaf) return void client.write(chunk)
      plan.commitsLost++
      client.destroy()
    })
  })
  const road = () => {
    const address = server.address()
    const url = new URL(target)
    url.port = String(typeof address === "object" && address !== null ? address.port : 0)
    return Redacted.make(url.href)
  }
  return {
    server,
    cut,
    plan,
    /** The address of the database by this road. */
    road,
    layer: Layer.suspend(() =>
      Layer.fresh(PgClient.layer({ url: road(), maxConnections: 4, startupParameters: { timezone: "UTC" } }))
    ),
    /** Breaks everything in front of the nth message from here on; done when it has happened. */
    cutBefore: (nth: number) =>
      Effect.callback<void>((resume) => {
        plan.onCut = () => resume(Effect.void)
        plan.chunksLeft = nth
      })
  }
}
