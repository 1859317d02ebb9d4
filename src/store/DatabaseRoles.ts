import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type { SqlError } from "effect/sql/SqlError"
import { groupOf, type RoleName, roleNames } from "../runtime/Access.ts"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { Database } from "./Database.ts"
import * as Grants from "./Grants.ts"
import { Blocked, patiently } from "./LockPatience.ts"
import { Migrations } from "./Migrations.ts"
import * as SchemaSettings from "./SchemaSettings.ts"
import { scramVerifier } from "./ScramVerifier.ts"
import { sqlProblem } from "./SqlProblem.ts"
import { sqlState } from "./SqlState.ts"
import { transaction } from "./Transaction.ts"

const settingOf = (role: RoleName) => `DATABASE_URL_${role.toUpperCase()}`

const login = (role: RoleName) =>
  Setting.secret(
    settingOf(role),
    `login that \`migrator roles\` makes for ${role}, postgres://user:password@host:5432/database; the program itself is given it as DATABASE_URL`
  )

/** The addresses that programs will be given as DATABASE_URL, each with a user of its own. */
export const logins = {
  rest: login("rest"),
  ws: login("ws"),
  worker: login("worker"),
  predictor: login("predictor"),
  portal: login("portal"),
  admin: login("admin"),
  reader: login("reader")
} satisfies Record<RoleName, unknown>

export interface Login {
  readonly user: string
  readonly password: Redacted.Redacted<string>
}

export interface RolesApplied {
  /** The users that were made or updated, by role. */
  readonly logins: Readonly<Partial<Record<RoleName, string>>>
}

/** The roles of the programs in the database, made by its owner: grants, and users to log in as. Passwords never leave this process. */
export class DatabaseRoles extends Context.Service<
  DatabaseRoles,
  {
    /** Grants each role what `sql/roles.sql` says, nothing else; then makes or updates these users. Twice is as once. */
    apply(users: ReadonlyMap<RoleName, Login>): Effect.Effect<RolesApplied, SettingError>
    /** The same with the users of the settings DATABASE_URL_REST, DATABASE_URL_WS, …, as far as they are set. */
    readonly applySettings: Effect.Effect<RolesApplied, SettingError>
  }
