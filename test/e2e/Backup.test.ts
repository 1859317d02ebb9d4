import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import { throwaway } from "../support/PostgresServer.ts"
import * as Programs from "../support/Programs.ts"

const tablesOf = (directory: string) =>
  JSON.parse(fs.readFileSync(path.join(directory, "manifest.json"), "utf8")).tables.map(
    ({ digest, name, rows }: { readonly name: string; readonly rows: number; readonly digest: string }) => ({
      name,
      rows,
      digest
    })
  )

describe("node dist/backup.js", () => {
  it.live(
    "copies the embedded database while it runs, and brings it back into another folder",
    () =>
      Effect.gen(function* () {
        const home = yield* Programs.folder
        const [first, second] = [path.join(home, "first"), path.join(home, "second")]
        yield* Effect.gen(function* () {
          const { url } = yield* EmbeddedPostgres
          const env = { DATABASE_URL: Redacted.value(url), DATA_DIR: first }
          assert.strictEqual((yield* Programs.run("migrator", env)).code, 0)
          const made = yield* Programs.run("backup", { DATA_DIR: first }, ["create", "--json"])
          assert.strictEqual(made.code, 0, made.stderr)
          assert.isAbove(JSON.parse(made.stdout.trim()).tables, 50)
        }).pipe(Effect.provide(EmbeddedPostgres.layer({ dataDir: first, settings: throwaway })))
        const [name] = fs.readdirSync(path.join(first, "backups"))
        const backup = path.join(first, "backups", name!)
        const restored = yield* Programs.run("backup", { DATA_DIR: second }, ["restore", backup])
        assert.strictEqual(restored.code, 0, restored.stderr)
        const again = path.join(home, "again")
        assert.strictEqual((yield* Programs.run("backup", { DATA_DIR: second }, ["create", again])).code, 0)
        assert.deepStrictEqual(tablesOf(again), tablesOf(backup))
        const nothing = yield* Programs.run("backup", { DATA_DIR: second }, ["restore", home])
        assert.strictEqual(nothing.code, 1)
        assert.match(nothing.stderr, /^backup: .*manifest\.json.*\n$/)
      }).pipe(Effect.scoped),
    120_000
  )
})
