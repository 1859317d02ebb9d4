import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type RoleName, roleNames } from "../runtime/Access.ts"
import { addressFor, type Login } from "../store/DatabaseRoles.ts"
import { readText } from "../store/OwnerLock.ts"

const fileOf = (dataHost: string) => path.join(dataHost, "roles.env")
const appliedFile = (dataHost: string) => path.join(dataHost, "roles.applied")

/** What was granted when `grants` was the text of them. */
export const isApplied = (dataHost: string, grants: string): boolean => readText(appliedFile(dataHost)) === grants

export const noteApplied = (dataHost: string, grants: string): Effect.Effect<void> =>
  Effect.sync(() => fs.writeFileSync(appliedFile(dataHost), grants, { mode: 0o600 }))

/** The users of the programs, as an earlier `make` wrote them; none where no program has a user of its own. */
export const known = (dataHost: string): ReadonlyMap<RoleName, Login> =>
  new Map(
    (readText(fileOf(dataHost)) ?? "").split("\n").flatMap((line) => {
      const match = /^([a-z]+)=([0-9a-f]{48})$/.exec(line)
      const role = roleNames.find((name) => name === match?.[1])
      return match === null || role === undefined
        ? []
        : [[role, { user: `kalshi_${role}_login`, password: Redacted.make(match[2]!) }] as const]
    })
  )

/** A user for each program, with passwords in a file that only this user can read; a password is made once. */
export const make = (dataHost: string): Effect.Effect<ReadonlyMap<RoleName, Login>> =>
  Effect.sync(() => {
    const before = known(dataHost)
    const lines = roleNames.map((role) => {
      const login = before.get(role)
      return `${role}=${login === undefined ? randomBytes(24).toString("hex") : Redacted.value(login.password)}\n`
    })
    const draft = `${fileOf(dataHost)}.${process.pid}`
    fs.writeFileSync(draft, lines.join(""), { mode: 0o600 })
    fs.renameSync(draft, fileOf(dataHost))
    return known(dataHost)
  })

/** The address that a program logs in with: its own user's where it has one. */
export const addressOf = (
  owner: Redacted.Redacted<string>,
  role: RoleName,
  users: ReadonlyMap<RoleName, Login>
): Redacted.Redacted<string> => {
  const login = users.get(role)
  return login === undefined ? owner : addressFor(owner, login)
}
