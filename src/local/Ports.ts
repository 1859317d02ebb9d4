import { createServer } from "node:net"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

// Below what systems give to outgoing connections: one of those could take a port before the program that is told of it listens.
const some = Random.nextIntBetween(10_240, 32_768)

const isFree = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    server.listen(port, "127.0.0.1", () => {
      server.close(() => resume(Effect.succeed(true)))
    })
  })

/** A TCP port of 127.0.0.1 that nobody listens on: the wanted one if it is free, else any. */
export const free = (wanted = 0): Effect.Effect<number> =>
  Effect.flatMap(wanted === 0 ? some : Effect.succeed(wanted), (port) =>
    Effect.flatMap(isFree(port), (isIt) => (isIt ? Effect.succeed(port) : free()))
  )
