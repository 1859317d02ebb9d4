import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"

const root = path.resolve(import.meta.dirname, "..")
const readme = fs.readFileSync(path.join(root, "README.md"), "utf8")
const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))

const found = (pattern: RegExp) => [...new Set([...readme.matchAll(pattern)].map((match) => match[1]!))]

describe("README", () => {
  it("names only commands that exist", () => {
    for (const script of found(/npm run ([a-z:]+)/g)) assert.property(manifest.scripts, script)
    for (const program of found(/node dist\/([a-z]+)\.js/g))
      assert.isTrue(fs.existsSync(path.join(root, `src/${program}.ts`)), program)
    for (const link of found(/\]\((?!http)([^)]+)\)/g)) {
      const [file = "", heading] = link.split("#")
      assert.isTrue(fs.existsSync(path.join(root, file)), link)
      if (heading === undefined) continue
      const headings = fs.readFileSync(path.join(root, file), "utf8").matchAll(/^#+ (.+)$/gm)
      assert.include(
        [...headings].map(([, text]) => text!.toLowerCase().replaceAll(" ", "-")),
        heading,
        link
      )
    }
  })

  it("says why each dependency is there", () => {
    const known = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
    const unexplained = known.filter((name) => !name.startsWith("@types/") && !readme.includes(`\`${name}\``))
    assert.deepStrictEqual(unexplained, [])
  })

  it("pins every dependency exactly", () => {
    for (const version of Object.values({ ...manifest.dependencies, ...manifest.devDependencies }))
      assert.match(String(version), /^\d+\.\d+\.\d+(-[\w.]+)?$/)
  })

  it("names no setting that does not exist", () => {
    const example = fs.readFileSync(path.join(root, ".env.example"), "utf8")
    const settings = found(/`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)`/g)
    const gone = settings.filter((name) => !example.includes(name))
    assert.deepStrictEqual(gone, [])
  })
})
