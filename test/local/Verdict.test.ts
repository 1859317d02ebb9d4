import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as DurationText from "../../src/local/DurationText.ts"
import { compare, parseSent } from "../../src/local/Verdict.ts"

describe("the verdict on a recording", () => {
  it("counts what is missing and what is there too often, apart", () => {
    const sent = parseSent("A\t1\t2\nA\t2\t1\nB\t1\t1\n")
    assert.deepStrictEqual(
      compare(
        sent,
        new Map([
          ["A\t1", 1],
          ["A\t2", 1],
          ["B\t1", 3],
          ["C\t9", 1]
        ])
      ),
      {
        sent: 4,
        stored: 6,
        lost: 1,
        duplicated: 3
      }
    )
    assert.deepStrictEqual(compare(sent, sent), { sent: 4, stored: 4, lost: 0, duplicated: 0 })
  })
})

describe("a length of time", () => {
  it("is a number and a unit, nothing else", () => {
    assert.deepStrictEqual(
      ["30s", "1.5m", "2h"].map((text) => Duration.toSeconds(DurationText.parse(text)!)),
      [30, 90, 7200]
    )
    for (const text of ["", "30", "s", "30 s", "-3s", "soon"]) assert.isUndefined(DurationText.parse(text), text)
  })
})
