import { randomBytes } from "node:crypto"
import { readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Scope from "effect/Scope"
import type { ProvidedContext } from "vitest"
import type { TestProject } from "vitest/node"
import { type RoleName, roleNames } from "../../src/runtime/Access.ts"
import { Database } from "../../src/store/Database.ts"
import { DatabaseRoles } from "../../src/store/DatabaseRoles.ts"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import { Migrations } from "../../src/store/Migrations.ts"
import { isAbandoned } from "../../src/store/OwnerLock.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly postgres: {
      readonly url: string
      readonly template: string
      /** A user of the server for each role. */
      readonly logins: Readonly<Record<RoleName | "queue", { readonly user: string; readonly password: string }>>
    }
  }
}

/** Any server of version 15 or newer, as its superuser; unset: one server of our own for the whole run. */
// @effect-diagnostics-next-line processEnv:off a test run has no ConfigProvider of its own
const given = process.env["TEST_DATABASE_URL"]

/** Settings of a server whose data nobody will miss. */
export const throwaway = {
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  shared_buffers: "128MB",
  max_wal_size: "1GB"
}

const prefix = "kalshi-ingestor-test-"

/** Servers that killed test runs left behind: taken over, stopped and removed. */
const sweep = Effect.gen(function* () {
  for (const name of readdirSync(tmpdir())) {
    const dataDir = Path.join(tmpdir(), name)
    if (!name.startsWith(prefix) || !(yield* isAbandoned(Path.join(dataDir, "postgres.owner")))) continue
    yield* Layer.build(EmbeddedPostgres.layer({ dataDir, settings: throwaway })).pipe(Effect.scoped, Effect.ignore)
    rmSync(dataDir, { recursive: true, force: true })
  }
})

const ownServer = Effect.gen(function* () {
  yield* sweep
  const dataDir = yield* Effect.acquireRelease(
    Effect.sync(() => Path.join(tmpdir(), `${prefix}${process.pid}-${randomBytes(4).toString("hex")}`)),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
  const context = yield* Layer.build(EmbeddedPostgres.layer({ dataDir, settings: throwaway }))
  return yield* EmbeddedPostgres.pipe(Effect.provideContext(context))
})

export const databaseUrl = (url: string, database: string): string => {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.href
}

const server = Effect.gen(function* () {
  const url = given ?? Redacted.value((yield* ownServer).url)
  const template = `kalshi_template_${process.pid}`
  const admin = yield* PgClient.makeClient({ url: Redacted.make(url) })
  yield* Effect.acquireRelease(admin.unsafe(`create database ${template}`), () =>
    Effect.ignore(admin.unsafe(`drop database if exists ${template} with (force)`))
  )
  yield* Layer.build(
    Migrations.layerApplied.pipe(
      Layer.provide(PgClient.layer({ url: Redacted.make(databaseUrl(url, template)), maxConnections: 1 }))
    )
  ).pipe(Effect.scoped)
  const logins = Object.fromEntries(
    [...roleNames, "queue"].map((role) => [
      role,
      { user: `kalshi_test_${process.pid}_${role}`, password: randomBytes(12).toString("hex") }
    ])
  ) as ProvidedContext["postgres"]["logins"]
  yield* Effect.acquireRelease(
    Layer.build(
      DatabaseRoles.layer.pipe(
        Layer.provideMerge(
          Database.layerFrom({
            url: Redacted.make(databaseUrl(url, template)),
            applicationName: "test",
            maxConnections: 1
          })
        )
      )
    ).pipe(
      Effect.flatMap((context) =>
        DatabaseRoles.use((roles) =>
          roles.apply(
            new Map(
              roleNames.map((role) => [
                role,
                { user: logins[role].user, password: Redacted.make(logins[role].password) }
              ])
            )
          )
        ).pipe(Effect.provideContext(context))
      ),
      Effect.scoped
    ),
    () => Effect.forEach(Object.values(logins), ({ user }) => Effect.ignore(admin.unsafe(`drop role ${user}`)))
  )
  yield* admin.unsafe(
    `create role ${logins.queue.user} login password '${logins.queue.password}' in role kalshi_rest, kalshi_worker, kalshi_portal`
  )
  return { url, template, logins }
}).pipe(Effect.provide(Reactivity.layer), Effect.provideService(References.MinimumLogLevel, "Warn"))

export default async (project: TestProject) => {
  const scope = Scope.makeUnsafe()
  project.provide("postgres", await Effect.runPromise(Scope.provide(server, scope)))
  return () => Effect.runPromise(Scope.close(scope, Exit.void))
}
