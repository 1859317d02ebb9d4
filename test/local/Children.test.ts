import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Children } from "../../src/local/Children.ts"

const home = path.resolve(import.meta.dirname, "../../src")

/** A directory, and a program in it by the name that `Children` would give it. */
const program = (script: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), "children-"))
      const name = path.relative(home, path.join(directory, "child"))
      fs.writeFileSync(path.join(directory, "child.js"), script)
      fs.mkdirSync(path.dirname(path.join(directory, `${name}.log`)), { recursive: true })
      return { directory, name, log: path.join(directory, `${name}.log`) }
    }),
    ({ directory }) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
  )

const layer = (logDirectory: string) => Children.layer({ logDirectory }).pipe(Layer.provide(NodeServices.layer))

describe("Children", () => {
  it.live("starts a program again that dies, and tells the exit code when it is stopped", () =>
    Effect.gen(function* () {
      const { directory, log, name } = yield* program(`
        const fs = require("node:fs")
        fs.appendFileSync(process.env.STARTS, "x")
        console.log("start " + fs.readFileSync(process.env.STARTS, "utf8").length)
        if (fs.readFileSync(process.env.STARTS, "utf8").length === 1) { console.error("not today"); process.exitCode = 3 }
        else { process.on("SIGTERM", () => process.exit(7)); setInterval(() => {}, 1000); fs.writeFileSync(process.env.STARTS + ".up", "") }`)
      const starts = path.join(directory, "starts")
      const codes = yield* Effect.gen(function* () {
        const children = yield* Children
        const child = yield* children.supervise({ program: name, env: { STARTS: starts } })
        assert.strictEqual(yield* child.firstLine, "start 1")
        yield* Effect.sync(() => fs.existsSync(`${starts}.up`)).pipe(
          Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (up) => up }),
          Effect.timeout("10 seconds")
        )
        return new Map(yield* children.stop)
      }).pipe(Effect.provide(layer(directory)))
      assert.deepStrictEqual([...codes], [[name, 7]])
      assert.strictEqual(fs.readFileSync(starts, "utf8"), "xx")
      const said = fs.readFileSync(log, "utf8")
      for (const line of ["start 1", "not today", "start 2"]) assert.include(said, line)
    })
  )

  it.live("runs a program to its end, and tells what a failed one said last", () =>
    Effect.gen(function* () {
      const { directory, name } = yield* program(
        `if (process.argv[2] === "bad") { console.error("first"); console.error("DATABASE_URL: is not set"); process.exitCode = 1 }`
      )
      yield* Effect.gen(function* () {
        const children = yield* Children
        yield* children.run({ program: name, env: {} })
        const failed = yield* Effect.flip(children.run({ program: name, args: ["bad"], env: {} }))
        assert.strictEqual(failed.message, `${name} ended with code 1: DATABASE_URL: is not set`)
      }).pipe(Effect.provide(layer(directory)))
    })
  )
})
