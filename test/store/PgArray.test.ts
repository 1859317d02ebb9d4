import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Decimal } from "../../src/market/Decimal.ts"
import { Random } from "../../src/simulator/Random.ts"
import { PgArray } from "../../src/store/PgArray.ts"
import { TestDatabase } from "../support/Database.ts"

const corners = [
  undefined,
  "0",
  "0.0000",
  "-0.00",
  "1",
  "0.4700",
  "10000",
  "9999.9999",
  "0.00010000",
  "100000000.00000001"
]

const digits = (random: Random, most: number) =>
  Array.from({ length: 1 + random.int(most) }, () => String(random.int(random.int(2) === 0 ? 2 : 10))).join("")

const decimal = (random: Random): string | undefined => {
  if (random.int(4) === 0) return corners[random.int(corners.length)]
  const sign = random.int(5) === 0 ? "-" : ""
  return `${sign}${digits(random, 20)}${random.int(3) === 0 ? "" : `.${digits(random, 12)}`}`
}

describe("PgArray", () => {
  it.live("arrives as the numbers that were put in, digit by digit", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const random = new Random(7)
      for (let run = 0; run < 100; run++) {
        const wanted = Array.from({ length: random.int(300) }, () => decimal(random))
        const column = PgArray.numerics()
        for (const value of wanted) column.decimal(value as Decimal | undefined)
        const texts = wanted.map((value) => value ?? null)
        const [same] = yield* sql<{ same: boolean; shown: boolean }>`
          select ${column.parameter} is not distinct from ${texts}::text[]::numeric[] as same,
            ${column.parameter}::text = ${texts}::text[]::numeric[]::text as shown`
        assert.deepStrictEqual(same, { same: true, shown: true }, JSON.stringify(wanted))
      }
    }).pipe(Effect.provide(TestDatabase.layerEmpty))
  )

  it.live("holds instants to the millisecond, before and after 2000, and small integers", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const millis = [0, 1, 946_684_799_999, 946_684_800_000, 1_787_586_600_123, 253_402_300_799_999]
      const instants = PgArray.instants()
      for (const value of millis) instants.instant(value)
      const integers = PgArray.int4s()
      for (const value of [0, -1, 2_147_483_647, -2_147_483_648]) integers.int4(value)
      integers.null()
      const small = PgArray.int2s()
      for (const value of [0, -1, 32_767, -32_768]) small.int2(value)
      const [row] = yield* sql<{
        instants: ReadonlyArray<number>
        integers: ReadonlyArray<number | null>
        small: unknown
      }>`
        select array(select (extract(epoch from t) * 1000)::float8 from unnest(${instants.parameter}) as t) as instants,
          ${integers.parameter} as integers, ${small.parameter} as small`
      assert.deepStrictEqual(row, {
        instants: millis,
        integers: [0, -1, 2_147_483_647, -2_147_483_648, null],
        small: [0, -1, 32_767, -32_768]
      })
      assert.deepStrictEqual((yield* sql`select ${PgArray.numerics().parameter} as none`)[0], { none: [] })
    }).pipe(Effect.provide(TestDatabase.layerEmpty))
  )
})
