export type Kind = "string" | "number" | "boolean" | "object"

/** What a JSON value may be. `Anything` is not looked into. */
export type Shape =
  | { readonly _tag: "Anything" }
  | { readonly _tag: "Leaf"; readonly kinds: ReadonlySet<Kind>; readonly words: ReadonlySet<string> | undefined }
  | { readonly _tag: "List"; readonly item: Shape }
  | ObjectShape

export interface ObjectShape {
  readonly _tag: "Object"
  /** Where it is called so wherever it stands. */
  readonly name: string | undefined
  /** It may have more keys than are known. */
  readonly open: boolean
  readonly fields: ReadonlyMap<string, Field>
}

export interface Field {
  readonly optional: boolean
  readonly nullable: boolean
  /** Asked only where it is compared: what is not read need not be understood. */
  readonly shape: () => Shape
}

const only = (whose: string, ours: ReadonlySet<string>, theirs: ReadonlySet<string>): ReadonlyArray<string> =>
  [...ours].filter((word) => !theirs.has(word)).map((word) => `"${word}" ${whose}`)

/** A word that says nothing is no word. */
const spoken = (words: ReadonlySet<string>): ReadonlySet<string> => new Set([...words].filter((word) => word !== ""))

/**
 * Where what the client says a payload is differs from what ours reads, one line each. Reading more than is promised (a key that
 * may be absent, a number where text is promised) is no difference; reading less is.
 */
export const differences = (at: string, ours: Shape, theirs: Shape): ReadonlyArray<string> => {
  if (ours._tag === "Anything") return []
  if (theirs._tag === "Anything") return [`${at}: anything in the client`]
  if (ours._tag === "Object" && theirs._tag === "Leaf" && theirs.kinds.has("object"))
    return ours.open ? [] : [`${at}: its keys are open in the client`]
  if (ours._tag !== theirs._tag) return [`${at}: ${theirs._tag} in the client, ${ours._tag} ours`]
  if (ours._tag === "List" && theirs._tag === "List") return differences(`${at}[]`, ours.item, theirs.item)
  if (ours._tag === "Object" && theirs._tag === "Object") return ofObjects(at, ours, theirs)
  if (ours._tag === "Leaf" && theirs._tag === "Leaf") {
    const unread = [...theirs.kinds].filter((kind) => !ours.kinds.has(kind))
    const lines = unread.map((kind) => `${at}: ${kind} in the client, ${[...ours.kinds].join(" or ")} ours`)
    if (ours.words === undefined && theirs.words !== undefined)
      lines.push(`${at}: one of ${[...spoken(theirs.words)].join(", ")} in the client, any text ours`)
    if (ours.words !== undefined && theirs.words === undefined) lines.push(`${at}: any text in the client`)
    if (ours.words !== undefined && theirs.words !== undefined) {
      const words = [spoken(ours.words), spoken(theirs.words)] as const
      for (const line of [...only("only ours", ...words), ...only("only in the client", words[1], words[0])])
        lines.push(`${at}: ${line}`)
    }
    return lines
  }
  return []
}

const ofObjects = (at: string, ours: ObjectShape, theirs: ObjectShape): ReadonlyArray<string> => {
  const lines: Array<string> = []
  const name = ours.name ?? at
  for (const [key, field] of ours.fields) {
    const promised = theirs.fields.get(key)
    if (promised === undefined) {
      lines.push(`${name}.${key}: only ours`)
      continue
    }
    if (promised.optional && !field.optional) lines.push(`${name}.${key}: may be absent in the client`)
    if (promised.nullable && !field.nullable) lines.push(`${name}.${key}: may be null in the client`)
    const read = field.shape()
    if (read._tag !== "Anything") lines.push(...differences(`${name}.${key}`, read, promised.shape()))
  }
  for (const key of theirs.fields.keys()) if (!ours.fields.has(key)) lines.push(`${name}.${key}: only in the client`)
  return lines
}
