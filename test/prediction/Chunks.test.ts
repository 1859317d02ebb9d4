import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { chunks } from "../../src/prediction/Chunks.ts"

const letters = (text: string) => text.replace(/\s/g, "")

describe("chunks", () => {
  it.effect.prop(
    "lose nothing but white space, and none is too long or empty",
    {
      words: Schema.Array(
        Schema.Literals(["rain", "Snow. ", "🌧️", "\n\n", "\r\n", "# Head\n", " ", "x".repeat(90)])
      ).check(Schema.isMaxLength(60)),
      longest: Schema.Int.check(Schema.isBetween({ minimum: 20, maximum: 200 }))
    },
    ({ longest, words }) =>
      Effect.sync(() => {
        const text = words.join("")
        const pieces = chunks(text, longest)
        assert.strictEqual(letters(pieces.join("")), letters(text))
        for (const piece of pieces) {
          assert.isAtMost(piece.length, longest)
          assert.notStrictEqual(piece.trim(), "")
          assert.doesNotThrow(() => encodeURIComponent(piece))
        }
        assert.deepStrictEqual(chunks(text, longest), pieces)
      })
  )

  it("end at paragraphs and sentences where they can", () => {
    assert.deepStrictEqual(chunks("One two. Three four.\n\nFive.", 21), ["One two. Three four.", "Five."])
    assert.deepStrictEqual(chunks("One two three. Four five six.", 20), ["One two three.", "Four five six."])
    assert.deepStrictEqual(chunks("  \n\n "), [])
  })
})
