import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { type ModuleItem, parseSync, type TsType, type TsTypeElement } from "@swc/core"
import type { Field, Kind, Shape } from "./Shape.ts"

const root = path.dirname(createRequire(import.meta.url).resolve("kalshi-typescript/package.json"))

export const installedVersion: string = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")).version

/** Gives the text of a declaration file of the client, e.g. `models/market.d.ts`. */
export type TextOf = (file: string) => string

export const textOf: TextOf = (file) => fs.readFileSync(path.join(root, "dist", file), "utf8")

const fileOf = (name: string) => `models/${name.replace(/([a-z0-9])([A-Z])/g, "$1-$2").toLowerCase()}.d.ts`

const kinds: Readonly<Record<string, Kind>> = {
  string: "string",
  number: "number",
  boolean: "boolean",
  object: "object"
}

/**
 * The response types of the official client as its declaration files tell them. Whatever is not of the regular form that the
 * client's generator writes is an error, never passed over.
 */
export class ClientModels {
  readonly #textOf: TextOf
  readonly #parsed = new Map<string, ReadonlyArray<ModuleItem>>()
  readonly #shapes = new Map<string, Shape>()

  constructor(text: TextOf = textOf) {
    this.#textOf = text
  }

  /** What a method's answer holds, e.g. of `MarketApi.getMarkets`. */
  response(api: string, method: string): Shape {
    const file = `api/${api.replace(/Api$/, "").toLowerCase()}-api.d.ts`
    for (const declaration of this.#declarations(file)) {
      if (declaration.type !== "ClassDeclaration" || declaration.identifier.value !== api) continue
      for (const member of declaration.body) {
        if (member.type !== "ClassMethod" || member.key.type !== "Identifier" || member.key.value !== method) continue
        return this.#answer(member.function.returnType?.typeAnnotation, `${api}.${method}`)
      }
    }
    throw new Error(`the client has no ${api}.${method}`)
  }

  #answer(type: TsType | undefined, at: string): Shape {
    const promised = type?.type === "TsTypeReference" ? type.typeParams?.params[0] : undefined
    const answer = promised?.type === "TsImportType" ? promised.typeArguments?.params[0] : undefined
    if (answer?.type !== "TsTypeReference") throw new Error(`${at} does not answer with a model`)
    return this.#shape(answer, at)
  }

  model(name: string): Shape {
    const known = this.#shapes.get(name)
    if (known !== undefined) return known
    const file = fileOf(name)
    const shape = this.#words(file, name) ?? this.#interface(file, name)
    if (shape === undefined) throw new Error(`the client's ${file} does not declare ${name}`)
    this.#shapes.set(name, shape)
    return shape
  }

  #declarations(file: string) {
    let items = this.#parsed.get(file)
    if (items === undefined) {
      items = parseSync(this.#textOf(file), { syntax: "typescript" }).body
      this.#parsed.set(file, items)
    }
    return items.flatMap((item) => (item.type === "ExportDeclaration" ? [item.declaration] : []))
  }

  #interface(file: string, name: string): Shape | undefined {
    for (const declaration of this.#declarations(file)) {
      if (declaration.type !== "TsInterfaceDeclaration" || declaration.id.value !== name) continue
      if (declaration.extends.length > 0) throw new Error(`${name} extends another type`)
      return {
        _tag: "Object",
        name: undefined,
        open: false,
        fields: new Map(declaration.body.body.map((member) => this.#field(file, name, member)))
      }
    }
    return undefined
  }

  #field(file: string, name: string, member: TsTypeElement): readonly [string, Field] {
    if (member.type !== "TsPropertySignature" || member.key.type !== "StringLiteral")
      throw new Error(`${name} has a member that is no field`)
    const key = member.key.value
    const annotation = member.typeAnnotation?.typeAnnotation
    if (annotation === undefined) throw new Error(`${name}.${key} has no type`)
    const members = annotation.type === "TsUnionType" ? annotation.types : [annotation]
    const isNull = (type: TsType) => type.type === "TsKeywordType" && type.kind === "null"
    const [type, ...others] = members.filter((one) => !isNull(one))
    if (type === undefined || others.length > 0) throw new Error(`${name}.${key} is a union`)
    return [
      key,
      {
        optional: member.optional,
        nullable: members.some(isNull),
        shape: () => this.#shape(type, `${name}.${key}`, file)
      }
    ]
  }

  #shape(type: TsType, at: string, file?: string): Shape {
    if (type.type === "TsKeywordType") {
      const kind = kinds[type.kind]
      if (type.kind === "any" || type.kind === "unknown") return { _tag: "Anything" }
      if (kind === undefined) throw new Error(`${at} is ${type.kind}`)
      return { _tag: "Leaf", kinds: new Set([kind]), words: undefined }
    }
    if (type.type !== "TsTypeReference" || type.typeName.type !== "Identifier")
      throw new Error(`${at} is a ${type.type}`)
    const name = type.typeName.value
    const [item] = type.typeParams?.params ?? []
    if (name === "Array" && item !== undefined) return { _tag: "List", item: this.#shape(item, `${at}[]`, file) }
    if (item !== undefined) throw new Error(`${at} is a ${name} of something`)
    return (file === undefined ? undefined : this.#words(file, name)) ?? this.model(name)
  }

  /** The values of `declare const Name: { readonly Key: "value" }`, which is how the client writes an enum. */
  #words(file: string, name: string): Shape | undefined {
    for (const declaration of this.#declarations(file)) {
      if (declaration.type !== "VariableDeclaration") continue
      for (const { id } of declaration.declarations) {
        if (id.type !== "Identifier" || id.value !== name || !("typeAnnotation" in id)) continue
        const type = id.typeAnnotation?.typeAnnotation
        if (type?.type !== "TsTypeLiteral") throw new Error(`${name} is not a list of words`)
        const words = type.members.map((member) => {
          const value = member.type === "TsPropertySignature" ? member.typeAnnotation?.typeAnnotation : undefined
          if (value?.type !== "TsLiteralType" || value.literal.type !== "StringLiteral")
            throw new Error(`${name} has a member that is no word`)
          return value.literal.value
        })
        return { _tag: "Leaf", kinds: new Set(["string"]), words: new Set(words) }
      }
    }
    return undefined
  }
}
