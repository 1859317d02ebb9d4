import { createServer } from "node:net"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it, layer } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Database } from "../../src/store/Database.ts"
import { TestDatabase } from "../support/Database.ts"

const environment = (variables: Readonly<Record<string, string>>) =>
  ConfigProvider.layer(ConfigProvider.fromUnknown(variables))

const open = (variables: Readonly<Record<string, string>>) =>
  Layer.build(Database.layerUrl({ applicationName: "test-program" }).pipe(Layer.provide(environment(variables))))

const complaint = (url: string) =>
  Effect.scoped(open({ DATABASE_URL: url })).pipe(
    Effect.flip,
    Effect.map((error) => error.message)
  )

const closedPort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

const mutePort = Effect.acquireRelease(
  Effect.callback<ReturnType<typeof createServer>>((resume) => {
    const server = createServer((socket) => socket.on("error", () => undefined))
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
).pipe(
  Effect.map((server) => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  })
)

describe("Database", () => {
  it.effect("must be told where it is", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(open({})))
      assert.match(error.message, /^DATABASE_URL: is not set; set it to postgres:\/\/user:password@host:5432\/database/)
    })
  )

  it.effect("refuses what is no postgres address", () =>
    Effect.gen(function* () {
      const expected =
        "DATABASE_URL: it is not a postgres:// address; set it to postgres://user:password@host:5432/database"
      assert.strictEqual(yield* complaint("mysql://u:hunter2@h/d"), expected)
      assert.strictEqual(yield* complaint("hunter2"), expected)
      assert.match(yield* complaint("postgres://u:100%zz@h/d"), /^DATABASE_URL: it holds a % .*%25$/)
    })
  )

  it.effect("names the address that refuses", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      assert.strictEqual(
        yield* complaint(`postgres://u:hunter2@127.0.0.1:${port}/d`),
        `DATABASE_URL: 127.0.0.1:${port}/d refused the connection; start the server there, or correct host and port`
      )
    })
  )

  it.live("gives up on a server that says nothing within 2 s", () =>
    Effect.gen(function* () {
      const port = yield* mutePort
      const [elapsed, message] = yield* Effect.timed(complaint(`postgres://u:hunter2@127.0.0.1:${port}/d`))
      assert.match(message, new RegExp(`^DATABASE_URL: 127\\.0\\.0\\.1:${port}/d did not answer within 2 s; `))
      assert.isBelow(Duration.toMillis(elapsed), 2500)
    })
  )

  it.effect("refuses a pool size that is none", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(open({ DATABASE_URL: "postgres://u@h/d", PG_POOL: "many" })))
      assert.match(error.message, /^PG_POOL: /)
    })
  )
})

layer(TestDatabase.layer)("Database, at a server", (it) => {
  const changed = Effect.fnUntraced(function* (change: (url: URL) => void) {
    const { url } = yield* TestDatabase
    const copy = new URL(Redacted.value(url))
    change(copy)
    return copy.href
  })

  it.effect("opens it in UTC, under the program's name", () =>
    Effect.gen(function* () {
      const test = yield* TestDatabase
      const context = yield* open({ DATABASE_URL: Redacted.value(test.url) })
      const [shown, database] = yield* Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const rows = yield* sql`
          select current_setting('TimeZone') as zone, current_setting('application_name') as name, current_database() as database`
        return [rows[0], yield* Database] as const
      }).pipe(Effect.provideContext(context))
      assert.deepStrictEqual(shown, { zone: "UTC", name: "test-program", database: test.name })
      assert.match(database.address, new RegExp(`^127\\.0\\.0\\.1:\\d+/${test.name}$`))
      assert.isAtLeast(database.serverVersion, 150000)
    })
  )

  it.effect("says that the password is wrong, not which it was", () =>
    Effect.gen(function* () {
      const url = yield* changed((copy) => {
        copy.username = "nobody-here"
        copy.password = "hunter2"
      })
      const message = yield* complaint(url)
      assert.match(message, /^DATABASE_URL: .* refused user "nobody-here" \(.*\); correct user and password/)
      assert.notInclude(message, "hunter2")
    })
  )

  it.effect("says that the database does not exist", () =>
    Effect.gen(function* () {
      const message = yield* complaint(yield* changed((copy) => (copy.pathname = "/nowhere")))
      assert.match(message, /: database "nowhere" does not exist; create it, or correct the name$/)
    })
  )

  it.effect("refuses a server older than 15", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { name, url } = yield* TestDatabase
      yield* sql`create schema older`
      yield* sql`create function older.current_setting(text) returns text language sql as $$ select '140011' $$`
      yield* sql.unsafe(`alter database ${name} set search_path = older, public, pg_catalog`)
      const message = yield* complaint(Redacted.value(url))
      yield* sql.unsafe(`alter database ${name} reset search_path`)
      assert.match(message, /^DATABASE_URL: .* is PostgreSQL 14; use a server of version 15 or newer$/)
    })
  )
})
