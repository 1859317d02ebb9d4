import { randomBytes } from "node:crypto"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import { inject } from "vitest"
import { type RoleName, roleNames } from "../../src/runtime/Access.ts"
import { addressFor } from "../../src/store/DatabaseRoles.ts"
import { databaseUrl } from "./PostgresServer.ts"

/** A database of its own for each use of a layer, dropped when the layer's scope closes; with its `PgClient` and `SqlClient`. */
export class TestDatabase extends Context.Service<
  TestDatabase,
  {
    readonly url: Redacted.Redacted<string>
    readonly name: string
  }
>()("kalshi-ingestor/test/TestDatabase") {
  /** Migrated, with the partitions of today. */
  static get layer() {
    return build(inject("postgres").template)
  }

  /** The clients of a program of this role. */
  static readonly layerAs = (role: Who) =>
    Layer.unwrap(
      TestDatabase.use(({ url }) =>
        Effect.succeed(
          PgClient.layer({
            url: as(role, url),
            applicationName: `test ${role}`,
            maxConnections: 8,
            startupParameters: { timezone: "UTC" }
          })
        )
      )
    )

  /** Puts services on a migrated database as a program of this role has it, while the test itself is the owner. */
  static readonly under =
    (role: Who) =>
    <A, E, R>(services: Layer.Layer<A, E, R>) =>
      Layer.provideMerge(
        services.pipe(Layer.provide(clientOfActing()), Layer.provideMerge(acting(role))),
        Layer.suspend(() => TestDatabase.layer)
      )

  /** Such a database without services, for tests that build them in their body over `actingClient`. */
  static readonly as = (role: Who) => TestDatabase.under(role)(Layer.empty)

  /** What services under test are built over. */
  static get actingClient() {
    return clientOfActing()
  }

  /** The address that a program of this role is given as DATABASE_URL. */
  static readonly urlAs = (role: Who) => TestDatabase.use(({ url }) => Effect.succeed(as(role, url)))

  /** DATABASE_URL of the owner and the logins of all roles, as programs are given them. */
  static readonly environment = Effect.suspend(() =>
    TestDatabase.use(({ url }) =>
      Effect.succeed({
        DATABASE_URL: Redacted.value(url),
        ...Object.fromEntries(
          roleNames.map((role) => [`DATABASE_URL_${role.toUpperCase()}`, Redacted.value(as(role, url))])
        )
      })
    )
  )

  /** Without tables. */
  static get layerEmpty() {
    return build("template0")
  }
}

/** The client of the services under test: to begin transactions that they join. */
export class Acting extends Context.Service<Acting, PgClient.PgClient>()("kalshi-ingestor/test/Acting") {}

const acting = (role: Who) =>
  Layer.effect(Acting, PgClient.PgClient).pipe(Layer.provide(Layer.suspend(() => TestDatabase.layerAs(role))))

/** A layer of its own for each use: layers that are the same are built once, whoever acts. */
const clientOfActing = () =>
  Layer.effectContext(
    Acting.use((sql) =>
      Effect.succeed(Context.make(PgClient.PgClient, sql).pipe(Context.add(SqlClient.SqlClient, sql)))
    )
  )

/** A role; or all who use the work queue in one: those who hand in, who work and who ask for another attempt. */
export type Who = RoleName | "queue"

const as = (role: Who, url: Redacted.Redacted<string>) => {
  const { password, user } = inject("postgres").logins[role]
  return addressFor(url, { user, password: Redacted.make(password) })
}

const fresh = Effect.fnUntraced(function* (template: string) {
  const { url } = inject("postgres")
  const name = `test_${randomBytes(6).toString("hex")}`
  const admin = yield* PgClient.makeClient({ url: Redacted.make(url) })
  yield* Effect.acquireRelease(admin.unsafe(`create database ${name} template ${template} encoding 'UTF8'`), () =>
    Effect.ignore(admin.unsafe(`drop database if exists ${name} with (force)`))
  )
  return TestDatabase.of({ name, url: Redacted.make(databaseUrl(url, name)) })
})

const build = (template: string) => {
  const database = Layer.effect(TestDatabase, fresh(template)).pipe(Layer.provide(Reactivity.layer))
  const client = Layer.unwrap(
    TestDatabase.use(({ url }) =>
      Effect.succeed(
        PgClient.layer({ url, applicationName: "test", maxConnections: 8, startupParameters: { timezone: "UTC" } })
      )
    )
  )
  return client.pipe(Layer.provideMerge(database))
}
