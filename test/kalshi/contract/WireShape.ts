import type * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { knownOf } from "../../../src/kalshi/Unknowns.ts"
import type { Field, Kind, Shape } from "./Shape.ts"

const leaf = (kind: Kind, words?: ReadonlySet<string>): Shape => ({ _tag: "Leaf", kinds: new Set([kind]), words })

/** Members of a union that is either one structure, or leaves of several kinds. */
const union = (members: ReadonlyArray<Shape>): Shape => {
  const [first] = members
  if (first === undefined) throw new Error("a union of nothing")
  if (members.length === 1 || members.some(({ _tag }) => _tag === "Anything")) return first
  const kinds = new Set<Kind>()
  for (const member of members) {
    if (member._tag !== "Leaf" || member.words !== undefined) throw new Error("a union of structures is not compared")
    for (const kind of member.kinds) kinds.add(kind)
  }
  return { _tag: "Leaf", kinds, words: undefined }
}

/** What a wire schema reads. Fails on a schema it cannot describe. */
export const shapeOf = (ast: SchemaAST.AST): Shape => {
  const known = knownOf(ast)
  if (SchemaAST.isString(ast)) return leaf("string", known.words)
  if (SchemaAST.isNumber(ast)) return leaf("number")
  if (SchemaAST.isBoolean(ast)) return leaf("boolean")
  if (SchemaAST.isLiteral(ast) && typeof ast.literal === "string") return leaf("string")
  if (SchemaAST.isUnknown(ast)) return { _tag: "Anything" }
  if (SchemaAST.isUnion(ast)) return union(ast.types.filter((member) => !SchemaAST.isNull(member)).map(shapeOf))
  if (SchemaAST.isArrays(ast)) {
    const items = [...ast.elements, ...ast.rest].map(shapeOf)
    return { _tag: "List", item: items[0] ?? { _tag: "Anything" } }
  }
  if (SchemaAST.isObjects(ast))
    return {
      _tag: "Object",
      name: known.payload,
      open: known.open,
      fields: new Map(ast.propertySignatures.map((property) => [String(property.name), fieldOf(property.type)]))
    }
  throw new Error(`a schema of ${ast._tag} is not compared`)
}

const fieldOf = (ast: SchemaAST.AST): Field => ({
  optional: SchemaAST.isOptional(ast),
  nullable: SchemaAST.isUnknown(ast) || (SchemaAST.isUnion(ast) && ast.types.some(SchemaAST.isNull)),
  shape: () => shapeOf(ast)
})

export const wireShape = (schema: Schema.Constraint): Shape => shapeOf(schema.ast)
