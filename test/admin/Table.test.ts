import { stripVTControlCharacters } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { bar } from "../../src/admin/Show.ts"
import { bytes, plain, seconds, table } from "../../src/admin/Table.ts"

describe("table", () => {
  it("sets columns under one another, numbers to the right, absent cells empty", () => {
    assert.deepStrictEqual(
      table(
        ["name", "n", "note"],
        [
          ["a", 5, "first"],
          ["longer than its head", 12_345, null],
          ["", 0, undefined]
        ]
      ),
      [
        "name                      n  note",
        "a                         5  first",
        "longer than its head  12345",
        "                          0"
      ]
    )
  })

  it("of no rows is its head", () => {
    assert.deepStrictEqual(table(["id", "cause"], []), ["id  cause"])
    assert.deepStrictEqual(table([], []), [""])
  })

  it("a column that holds a text beside numbers is set as text", () => {
    assert.deepStrictEqual(table(["n"], [[5], ["all"], [12_345]]), ["n", "5", "all", "12345"])
  })

  it("cuts what is long", () => {
    const [, row] = table(["cause"], [["x".repeat(100)]])
    assert.strictEqual(row, `${"x".repeat(59)}…`)
  })

  it.prop("no cell steers the terminal or begins a line", [Schema.Array(Schema.String)], ([cells]) => {
    const lines = table(
      ["a", "b"],
      [...cells, "\u001b[2J\u001b]0;x\u0007", "\r\nok", "\u009b31m", "\u202egnp.exe"].map((cell) => [cell, 1])
    )
    assert.strictEqual(lines.length, cells.length + 5)
    for (const line of lines) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
      assert.notMatch(line, /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/)
      assert.strictEqual(stripVTControlCharacters(line), line)
    }
  })

  it("plain text stays as it is", () => {
    assert.strictEqual(plain("Höchst 72° – 73° ≥ 5"), "Höchst 72° – 73° ≥ 5")
    assert.strictEqual(plain("a\n\tb"), "a b")
  })
})

describe("bar", () => {
  const filled = (line: string) => [...line].filter((one) => one === "#").length

  it("is as full as the work is done", () => {
    assert.strictEqual(bar({ done: 0, total: 4, note: "" }), `[${"-".repeat(30)}] 0/4`)
    assert.strictEqual(bar({ done: 2, total: 4, note: "slow" }), `[${"#".repeat(15)}${"-".repeat(15)}] 2/4 slow`)
    assert.strictEqual(bar({ done: 4, total: 4, note: "" }), `[${"#".repeat(30)}] 4/4`)
    assert.strictEqual(bar({ done: 0, total: 0, note: "" }), `[${"#".repeat(30)}] 0/0`, "nothing to do is done")
  })

  it("tells how much was done where nobody knows of how much", () => {
    assert.strictEqual(bar({ done: 7, total: null, note: "" }), "… 7")
    assert.strictEqual(bar({ done: 7, total: null, note: "frames" }), "… 7 frames")
  })

  it.prop(
    "has one width, and is full only when all is done",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1e6 })),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 }))
    ],
    ([total, done]) => {
      const line = bar({ done, total, note: "" })
      assert.strictEqual(line.indexOf("]"), 31)
      assert.strictEqual(filled(line) === 30, done >= total)
    }
  )
})

describe("figures", () => {
  it("have units that fit", () => {
    assert.deepStrictEqual([0, 1, 999, 1000, 16_400, 3e6, 4.5e15].map(bytes), [
      "0 B",
      "1 B",
      "999 B",
      "1.0 kB",
      "16.4 kB",
      "3.0 MB",
      "4500.0 TB"
    ])
    assert.deepStrictEqual([0, 0.4, 119, 120, 7200, 172_800].map(seconds), [
      "0 s",
      "0 s",
      "119 s",
      "2 min",
      "2.0 h",
      "2.0 d"
    ])
  })
})
