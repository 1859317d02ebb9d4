import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as ConnectionFile from "../../src/local/ConnectionFile.ts"
import * as Ports from "../../src/local/Ports.ts"
import { EmbeddedPostgres } from "../../src/store/EmbeddedPostgres.ts"
import { throwaway } from "../support/PostgresServer.ts"
import * as Programs from "../support/Programs.ts"

const fast = { LEASE_BEAT_SECONDS: "0.2", LEASE_FENCE_SECONDS: "2", LEASE_TAKE_SECONDS: "4", DRAIN_SECONDS: "5" }

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
    "copies the embedded database while it runs, and brings it back into another folder, which a cluster's job can run on",
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
        const job = yield* Programs.running(
          "cluster",
          { PGDATA_HOST: second, POSTGRES_PORT: String(yield* Ports.free()), ...fast },
          ["database"]
        )
        yield* Effect.sync(() => ConnectionFile.read(second)).pipe(
          Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (found) => found !== undefined })
        )
        const ofJob = { ENV_FILE: ConnectionFile.fileOf(second) }
        const again = path.join(home, "again")
        const copied = yield* Programs.run("backup", ofJob, ["create", again])
        assert.strictEqual(copied.code, 0, copied.stderr)
        assert.deepStrictEqual(tablesOf(again), tablesOf(backup))
        const nothing = yield* Programs.run("backup", ofJob, ["restore", home])
        assert.strictEqual(nothing.code, 1)
        assert.match(nothing.stderr, /^backup: .*manifest\.json.*\n$/)
        assert.strictEqual(yield* job.end("SIGTERM"), 0, job.stderr())
      }).pipe(Effect.scoped),
    120_000
  )
})
