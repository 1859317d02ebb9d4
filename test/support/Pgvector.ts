import * as PgClient from "@effect/sql-pg/PgClient"
import { PGlite } from "@electric-sql/pglite"
import { vector } from "@electric-sql/pglite/vector"
import { PGLiteSocketServer } from "@electric-sql/pglite-socket"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Ports from "../../src/local/Ports.ts"
import { Migrations } from "../../src/store/Migrations.ts"

const server = Effect.gen(function* () {
  const database = yield* Effect.acquireRelease(
    Effect.promise(() => PGlite.create({ extensions: { vector } })),
    (open) => Effect.promise(() => open.close())
  )
  const port = yield* Ports.free()
  yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const socket = new PGLiteSocketServer({ db: database, host: "127.0.0.1", port })
      await socket.start()
      return socket
    }),
    (socket) => Effect.promise(() => socket.stop())
  )
  return Redacted.make(`postgres://postgres:postgres@127.0.0.1:${port}/postgres?sslmode=disable`)
})

/**
 * A migrated database with pgvector: PostgreSQL in WebAssembly, of one connection, because neither the embedded server nor Debian's
 * packages have that extension.
 */
export const layer = Migrations.layerApplied.pipe(
  Layer.provideMerge(
    Layer.unwrap(
      Effect.map(server, (url) => PgClient.layer({ url, maxConnections: 1, startupParameters: { timezone: "UTC" } }))
    )
  )
)
