import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"

const root = path.resolve(import.meta.dirname, "../..")
const documents = [
  "README.md",
  ...(fs.readdirSync(path.join(root, "docs"), { recursive: true }) as ReadonlyArray<string>)
    .filter((name) => name.endsWith(".md"))
    .map((name) => path.join("docs", name))
]
const read = (document: string) => fs.readFileSync(path.join(root, document), "utf8")

/** As the pages of the repository make an anchor of a heading. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[`*_]/g, (mark) => (mark === "_" ? "_" : ""))
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-")

const withoutCode = (text: string) => text.replaceAll(/```[\s\S]*?```/g, "").replaceAll(/`[^`\n]*`/g, "")

describe("documents", () => {
  for (const document of documents)
    it(`${document}: every link leads somewhere`, () => {
      for (const [, target = ""] of withoutCode(read(document)).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue
        const [file = "", heading] = target.split("#")
        const there = file === "" ? document : path.join(path.dirname(document), file)
        assert.isTrue(fs.existsSync(path.join(root, there)), `${document}: ${target}`)
        if (heading === undefined || !there.endsWith(".md")) continue
        const headings = [...read(there).matchAll(/^#+ (.+)$/gm)].map(([, text]) => anchor(text!))
        assert.include(headings, heading, `${document}: ${target}`)
      }
    })

  it("name only programs and scripts that exist", () => {
    const scripts = Object.keys(JSON.parse(read("package.json")).scripts)
    for (const document of documents) {
      const text = read(document)
      for (const [, program] of text.matchAll(/node dist\/([a-z-]+)\.js/g))
        assert.isTrue(fs.existsSync(path.join(root, `src/${program}.ts`)), `${document}: ${program}`)
      for (const [, script] of text.matchAll(/npm run (?:-s )?([a-z:]+)/g))
        assert.include(scripts, script!, `${document}: ${script}`)
    }
  })

  it("are all found from the README, by one link or two", () => {
    const linked = (document: string) =>
      [...read(document).matchAll(/\]\(([^)#\s]+\.md)[^)]*\)/g)].map(([, target]) =>
        path.join(path.dirname(document), target!)
      )
    const first = linked("README.md")
    const found = new Set([...first, ...first.filter((name) => fs.existsSync(path.join(root, name))).flatMap(linked)])
    assert.deepStrictEqual(
      documents.filter((document) => document !== "README.md" && !found.has(document)),
      []
    )
  })
})
