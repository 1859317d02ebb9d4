import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { readText } from "../store/OwnerLock.ts"

/** The database role of each program. */
const roleOf: Readonly<Record<string, string>> = {
  rest: "rest",
  ws: "ws",
  worker: "worker",
  predictor: "predictor",
  portal: "portal"
}

const fileOf = (dataHost: string) => path.join(dataHost, "roles.env")

const parse = (text: string | undefined) =>
  new Map(
    (text ?? "").split("\n").flatMap((line) => {
      const match = /^([a-z]+)=([0-9a-f]{48})$/.exec(line)
      return match === null ? [] : [[match[1]!, match[2]!] as const]
    })
  )

const urlOf = (base: Redacted.Redacted<string>, role: string, password: string) => {
  const url = new URL(Redacted.value(base))
  url.username = `kalshi_${role}_login`
  url.password = password
  return url.href
}

/** Passwords of the programs' database users in a file that only this user can read; made once. */
export const make = (dataHost: string): Effect.Effect<ReadonlyMap<string, string>> =>
  Effect.sync(() => {
    const known = parse(readText(fileOf(dataHost)))
    const all = new Map(
      Object.values(roleOf).map((role) => [role, known.get(role) ?? randomBytes(24).toString("hex")] as const)
    )
    const draft = `${fileOf(dataHost)}.${process.pid}`
    fs.writeFileSync(draft, [...all].map(([role, password]) => `${role}=${password}\n`).join(""), { mode: 0o600 })
    fs.renameSync(draft, fileOf(dataHost))
    return all
  })

/** Those of an earlier `make`; none where no program has a user of its own. */
export const known = (dataHost: string): ReadonlyMap<string, string> => parse(readText(fileOf(dataHost)))

/** What `migrator roles` reads: DATABASE_URL_REST and so on. */
export const settingsOf = (base: Redacted.Redacted<string>, passwords: ReadonlyMap<string, string>) =>
  Object.fromEntries(
    [...passwords].map(([role, password]) => [`DATABASE_URL_${role.toUpperCase()}`, urlOf(base, role, password)])
  )

/** The address that a program logs in with: its own user's where it has one. */
export const urlFor = (
  base: Redacted.Redacted<string>,
  program: string,
  passwords: ReadonlyMap<string, string>
): string => {
  const role = roleOf[program]
  const password = role === undefined ? undefined : passwords.get(role)
  return role === undefined || password === undefined ? Redacted.value(base) : urlOf(base, role, password)
}
