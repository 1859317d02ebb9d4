import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Setting from "../../src/runtime/Setting.ts"

const read = <A>(setting: Setting.Setting<A>, variables: Readonly<Record<string, string>>) =>
  Effect.map(Setting.read({ value: setting }), ({ value }) => value as A).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(variables)))
  )

/** Each text that is right, with what it means. */
const accepts = <A>(setting: Setting.Setting<A>, meanings: ReadonlyArray<readonly [text: string, meaning: A]>) =>
  Effect.forEach(
    meanings,
    ([text, meaning]) =>
      Effect.map(read(setting, { X: text }), (value) => assert.deepStrictEqual(value, meaning, JSON.stringify(text))),
    { discard: true }
  )

/** Each text that is wrong; the message names the setting and holds a fix. */
const refuses = (setting: Setting.Setting<unknown>, texts: ReadonlyArray<string>) =>
  Effect.forEach(
    texts,
    (text) =>
      Effect.map(Effect.flip(read(setting, { X: text })), (error) => {
        assert.strictEqual(error._tag, "SettingError")
        assert.match(error.message, /^X: .+; set (it like )?X=.+/, JSON.stringify(text))
        assert.notInclude(error.message, "\n")
      }),
    { discard: true }
  )

describe("a setting", () => {
  it.effect("a whole number within bounds, the bounds included", () =>
    Effect.gen(function* () {
      const setting = Setting.int("X", "", 5, { min: -1, max: 10 })
      yield* accepts(setting, [
        ["10", 10],
        ["-1", -1],
        [" 0 ", 0],
        ["", 5],
        ["   ", 5]
      ])
      yield* refuses(setting, ["11", "-2", "1.5", "1e1", "0x1", "ten", "1 2", "--1"])
      assert.strictEqual(yield* read(setting, {}), 5)
    })
  )

  it.effect("a number that may be unset", () =>
    Effect.gen(function* () {
      const setting = Setting.numberOption("X", "", 300, { min: 0, max: 600 })
      yield* accepts(setting, [
        ["0", 0],
        ["1.5", 1.5],
        ["", undefined]
      ])
      yield* refuses(setting, ["-1", "601", "never"])
      assert.isUndefined(yield* read(setting, {}))
      assert.strictEqual(setting.shown, "")
    })
  )

  it.effect("a number, fractions allowed", () =>
    Effect.gen(function* () {
      const setting = Setting.number("X", "", 2, { min: 0.1, max: 60 })
      yield* accepts(setting, [
        ["0.1", 0.1],
        ["60", 60],
        ["", 2]
      ])
      yield* refuses(setting, ["0", "0.09", "60.1", ".5", "Infinity", "NaN", "1,5", "5s"])
    })
  )

  it.effect("yes or no", () =>
    Effect.gen(function* () {
      const setting = Setting.boolean("X", "", true)
      yield* accepts(setting, [
        ...["1", "true", "YES", "On"].map((text) => [text, true] as const),
        ...["0", "False", "no", "OFF"].map((text) => [text, false] as const),
        ["", true]
      ])
      yield* refuses(setting, ["2", "maybe", "y"])
    })
  )

  it.effect("one of some words, in any case", () =>
    Effect.gen(function* () {
      const setting = Setting.oneOf("X", "", ["Info", "Warn"], "Info")
      yield* accepts(setting, [
        ["warn", "Warn"],
        ["INFO", "Info"],
        ["", "Info"]
      ])
      yield* refuses(setting, ["Warning", "Info,Warn"])
    })
  )

  it.effect("a list", () =>
    Effect.gen(function* () {
      const setting = Setting.list("X", "", ["a"], ["a", "b"])
      yield* accepts(setting, [
        ["a,b", ["a", "b"]],
        [" b , ", ["b"]],
        ["", ["a"]]
      ])
      yield* refuses(setting, ["a,c", ",", " , "])
      yield* accepts(Setting.list("X", "", ["a"]), [["anything,else", ["anything", "else"]]])
    })
  )

  it.effect("a port", () =>
    Effect.gen(function* () {
      yield* accepts(Setting.portNumber("X", "", 8000), [
        ["0", 0],
        ["65535", 65_535],
        ["", 8000]
      ])
      yield* refuses(Setting.portNumber("X", "", 8000), ["65536", "-1", "80a", "http"])
      yield* accepts(Setting.portOption("X", "", 9101), [
        ["9101", 9101],
        ["", undefined]
      ])
      yield* refuses(Setting.portOption("X", "", 9101), ["99999"])
    })
  )

  it.effect("an address", () =>
    Effect.gen(function* () {
      const setting = Setting.url("X", "", "https://a.example/v2", ["https", "http"])
      yield* accepts(setting, [
        ["http://localhost:1/v2//", "http://localhost:1/v2"],
        ["", "https://a.example/v2"]
      ])
      yield* refuses(setting, ["localhost", "ftp://a.example", "https://", "a.example/v2"])
      const error = yield* Effect.flip(read(setting, { X: "ftp://user:hunter2@a.example" }))
      assert.notInclude(error.message, "hunter2")
    })
  )

  it.effect("text, or none", () =>
    Effect.gen(function* () {
      yield* accepts(Setting.text("X", ""), [
        [" a ", "a"],
        ["", undefined]
      ])
      yield* accepts(Setting.textOr("X", "", ".data"), [
        ["/x", "/x"],
        ["", ".data"]
      ])
    })
  )

  it.effect("a secret is not printed, neither right nor wrong", () =>
    Effect.gen(function* () {
      const secret = yield* read(Setting.secret("X", ""), { X: "hunter2" })
      assert.strictEqual(secret === undefined ? "" : Redacted.value(secret), "hunter2")
      assert.notInclude(`${String(secret)} ${JSON.stringify({ secret })}`, "hunter2")
      const missing = yield* Effect.flip(
        read(Setting.required(Setting.secret("X", ""), "set it to your password"), { X: " " })
      )
      assert.strictEqual(missing.message, "X: is not set; set it to your password")
    })
  )

  it.effect("an older name counts when the new one is unset, and a mistake in it names it", () =>
    Effect.gen(function* () {
      const setting = Setting.int("X", "", 5, { min: 0, max: 9 }, { aliases: ["OLD_X"] })
      assert.strictEqual(yield* read(setting, { OLD_X: "7" }), 7)
      assert.strictEqual(yield* read(setting, { X: "", OLD_X: "7" }), 7)
      assert.strictEqual(yield* read(setting, { X: "3", OLD_X: "7" }), 3)
      const error = yield* Effect.flip(read(setting, { OLD_X: "70" }))
      assert.strictEqual(error.setting, "OLD_X")
    })
  )

  it.effect("a long wrong value is cut, and the first mistake of a group is told", () =>
    Effect.gen(function* () {
      const group = {
        right: Setting.int("RIGHT", "", 1, { min: 0, max: 9 }),
        first: Setting.int("FIRST", "", 1, { min: 0, max: 9 }),
        second: Setting.int("SECOND", "", 1, { min: 0, max: 9 })
      }
      const error = yield* Effect.flip(Setting.read(group)).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ FIRST: "x".repeat(500), SECOND: "y" })))
      )
      assert.strictEqual(error.setting, "FIRST")
      assert.isBelow(error.message.length, 140)
    })
  )
})
