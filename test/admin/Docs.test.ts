import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { root } from "../../src/admin/AdminCommand.ts"
import * as Programs from "../support/Programs.ts"

const home = path.resolve(import.meta.dirname, "../..")
const docs = fs.readFileSync(path.join(home, "docs/admin.md"), "utf8")

const below = (command: Command.Command.Any): ReadonlyArray<Command.Command.Any> =>
  command.subcommands.flatMap(({ commands }) => commands)

/** The commands that do something, with all of their names. */
const leaves = (command: Command.Command.Any, above: ReadonlyArray<string> = []): ReadonlyArray<string> =>
  below(command).flatMap((one) => {
    const names = [...above, one.name]
    return below(one).length === 0 ? [names.join(" ")] : leaves(one, names)
  })

const found = (pattern: RegExp) => [...docs.matchAll(pattern)].map(([, text]) => text!)

describe("docs/admin.md", () => {
  const commands = [...leaves(root)].sort()

  it("has every command in its table, and no other", () => {
    assert.isAbove(commands.length, 20)
    assert.deepStrictEqual(found(/^\| `([a-z -]+)` \| /gm).sort(), commands)
  })

  it("has one example of each", () => {
    const examples = found(/^node dist\/admin\.js (.+)$/gm)
    const meant = examples.map((example) =>
      commands.filter((command) => `${example} `.startsWith(`${command} `)).at(-1)
    )
    assert.deepStrictEqual([...meant].sort(), commands)
  })

  it("gives examples whose flags exist", () => {
    for (const example of found(/^node dist\/admin\.js (.+)$/gm)) {
      const command = commands.filter((one) => `${example} `.startsWith(`${one} `)).at(-1)!
      const source = ["AdminFlags", "Given", "ProcessCommands", "RecordCommands", "StoreCommands"]
        .map((name) => fs.readFileSync(path.join(home, `src/admin/${name}.ts`), "utf8"))
        .join("\n")
      for (const [, flag] of example.matchAll(/ --([a-z-]+)/g)) assert.include(source, `("${flag}"`, command)
    }
  })
})

describe("completions", () => {
  it.live("of bash complete commands and flags of the installed name", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* Programs.run("admin", {}, ["--completions", "bash"])
      assert.strictEqual(code, 0)
      const manifest = JSON.parse(fs.readFileSync(path.join(home, "package.json"), "utf8"))
      const [name] = Object.keys(manifest.bin)
      const complete = (line: string) => {
        const words = line.split(" ")
        const script = `${stdout}
          COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
          COMP_LINE='${line}'; COMP_POINT=${line.length}
          $(complete -p ${name} | sed 's/.*-F \\([^ ]*\\).*/\\1/') ${name}
          printf '%s\\n' "\${COMPREPLY[@]}"`
        const ended = spawnSync("bash", ["--norc", "-c", script], { encoding: "utf8" })
        assert.strictEqual(ended.stderr, "")
        return ended.stdout.trim().split("\n")
      }
      assert.includeMembers(complete(`${name} `), ["status", "loops", "gaps", "audit"])
      assert.deepStrictEqual(complete(`${name} loops pa`), ["pause"])
      assert.includeMembers(complete(`${name} gaps list --`), ["--state", "--from", "--to", "--limit"])
      assert.includeMembers(complete(`${name} gaps list --state `), ["open", "waiting", "repaired", "all"])
    })
  )

  for (const shell of ["zsh", "fish"])
    it.live(`of ${shell} are written`, () =>
      Effect.gen(function* () {
        const { code, stdout } = yield* Programs.run("admin", {}, ["--completions", shell])
        assert.strictEqual(code, 0)
        assert.include(stdout, "kalshi-ingestor")
        assert.include(stdout, "quarantine")
      })
    )
})
