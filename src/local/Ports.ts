import { createServer } from "node:net"
import * as Effect from "effect/Effect"

/** A TCP port of 127.0.0.1 that nobody listens on: the wanted one if it is free, else any. */
export const free = (wanted = 0): Effect.Effect<number> =>
  Effect.callback<number>((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.suspend(() => free())))
    server.listen(wanted, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : wanted
      server.close(() => resume(Effect.succeed(port)))
    })
  })
