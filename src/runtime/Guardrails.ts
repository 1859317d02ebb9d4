import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { access, ownersOf, queueOwners, type RoleName, roleNames, secretKind, secrets } from "./Access.ts"
import type { QueueOperation } from "./AccessFunctions.ts"
import * as Environment from "./Environment.ts"
import * as Setting from "./Setting.ts"
import { SettingError } from "./SettingError.ts"

const modes = ["off", "warn", "enforce"] as const
type Mode = (typeof modes)[number]

export const settings = {
  role: Setting.oneOf(
    "SERVICE_ROLE",
    "the role that this program is meant to have; one of another role refuses to start. any: no check",
    ["any", ...roleNames, "rag"],
    "any"
  ),
  guardrails: Setting.oneOf(
    "SERVICE_GUARDRAILS",
    "what happens when a program writes a key of ingest_state or changes the work queue in a way that is another's",
    modes,
    "enforce"
  ),
  environment: Setting.oneOf(
    "SERVICE_ENV_GUARDRAILS",
    "what happens when a program is given a secret that is another's: keys of the exchange only for rest, ws, worker, credentials of models only for predictor, the portal's own only for portal",
    modes,
    "warn"
  ),
  allowPrefixes: Setting.listOption(
    "SERVICE_ENV_ALLOW_PREFIXES",
    "beginnings of the names of such variables that are allowed all the same",
    ["OPENAI_"]
  ),
  allowKeys: Setting.listOption("SERVICE_ENV_ALLOW_KEYS", "names of such variables that are allowed all the same", [
    "OPENAI_API_KEY"
  ])
}

/** Something that another program's role does. */
export class NotOurs extends Schema.TaggedError<NotOurs>()("NotOurs", {
  role: Schema.String,
  what: Schema.String,
  owners: Schema.Array(Schema.String),
  hint: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const owner = this.owners.length === 0 ? "no program does" : `${this.owners.join(" and ")} may`
    return `${this.role} may not ${this.what}; ${this.hint ?? owner}`
  }
}

export interface Guard {
  readonly mode: Mode
  readonly role: RoleName | undefined
  /** Operations that this program's settings turn off, and what would turn them on. */
  readonly withheld: Readonly<Partial<Record<QueueOperation, string>>>
}

/** What this process is held to; nothing where no program said so. */
export const Guardrails = Context.Reference<Guard>("kalshi-ingestor/runtime/Guardrails", {
  defaultValue: () => ({ mode: "off", role: undefined, withheld: {} })
})

const refuse = (
  { mode, role }: Guard,
  refusal: { readonly what: string; readonly owners: ReadonlyArray<string>; readonly hint?: string }
) => {
  const error = new NotOurs({ role: role ?? "this program", ...refusal })
  return mode === "warn" ? Effect.logWarning("a guardrail was crossed", { problem: error.message }) : Effect.fail(error)
}

/** Whether the program may write or remove this key of `ingest_state`. */
export const ownsKey = (guard: Guard, key: string): Effect.Effect<void, NotOurs> => {
  if (guard.mode === "off" || guard.role === undefined) return Effect.void
  const owners = ownersOf(key) ?? []
  return owners.includes(guard.role)
    ? Effect.void
    : refuse(guard, { what: `write the key ${key} of ingest_state`, owners })
}

/** Whether the program may do this to the work queue. */
export const mayQueue = (guard: Guard, operation: QueueOperation): Effect.Effect<void, NotOurs> => {
  if (guard.mode === "off" || guard.role === undefined) return Effect.void
  const hint = guard.withheld[operation]
  if (hint === undefined && access[guard.role].queue.includes(operation)) return Effect.void
  const owners = queueOwners(operation)
  return refuse(guard, { what: `${did[operation]} the work queue`, owners, ...(hint === undefined ? {} : { hint }) })
}

const did: Readonly<Record<QueueOperation, string>> = {
  enqueue: "enter jobs in",
  work: "take jobs from",
  upkeep: "tidy",
  retry: "set failed jobs going again in",
  cancel: "cancel jobs of",
  purge: "delete jobs from"
}

const environmentOf = Effect.fnUntraced(function* (
  role: RoleName,
  mode: Mode,
  allowed: { readonly keys: ReadonlyArray<string>; readonly prefixes: ReadonlyArray<string> }
) {
  if (mode === "off") return
  const foreign = Object.keys(yield* Environment.variables)
    .filter(
      (name) =>
        Environment.isForeign(role, name) &&
        !allowed.keys.includes(name) &&
        !allowed.prefixes.some((prefix) => name.startsWith(prefix))
    )
    .sort()
  if (foreign.length === 0) return
  const kinds = [...new Set(foreign.map((name) => secrets[secretKind(name)!].about))]
  const error = new SettingError({
    setting: foreign.join(", "),
    problem: `${role} has no use for ${kinds.join(" and ")}`,
    fix: "keep it out of this program's environment, or allow it by SERVICE_ENV_ALLOW_KEYS"
  })
  return yield* mode === "warn" ? Effect.logWarning(error.message) : Effect.fail(error)
})

/** Holds this process to its role: SERVICE_ROLE, SERVICE_GUARDRAILS, SERVICE_ENV_GUARDRAILS. Names variables, never what is in them. */
export const layer = (role: RoleName, withheld: Effect.Effect<Guard["withheld"], SettingError> = Effect.succeed({})) =>
  Layer.effect(
    Guardrails,
    Effect.gen(function* () {
      const config = yield* Setting.read(settings)
      // The original's word for it.
      const meant = config.role === "rag" ? "predictor" : config.role
      if (meant !== "any" && meant !== role)
        return yield* new SettingError({
          setting: "SERVICE_ROLE",
          problem: `it is ${config.role}, but this program is ${role}`,
          fix: `start the program of that role, or set SERVICE_ROLE=${role}`
        })
      yield* environmentOf(role, config.environment, {
        keys: config.allowKeys ?? [],
        prefixes: config.allowPrefixes ?? []
      })
      return { mode: config.guardrails, role, withheld: yield* withheld }
    })
  )
