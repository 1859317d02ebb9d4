import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type { Words } from "./Vocabulary.ts"

/** Hears what the exchange sends and no decoder knows, each time; cheap enough for a hot path. */
export interface Unknowns {
  readonly field: (payload: string, field: string) => void
  /** A word in a field that takes one of a few. */
  readonly value: (payload: string, field: string, value: string) => void
  readonly frameType: (type: string) => void
}

export const ignoreUnknown: Unknowns = { field: () => {}, value: () => {}, frameType: () => {} }

export const reportWord = (payload: string, field: string, known: Words, value: unknown, unknowns: Unknowns): void => {
  if (typeof value === "string" && value !== "" && !known.has(value)) unknowns.value(payload, field, value)
}

const payloadKey = "kalshi/payload"
const openKey = "kalshi/open"
const wordsKey = "kalshi/words"

/** Names an object, for what is unknown in it; without a name it is called by where it stands in the one around it. */
export const payload = (name: string) => ({ [payloadKey]: name })

/** An object whose keys are nobody's promise: unknown ones are not reported. */
export const open = { [openKey]: true }

/** Text that is one of some words, as far as they are known; any text is read, and empty text says nothing. */
export const oneOf = (words: Words) => ({ [wordsKey]: words })

/** What was said with `payload`, `open` and `oneOf`. */
export const knownOf = (ast: SchemaAST.AST) => {
  const annotations = SchemaAST.resolve(ast)
  return {
    payload: annotations?.[payloadKey] as string | undefined,
    open: annotations?.[openKey] === true,
    words: annotations?.[wordsKey] as Words | undefined
  }
}

type Report = (value: unknown, unknowns: Unknowns) => void

const compile = (ast: SchemaAST.AST, payload: string, field: string): Report | undefined => {
  if (SchemaAST.isUnion(ast)) {
    for (const member of ast.types) {
      const report = compile(member, payload, field)
      if (report !== undefined) return report
    }
    return undefined
  }
  if (SchemaAST.isArrays(ast)) {
    const item = ast.rest[0] === undefined ? undefined : compile(ast.rest[0], payload, field)
    if (item === undefined) return undefined
    return (value, unknowns) => {
      if (Array.isArray(value)) for (const one of value) item(one, unknowns)
    }
  }
  const known = knownOf(ast)
  if (known.words !== undefined) {
    const { words } = known
    return (value, unknowns) => reportWord(payload, field, words, value, unknowns)
  }
  if (!SchemaAST.isObjects(ast)) return undefined
  const name = known.payload ?? `${payload}.${field}`
  const keys = new Set(ast.propertySignatures.map((property) => String(property.name)))
  const within = ast.propertySignatures.flatMap((property): ReadonlyArray<readonly [string, Report]> => {
    const report = compile(property.type, name, String(property.name))
    return report === undefined ? [] : [[String(property.name), report]]
  })
  return (value, unknowns) => {
    if (!Predicate.isObject(value)) return
    const object: { readonly [key: string]: unknown } = value
    if (!known.open) for (const key in object) if (!keys.has(key)) unknowns.field(name, key)
    for (const [key, report] of within) report(object[key], unknowns)
  }
}

/** Reports what a schema does not know of a value, whether or not the value is what the schema says. */
export const reporter = (schema: Schema.Constraint): Report => compile(schema.ast, "", "body") ?? (() => {})
