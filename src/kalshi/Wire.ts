import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import { type Decimal, isDecimal } from "../market/Decimal.ts"
import { fromSeconds, Timestamp } from "../market/Timestamp.ts"
import { oneOf } from "./Unknowns.ts"
import type { Words } from "./Vocabulary.ts"

/** Text, or nothing. */
export const Text = Schema.optionalKey(Schema.NullOr(Schema.String))
/** One of some words, as far as they are known, or nothing. */
export const Word = (words: Words) => Schema.optionalKey(Schema.NullOr(Schema.String.annotate(oneOf(words))))
export const Flag = Schema.optionalKey(Schema.NullOr(Schema.Boolean))
export const Int = Schema.optionalKey(Schema.NullOr(Schema.Int))
/** Sent, known, not read. */
export const Unread = Schema.optionalKey(Schema.Unknown)

/** A decimal as text; older and some newer fields come as JSON numbers. */
export const RequiredDecimal = Schema.Union([Schema.String, Schema.Finite]).check(
  Schema.makeFilter((value) => toDecimal(value) !== undefined, { expected: "a decimal number" })
)
export const DecimalField = Schema.optionalKey(
  Schema.NullOr(
    Schema.Union([Schema.String, Schema.Finite]).check(
      Schema.makeFilter((value) => value === "" || toDecimal(value) !== undefined, { expected: "a decimal number" })
    )
  )
)
export const Time = Schema.optionalKey(Schema.NullOr(Schema.Union([Schema.Literal(""), Timestamp])))

/** The exact decimal of a number as it was written, in text or in JSON. */
export const toDecimal = (value: string | number): Decimal | undefined => {
  const text = String(value)
  if (isDecimal(text)) return text
  const plain = Number(value).toFixed(12)
  return typeof value === "number" && Number(plain) === value && isDecimal(plain) ? plain : undefined
}

export const decimal = (value: string | number | null | undefined): Decimal | undefined =>
  value === null || value === undefined || value === "" ? undefined : toDecimal(value)

export const text = (value: string | null | undefined): string | undefined =>
  value === null || value === "" ? undefined : value

/** Whether any of these is said to be; unknown when one is not spoken of at all. */
export const isAny = (...values: ReadonlyArray<string | number | null | undefined>): boolean | undefined =>
  values.some((value) => value !== null && value !== undefined && value !== "")
    ? true
    : values.includes(undefined)
      ? undefined
      : false

export const some = <A>(value: A | null | undefined): A | undefined => (value === null ? undefined : value)

/** The exchange writes year 1 where it means "never". */
export const time = (value: Timestamp | "" | null | undefined): Timestamp | undefined =>
  value === null || value === undefined || value === "" || value.startsWith("0001-") ? undefined : value

export const timeOfSeconds = (seconds: number | null | undefined): Timestamp | undefined =>
  seconds === null || seconds === undefined || seconds <= 0 ? undefined : fromSeconds(seconds)

type Present<T> = { readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** The same record without its undefined keys. */
export const present = <T extends object>(fields: T): Present<T> => {
  const kept: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fields)) if (value !== undefined) kept[key] = value
  return kept as Present<T>
}

/** Where a payload is not what its schema says, and how: never what it holds. */
export const summarize = (issue: SchemaIssue.Issue): string => {
  const path: Array<string> = []
  let at: SchemaIssue.Issue = issue
  for (;;) {
    switch (at._tag) {
      case "Pointer":
        for (const key of at.path) path.push(String(key))
        at = at.issue
        continue
      case "Composite":
        at = at.issues[0]
        continue
      case "Encoding":
        at = at.issue
        continue
      case "AnyOf": {
        const closest = at.issues.find((issue) => issue._tag !== "InvalidType")
        if (closest === undefined) return `${where(path)} is of another type`
        at = closest
        continue
      }
      case "Filter":
        return `${where(path)} is not well formed`
      case "MissingKey":
        return `${where(path)} is missing`
      default:
        return `${where(path)} is of another type`
    }
  }
}

const where = (path: ReadonlyArray<string>) => (path.length === 0 ? "the body" : path.join("."))

export const decoder = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownResult(schema)
  return (input: unknown): Result.Result<S["Type"], string> =>
    Result.mapError(decode(input), (error) => summarize(error.issue))
}
