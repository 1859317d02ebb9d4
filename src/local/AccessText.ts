import {
  access,
  functionsOf,
  groupOf,
  ingestKeys,
  queueOwners,
  type RoleName,
  roleNames,
  type SecretKind,
  secrets
} from "../runtime/Access.ts"
import { harmless, type QueueOperation, queueOperations } from "../runtime/AccessFunctions.ts"
import { privileges } from "../store/RolesSql.ts"
import { code, table } from "./Markdown.ts"

const tablesOf = (role: RoleName): ReadonlyArray<ReadonlyArray<string>> => {
  const { columns = {}, tables, withheld = {} } = access[role]
  const letters = [...new Set(Object.values(tables))].sort((a, b) => b.length - a.length || a.localeCompare(b))
  return [
    ...letters.map((some) => [
      privileges(some).join(", "),
      code(
        Object.keys(tables)
          .filter((name) => tables[name] === some)
          .sort()
      )
    ]),
    ...Object.entries(withheld).map(([name, but]) => [
      "not insert, not update of columns",
      `\`${name}\` (${but.join(", ")})`
    ]),
    ...Object.entries(columns).flatMap(([name, of]) =>
      (["r", "w"] as const)
        .filter((letter) => of[letter].length > 0)
        .map((letter) => [`${privileges(letter).join()} of columns`, `\`${name}\` (${of[letter].join(", ")})`])
    )
  ]
}

const callsOf = (role: RoleName) => {
  const everybodys = new Set<string>(harmless)
  return functionsOf(role)
    .filter((name) => !everybodys.has(name))
    .sort()
}

/** The generated part of docs/access.md. */
export const text = (): string =>
  [
    "## Programs\n",
    table(
      ["program", "group", "what for", "secrets", "work queue", "keys of `ingest_state`"],
      roleNames.map((role) => [
        role,
        `\`${groupOf(role)}\``,
        access[role].about,
        access[role].secrets.map((kind) => secrets[kind].about).join(", ") || "none",
        access[role].queue.join(", ") || "-",
        code(
          Object.entries(ingestKeys).flatMap(([key, owners]) =>
            (owners as ReadonlyArray<string>).includes(role) ? [key] : []
          )
        ) || "-"
      ])
    ),
    "\n## Secrets\n",
    table(
      ["secret", "variables", "for"],
      (Object.keys(secrets) as ReadonlyArray<SecretKind>).map((kind) => [
        secrets[kind].about,
        code([...secrets[kind].names, ...secrets[kind].prefixes.map((prefix) => `${prefix}*`)]),
        roleNames.filter((role) => access[role].secrets.includes(kind)).join(", ") || "the migrator"
      ])
    ),
    "\n## The work queue\n",
    table(
      ["operation", "functions", "by"],
      (Object.keys(queueOperations) as ReadonlyArray<QueueOperation>).map((operation) => [
        operation,
        code(queueOperations[operation]),
        queueOwners(operation).join(", ")
      ])
    ),
    "\n## Tables and functions\n",
    ...roleNames.flatMap((role) => [
      `### ${role}\n`,
      table(["may", "where"], [...tablesOf(role), ["call", code(callsOf(role))]]),
      ""
    ])
  ].join("\n")
