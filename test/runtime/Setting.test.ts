import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Setting from "../../src/runtime/Setting.ts"

const settings = {
  count: Setting.int("COUNT", "how many", 5, { min: 1, max: 10 }),
  seconds: Setting.number("SECONDS", "how long", 1.5, { min: 0.1, max: 60 }),
  enabled: Setting.boolean("ENABLED", "whether", true),
  level: Setting.oneOf("LEVEL", "which", ["Info", "Debug"], "Info"),
  channels: Setting.list("CHANNELS", "which ones", ["a"], ["a", "b"]),
  port: Setting.portOption("PORT", "where", 9000),
  address: Setting.url("ADDRESS", "where to", "https://example.org/v2", ["https"], { aliases: ["HOST"] }),
  password: Setting.secret("PASSWORD", "a secret")
}
const read = (environment: Readonly<Record<string, string>>) =>
  Setting.read(settings).pipe(
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(environment))
  )

describe("settings", () => {
  it.effect("have defaults, and an empty value is unset", () =>
    Effect.gen(function* () {
      const values = yield* read({ COUNT: "", LEVEL: "  " })
      assert.deepStrictEqual(values, {
        count: 5,
        seconds: 1.5,
        enabled: true,
        level: "Info",
        channels: ["a"],
        port: undefined,
        address: "https://example.org/v2",
        password: undefined
      })
    })
  )

  it.effect("are read as typed", () =>
    Effect.gen(function* () {
      const values = yield* read({
        COUNT: "10",
        SECONDS: "0.1",
        ENABLED: "no",
        LEVEL: "debug",
        CHANNELS: " b , a ",
        PORT: "0",
        HOST: "https://old.example.org/v2/",
        PASSWORD: "hunter2"
      })
      assert.deepStrictEqual(
        [values.count, values.seconds, values.enabled, values.level, values.channels, values.port, values.address],
        [10, 0.1, false, "Debug", ["b", "a"], 0, "https://old.example.org/v2"]
      )
      assert.strictEqual(Redacted.value(values.password!), "hunter2")
      assert.notInclude(String(values.password), "hunter2")
    })
  )

  for (const [name, value] of [
    ["COUNT", "11"],
    ["COUNT", "0"],
    ["COUNT", "2.5"],
    ["COUNT", "1e1"],
    ["SECONDS", "-1"],
    ["SECONDS", "NaN"],
    ["ENABLED", "perhaps"],
    ["LEVEL", "loud"],
    ["CHANNELS", "a,c"],
    ["CHANNELS", ","],
    ["PORT", "70000"],
    ["ADDRESS", "http://example.org"],
    ["HOST", "nonsense"]
  ] as const) {
    it.effect(`refuse ${name}=${value} in one line with the way out`, () =>
      Effect.gen(function* () {
        const mistake = yield* Effect.flip(read({ [name]: value }))
        assert.strictEqual(mistake.setting, name)
        assert.match(mistake.message, new RegExp(`^${name}: .+; set .+$`))
        assert.notInclude(mistake.message, "\n")
      })
    )
  }

  it.effect("that are required say how to set them", () =>
    Effect.gen(function* () {
      const key = Setting.required(Setting.secret("KEY", "a key"), "set it to a key")
      const mistake = yield* Effect.flip(
        Setting.read({ key }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({})))
      )
      assert.strictEqual(mistake.message, "KEY: is not set; set it to a key")
    })
  )
})
