import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Programs from "../support/Programs.ts"

describe("npm run demo", () => {
  it.live(
    "records the simulated exchange without losing or doubling a tick, and ends by itself",
    () =>
      Effect.gen(function* () {
        const dataDir = yield* Effect.acquireRelease(
          Effect.sync(() => {
            const made = fs.mkdtempSync(path.join(os.tmpdir(), "demo-"))
            fs.chmodSync(made, 0o755)
            return made
          }),
          (made) => Effect.sync(() => fs.rmSync(made, { recursive: true }))
        )
        const { code, stderr, stdout } = yield* Programs.run("demo", { DATA_DIR: dataDir }, [
          "--for=20s",
          "--json",
          "--port=0"
        ])
        const lines = stdout.trim().split("\n")
        const result = JSON.parse(lines.at(-1)!)
        assert.strictEqual(code, 0, stderr)
        assert.isTrue(result.ok)
        assert.strictEqual(result.lost, 0)
        assert.strictEqual(result.duplicated, 0)
        assert.strictEqual(result.ticks, result.framesSent)
        assert.strictEqual(result.portalStatus, 200)
        for (const figure of ["events", "markets", "activeMarkets", "ticks", "lifecycleEvents", "settledMarkets"])
          assert.isAbove(result[figure], 0, figure)
        assert.include(stdout, "SIMULATED")
        assert.match(stdout, /portal +http:\/\/127\.0\.0\.1:\d+ {2}password \S+/)
      }),
    120_000
  )

  it.live("refuses a length of time it cannot read", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* Programs.run("demo", {}, ["--for=soon"])
      assert.strictEqual(code, 1)
      assert.match(stderr, /^--for: .*30s.*\n$/)
    })
  )
})

describe("npm start", () => {
  it.live("names all that it lacks in one line", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* Programs.run("start", {})
      assert.strictEqual(code, 1)
      assert.strictEqual(stdout, "")
      assert.match(stderr, /^KALSHI_API_KEY_ID and KALSHI_PRIVATE_KEY_PEM_PATH: are not set;.*\n$/)
    })
  )
})
