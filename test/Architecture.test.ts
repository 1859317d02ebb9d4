import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Generated from "../src/local/Generated.ts"

const root = path.resolve(import.meta.dirname, "..")
const cruise = (...targets: ReadonlyArray<string>) =>
  execFileSync(
    process.execPath,
    [
      path.join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs"),
      "--config",
      ".dependency-cruiser.cjs",
      ...targets
    ],
    { cwd: root, encoding: "utf8" }
  )

describe("the house", () => {
  it("has arrows that run one way only", () => {
    assert.include(cruise("src"), "no dependency violations found")
  })

  it("would notice an arrow that runs back", () => {
    const intruder = path.join(root, "src/market/Intruder.ts")
    fs.writeFileSync(intruder, 'import "../store/Retry.ts"\n')
    try {
      assert.throws(() => cruise("src/market"), /Command failed/)
    } finally {
      fs.rmSync(intruder)
    }
  })

  it("has one way into a transaction: a connection that breaks in it must not end a program", () => {
    const direct = execFileSync("grep", ["-rl", "withTransaction", "src"], { cwd: root, encoding: "utf8" })
    assert.deepStrictEqual(direct.trim().split("\n").sort(), [
      "src/store/OriginalDatabase.ts",
      "src/store/Transaction.ts"
    ])
  })

  it("has files that are made from the code as the code makes them", () => {
    for (const [file, text] of Generated.files(new URL("../", import.meta.url)))
      assert.strictEqual(fs.readFileSync(path.join(root, file), "utf8"), text, `${file}: run \`npm run env\``)
  })
})
