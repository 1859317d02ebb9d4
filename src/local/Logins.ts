import { randomBytes } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type RoleName, roleNames } from "../runtime/Access.ts"
import * as Setting from "../runtime/Setting.ts"
import { Database } from "../store/Database.ts"
import { addressFor, DatabaseRoles, type Login, logins } from "../store/DatabaseRoles.ts"

export type Addresses = Readonly<Record<RoleName, Redacted.Redacted<string>>>

const addressesOf = (entries: ReadonlyArray<readonly [RoleName, Redacted.Redacted<string>]>) =>
  Object.fromEntries(entries) as Addresses

/** On a server of our own: a user for each program, with a password that nobody has seen, in a database that was migrated. */
export const made = Effect.gen(function* () {
  const { url } = yield* Database
  const users = new Map(
    roleNames.map((role): [RoleName, Login] => [
      role,
      { user: `kalshi_${role}_login`, password: Redacted.make(randomBytes(18).toString("base64url")) }
    ])
  )
  yield* DatabaseRoles.use((roles) => roles.apply(users))
  return addressesOf([...users].map(([role, login]) => [role, addressFor(url, login)]))
})

/** On a server of the user's: DATABASE_URL_REST, DATABASE_URL_WS, …, and DATABASE_URL for those that are not set. */
export const given = Effect.gen(function* () {
  const { url } = yield* Database
  const values = yield* Setting.read(logins)
  return addressesOf(roleNames.map((role) => [role, values[role] ?? url]))
})
