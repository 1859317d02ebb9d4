import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Result from "effect/Result"
import type { Decimal } from "../market/Decimal.ts"

const postgresEpochMillis = 946_684_800_000
const headerBytes = 20

/**
 * A one-dimensional array parameter, written element by element in the server's binary format. Columns of a batch are built with it
 * while frames are read: a value becomes its bytes at once, so nothing of a frame outlives its reading.
 */
export class PgArray {
  static readonly numerics = () => new PgArray(PgTypes.OID.numeric, 12)
  static readonly instants = () => new PgArray(PgTypes.OID.timestamptz, 12)
  static readonly int8s = () => new PgArray(PgTypes.OID.int8, 12)
  static readonly booleans = () => new PgArray(PgTypes.OID.bool, 5)
  static readonly int4s = () => new PgArray(PgTypes.OID.int4, 8)
  static readonly int2s = () => new PgArray(PgTypes.OID.int2, 6)
  static readonly texts = () => new PgArray(PgTypes.OID.text, 400)

  readonly #elementOid: number
  #bytes: Buffer
  #at = headerBytes
  #count = 0
  #hasNull = false

  private constructor(elementOid: number, elementBytes: number) {
    this.#elementOid = elementOid
    this.#bytes = Buffer.allocUnsafe(headerBytes + 1024 * elementBytes)
  }

  get length(): number {
    return this.#count
  }

  /** Makes room for an element of at most `bytes` and returns where its length goes. */
  #begin(bytes: number): number {
    const at = this.#at
    if (at + 4 + bytes > this.#bytes.length) {
      const grown = Buffer.allocUnsafe((this.#bytes.length + 4 + bytes) * 2)
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
    }
    this.#count++
    return at
  }

  #int32(at: number, value: number): void {
    const bytes = this.#bytes
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
  }

  #int16(at: number, value: number): void {
    const bytes = this.#bytes
    bytes[at] = value >>> 8
    bytes[at + 1] = value
  }

  null(): void {
    const at = this.#begin(0)
    this.#int32(at, -1)
    this.#at = at + 4
    this.#hasNull = true
  }

  int4(value: number): void {
    const at = this.#begin(4)
    this.#int32(at, 4)
    this.#int32(at + 4, value)
    this.#at = at + 8
  }

  /** A whole number up to 2^53 either way. */
  int8(value: number): void {
    const at = this.#begin(8)
    this.#int32(at, 8)
    this.#int32(at + 4, Math.floor(value / 4_294_967_296))
    this.#int32(at + 8, value % 4_294_967_296)
    this.#at = at + 12
  }

  boolean(value: boolean): void {
    const at = this.#begin(1)
    this.#int32(at, 1)
    this.#bytes[at + 4] = value ? 1 : 0
    this.#at = at + 5
  }

  int2(value: number): void {
    const at = this.#begin(2)
    this.#int32(at, 2)
    this.#int16(at + 4, value)
    this.#at = at + 6
  }

  text(value: string): void {
    const bytes = Buffer.byteLength(value)
    const at = this.#begin(bytes)
    this.#int32(at, bytes)
    this.#bytes.write(value, at + 4)
    this.#at = at + 4 + bytes
  }

  /** Whole milliseconds since 1970. */
  instant(millis: number): void {
    this.int8((millis - postgresEpochMillis) * 1000)
  }

  /** Whole microseconds since 1970. */
  instantMicros(micros: number): void {
    this.int8(micros - postgresEpochMillis * 1000)
  }

  /** Nothing is null. The scale is kept: "0.4700" stays 0.4700. */
  decimal(value: Decimal | undefined): void {
    if (value === undefined) {
      this.null()
      return
    }
    const negative = value.charCodeAt(0) === 45
    const point = value.indexOf(".")
    const whole = point < 0 ? value.length : point
    const scale = point < 0 ? 0 : value.length - point - 1
    let first = negative ? 1 : 0
    while (first < whole && value.charCodeAt(first) === 48) first++
    const wholeGroups = (whole - first + 3) >> 2
    const fractionGroups = (scale + 3) >> 2
    const at = this.#begin(8 + 2 * (wholeGroups + fractionGroups))
    const digits = at + 12
    let groups = 0
    let weight = wholeGroups - 1
    let trailing = 0
    const push = (group: number) => {
      if (groups === 0 && group === 0) {
        weight--
        return
      }
      this.#int16(digits + 2 * groups, group)
      groups++
      trailing = group === 0 ? trailing + 1 : 0
    }
    let end = whole - 4 * (wholeGroups - 1)
    for (let index = 0; index < wholeGroups; index++, end += 4) push(digitsOf(value, Math.max(first, end - 4), end))
    for (let index = 0, start = whole + 1; index < fractionGroups; index++, start += 4)
      push(fractionOf(value, start, Math.min(start + 4, value.length)))
    groups -= trailing
    this.#int32(at, 8 + 2 * groups)
    this.#int16(at + 4, groups)
    this.#int16(at + 6, groups === 0 ? 0 : weight)
    this.#int16(at + 8, negative && groups > 0 ? 0x4000 : 0)
    this.#int16(at + 10, scale)
    this.#at = digits + 2 * groups
  }

  /** The array, which is not written to any more once this was taken. */
  get parameter(): PgTypes.Parameter {
    this.#int32(0, this.#count === 0 ? 0 : 1)
    this.#int32(4, this.#hasNull ? 1 : 0)
    this.#int32(8, this.#elementOid)
    this.#int32(12, this.#count)
    this.#int32(16, 1)
    const value = new Encoded(this.#bytes.subarray(0, this.#count === 0 ? 12 : this.#at))
    return { [PgTypes.ParameterTypeId]: PgTypes.ParameterTypeId, oid: PgTypes.arrayOidFor(this.#elementOid)!, value }
  }
}

const digitsOf = (text: string, from: number, to: number): number => {
  let value = 0
  for (let index = from; index < to; index++) value = value * 10 + text.charCodeAt(index) - 48
  return value
}

const tens = [10_000, 1000, 100, 10, 1]

const fractionOf = (text: string, from: number, to: number): number => digitsOf(text, from, to) * tens[to - from]!

class Encoded {
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

const builtin = PgTypes.makeRegistry()

const { bool, int2, int4, int8, numeric, text, timestamptz } = PgTypes.OID

for (const elementOid of [bool, int2, int4, int8, numeric, text, timestamptz]) {
  const oid = PgTypes.arrayOidFor(elementOid)!
  PgTypes.register<unknown>(oid, {
    encode: (value) => (value instanceof Encoded ? Result.succeed(value.bytes) : PgTypes.encode(value, oid, builtin)),
    decode: (bytes) => PgTypes.decode(bytes, oid, 1, builtin)
  })
}
