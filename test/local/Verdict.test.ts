import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as DurationText from "../../src/local/DurationText.ts"
import * as Verdict from "../../src/local/Verdict.ts"

const Counts = Schema.Array(Schema.Tuple([Schema.Literals(["a", "b", "c", "d"]), Schema.Literals([1, 2, 3])]))

describe("Verdict", () => {
  it("names what was lost and what was doubled, also where they would cancel out", () => {
    const sent = new Map([
      ["A\t1", 2],
      ["A\t2", 1],
      ["B\t1", 1]
    ])
    const stored = new Map([
      ["A\t1", 1],
      ["A\t2", 3],
      ["C\t9", 1]
    ])
    assert.deepStrictEqual(Verdict.compare(sent, stored), { sent: 4, stored: 5, lost: 2, duplicated: 3 })
    assert.deepStrictEqual(Verdict.compare(sent, sent), { sent: 4, stored: 4, lost: 0, duplicated: 0 })
    assert.deepStrictEqual(Verdict.compare(sent, new Map()), { sent: 4, stored: 0, lost: 4, duplicated: 0 })
  })

  it.prop("stored is sent, less what was lost, and what was doubled", [Counts, Counts], ([some, others]) => {
    const verdict = Verdict.compare(new Map(some), new Map(others))
    assert.strictEqual(verdict.stored, verdict.sent - verdict.lost + verdict.duplicated)
    const turned = Verdict.compare(new Map(others), new Map(some))
    assert.deepStrictEqual([turned.lost, turned.duplicated], [verdict.duplicated, verdict.lost])
  })

  it("reads the simulator's lines", () => {
    const text = "KXBTCD-26AUG2417-T80749.99\t1787603412345\t2\nKXFED\t1\t1\n"
    assert.deepStrictEqual(
      [...Verdict.parseSent(text)],
      [
        ["KXBTCD-26AUG2417-T80749.99\t1787603412345", 2],
        ["KXFED\t1", 1]
      ]
    )
    assert.strictEqual(Verdict.parseSent("").size, 0)
  })
})

describe("a length of time", () => {
  it("is a number and its unit, and nothing else", () => {
    const millis = (text: string) =>
      Option.getOrUndefined(Option.map(Option.fromNullishOr(DurationText.parse(text)), Duration.toMillis))
    assert.deepStrictEqual(["30s", "0.5m", "10m", "2h", "0s"].map(millis), [30_000, 30_000, 600_000, 7_200_000, 0])
    for (const text of ["", "30", "s", "30 s", "-1s", "1d", "1h30m", "30S"])
      assert.isUndefined(DurationText.parse(text), text)
  })
})