>()("kalshi-ingestor/store/DatabaseRoles") {
  static readonly layerNoDeps = Layer.effect(
    DatabaseRoles,
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const database = yield* Database
      const migrations = yield* Migrations
      const patience = yield* Setting.read(SchemaSettings.locking)

      const upToDate = migrations.pending.pipe(
        Effect.mapError(
          ({ file, problem }) =>
            new SettingError({
              setting: "DATABASE_URL",
              problem: `${database.address} does not fit this version (${file}: ${problem})`,
              fix: "use the version it was made with, or another database"
            })
        ),
        Effect.filterOrFail(
          (pending) => pending.length === 0,
          (pending) =>
            new SettingError({
              setting: "DATABASE_URL",
              problem: `${database.address} lacks ${pending.length} migrations`,
              fix: "run: node dist/migrator.js"
            })
        )
      )

      const formatted = (format: string, ...values: ReadonlyArray<string>) =>
        sql<{ readonly text: string }>`
          select format(${format}, variadic array(select jsonb_array_elements_text(${JSON.stringify(values)}::jsonb))) as text`.pipe(
          Effect.flatMap((rows) => sql.unsafe(rows[0]!.text))
        )

      const makeLogin = Effect.fnUntraced(function* (role: RoleName, { password, user }: Login) {
        const [found] = yield* sql<{ readonly mighty: boolean; readonly own: boolean }>`
          select rolsuper or rolbypassrls or rolcreaterole as mighty, rolname = current_user as own
          from pg_roles where rolname = ${user}`
        if (found !== undefined && (found.own || found.mighty))
          return yield* new SettingError({
            setting: settingOf(role),
            problem: found.own
              ? `its user ${user} is that of DATABASE_URL, the owner`
              : `its user ${user} is one whom grants do not bind (superuser, bypassrls or createrole)`,
            fix: `name another user, as ${groupOf(role)}_login`
          })
        const attributes = "login inherit connection limit -1 password %L"
        yield* found === undefined
          ? formatted(`create role %I ${attributes}`, user, scramVerifier(Redacted.value(password)))
          : formatted(`alter role %I ${attributes}`, user, scramVerifier(Redacted.value(password)))
        const groups = [...roleNames, "owner" as const].map(groupOf)
        const members = yield* sql<{ readonly name: string }>`
          select g.rolname as name from pg_auth_members m
          join pg_roles g on g.oid = m.roleid join pg_roles u on u.oid = m.member
          where u.rolname = ${user} and g.rolname = any (${groups})`
        const has = new Set(members.map(({ name }) => name))
        for (const other of has) if (other !== groupOf(role)) yield* formatted("revoke %I from %I", other, user)
        if (!has.has(groupOf(role))) yield* formatted("grant %I to %I", groupOf(role), user)
      })

      const apply = Effect.fn("DatabaseRoles.apply")(function* (users: ReadonlyMap<RoleName, Login>) {
        yield* upToDate
        const work = Effect.gen(function* () {
          yield* sql`set local lock_timeout = ${sql.literal(String(Math.round(patience.lockSeconds * 1000)))}`
          yield* Grants.apply(sql)
          yield* Effect.forEach(users, ([role, one]) => makeLogin(role, one), { discard: true })
        }).pipe(
          transaction(sql),
          // Roles belong to the whole server: somebody may be changing the same one for another database.
          Effect.retry({
            schedule: Schedule.spaced("200 millis").pipe(Schedule.jittered),
            times: 20,
            while: (error) => error._tag === "SqlError" && isContention(error)
          }),
          Effect.mapError((error) => (error._tag === "SqlError" ? (Blocked.from(error, "roles.sql") ?? error) : error))
        )
        yield* patiently(sql, patience, work).pipe(
          Effect.mapError((error) =>
            error._tag === "SettingError"
              ? error
              : new SettingError({
                  setting: "DATABASE_URL",
                  problem: `the roles of ${database.address} cannot be made (${error._tag === "Blocked" ? error.message : sqlProblem(error)})`,
                  fix:
                    error._tag === "SqlError" && sqlState(error) === "42501"
                      ? "connect as the owner of the database, with the right to make roles (createrole), or as a superuser"
                      : "mend that and run it again"
                })
          )
        )
        return { logins: Object.fromEntries([...users].map(([role, { user }]) => [role, user])) }
      })

      const applySettings = Effect.gen(function* () {
        const values = yield* Setting.read(logins)
        const users = new Map<RoleName, Login>()
        for (const role of roleNames) {
          const url = values[role]
          if (url === undefined) continue
          const one = yield* loginOf(settingOf(role), url, database.address)
          const twin = [...users].find(([, { user }]) => user === one.user)
          if (twin !== undefined)
            return yield* new SettingError({
              setting: settingOf(role),
              problem: `its user ${one.user} is that of ${settingOf(twin[0])}, too`,
              fix: "give each program a user of its own"
            })
          users.set(role, one)
        }
        return yield* apply(users)
      })

      return DatabaseRoles.of({ apply, applySettings })
    })
  )

  static readonly layer = this.layerNoDeps.pipe(Layer.provide(Migrations.layer))
}

/** Two sessions changed one row of the catalog, or made the same role. */
const isContention = (error: SqlError) => {
  const state = sqlState(error)
  return state === "23505" || state === "42710" || (state === "XX000" && /concurrently/.test(sqlProblem(error)))
}

const loginOf = Effect.fnUntraced(function* (setting: string, secret: Redacted.Redacted<string>, address: string) {
  const example = "set it to postgres://user:password@host:5432/database"
  const wrong = (problem: string, fix = example) => new SettingError({ setting, problem, fix })
  const text = Redacted.value(secret)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol))
    return yield* wrong("it is not a postgres:// address")
  const parts = yield* Effect.try({
    try: () => ({
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.slice(1))
    }),
    catch: () => wrong("it holds a % that starts no percent-encoding", "write % in a user or password as %25")
  })
  if (parts.user === "" || parts.password === "") return yield* wrong("it names no user, or no password")
  if (parts.user.startsWith("pg_") || parts.user.length > 63)
    return yield* wrong(`${parts.user.slice(0, 40)} cannot be the name of a user`, "choose another name")
  const groups = [...roleNames, "owner" as const].map(groupOf)
  if (groups.includes(parts.user))
    return yield* wrong(`${parts.user} is the name of a group`, `name a user of its own, as ${parts.user}_login`)
  if (parts.database !== "" && parts.database !== address.slice(address.indexOf("/") + 1))
    return yield* wrong(
      `its database ${parts.database} is not that of DATABASE_URL (${address})`,
      "grants are a database's own: name the same one"
    )
  return { user: parts.user, password: Redacted.make(parts.password) }
})

/** The address of a database for somebody who logs in otherwise. */
export const addressFor = (url: Redacted.Redacted<string>, { password, user }: Login): Redacted.Redacted<string> => {
  const changed = new URL(Redacted.value(url))
  changed.username = encodeURIComponent(user)
  changed.password = encodeURIComponent(Redacted.value(password))
  return Redacted.make(changed.href)
}
