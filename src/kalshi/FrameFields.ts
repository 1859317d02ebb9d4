import * as Predicate from "effect/Predicate"
import { type Decimal, isDecimal } from "../market/Decimal.ts"
import { toDecimal } from "./Wire.ts"

/** Why a frame cannot be read; thrown by the readers below, caught in `decodeFrame`. */
export class Fault {
  readonly cause: string
  constructor(cause: string) {
    this.cause = cause
  }
}

export type Fields = { readonly [key: string]: unknown }

export const isFields = (value: unknown): value is Fields => Predicate.isObject(value)

export const fields = (parent: Fields, key: string): Fields => {
  const value = parent[key]
  if (!isFields(value)) throw new Fault(`${key} is not an object`)
  return value
}

export const text = (parent: Fields, key: string): string => {
  const value = parent[key]
  if (typeof value !== "string" || value === "") throw new Fault(`msg.${key} is missing`)
  return value
}

export const integer = (parent: Fields, key: string): number | undefined => {
  const value = parent[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new Fault(`${key} is not a whole number`)
  return value
}

export const sidOf = (parent: Fields): number => {
  const sid = integer(parent, "sid")
  if (sid === undefined) throw new Fault("sid is missing")
  return sid
}

export const decimal = (msg: Fields, key: string): Decimal | undefined => {
  const value = msg[key]
  if (value === undefined || value === null || value === "") return undefined
  if (typeof value === "string" && isDecimal(value)) return value
  const converted = typeof value === "number" ? toDecimal(value) : undefined
  if (converted === undefined) throw new Fault(`msg.${key} is not a decimal number`)
  return converted
}

export const required = (msg: Fields, key: string): Decimal => {
  const value = decimal(msg, key)
  if (value === undefined) throw new Fault(`msg.${key} is missing`)
  return value
}

const maxMillis = 253_402_300_799_999

/** Epoch milliseconds from `ts_ms`, or from what older frames carry: `ts` in seconds, `time` or `ts` as text. */
export const instant = (msg: Fields): number | undefined => {
  const millis = msg["ts_ms"]
  if (typeof millis === "number") {
    if (!Number.isSafeInteger(millis) || millis <= 0 || millis > maxMillis)
      throw new Fault("msg.ts_ms is not an instant")
    return millis
  }
  const seconds = msg["ts"]
  if (typeof seconds === "number" && seconds > 0 && seconds * 1000 <= maxMillis) return Math.trunc(seconds * 1000)
  const written = typeof seconds === "string" ? seconds : msg["time"]
  if (typeof written !== "string") return undefined
  const parsed = Date.parse(written)
  if (Number.isNaN(parsed)) throw new Fault("msg.time is not an instant")
  return parsed
}
