import { badRequest, type Reply } from "./Reply.ts"

/** A refusal, thrown by the readers below and answered by the router. */
export class Refusal extends Error {
  readonly reply: Reply
  constructor(reply: Reply) {
    super("refused")
    this.reply = reply
  }
}

export const refuse = (details: string): never => {
  throw new Refusal(badRequest(details))
}

export const text = (query: URLSearchParams, name: string): string | undefined => {
  const value = query.get(name)
  return value === null || value === "" ? undefined : value
}

export const list = (query: URLSearchParams, name: string): ReadonlyArray<string> | undefined => {
  const values = query
    .getAll(name)
    .flatMap((value) => value.split(","))
    .filter((value) => value !== "")
  return values.length === 0 ? undefined : values
}

export const flag = (query: URLSearchParams, name: string): boolean => {
  const value = text(query, name)
  if (value !== undefined && value !== "true" && value !== "false") refuse(`invalid ${name}`)
  return value === "true"
}

export const integer = (query: URLSearchParams, name: string): number | undefined => {
  const value = text(query, name)
  if (value === undefined) return undefined
  if (!/^-?\d{1,15}$/.test(value)) refuse(`invalid ${name}`)
  return Number(value)
}

export const required = (query: URLSearchParams, name: string): number =>
  integer(query, name) ?? refuse(`missing ${name}`)

export const limit = (query: URLSearchParams, usual: number, most: number): number => {
  const value = integer(query, "limit") ?? usual
  if (value < 1 || value > most) refuse(`limit must be between 1 and ${most}`)
  return value
}
