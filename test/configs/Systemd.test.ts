import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"

const directory = path.resolve(import.meta.dirname, "../../configs/systemd")
const isThere = spawnSync("systemd-analyze", ["--version"]).status === 0
const unitsIn = (folder: string) =>
  fs
    .readdirSync(folder)
    .filter((name) => name.endsWith(".service"))
    .map((name) => path.join(folder, name))

const verify = (args: ReadonlyArray<string>, units: ReadonlyArray<string>) => {
  const runtime = fs.mkdtempSync(path.join(os.tmpdir(), "kalshi-systemd-"))
  const { status, stderr } = spawnSync("systemd-analyze", [...args, "verify", ...units], {
    env: { ...process.env, XDG_RUNTIME_DIR: runtime },
    encoding: "utf8"
  })
  fs.rmSync(runtime, { recursive: true, force: true })
  return { status, stderr }
}

describe.skipIf(!isThere)("systemd units (install systemd to run)", () => {
  it("are accepted, those of the system", () => {
    assert.deepStrictEqual(verify(["--man=no"], unitsIn(directory)), { status: 0, stderr: "" })
  })

  it("are accepted, those of a user", () => {
    assert.deepStrictEqual(verify(["--man=no", "--user"], unitsIn(path.join(directory, "user"))), {
      status: 0,
      stderr: ""
    })
  })

  it("would not be, with a mistake in one", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "kalshi-units-"))
    const unit = path.join(folder, "kalshi-rest.service")
    const text = fs.readFileSync(path.join(directory, "kalshi-rest.service"), "utf8")
    fs.writeFileSync(unit, text.replace("Restart=on-failure", "Restart=sometimes"))
    assert.include(verify(["--man=no"], [unit]).stderr, "sometimes")
    fs.rmSync(folder, { recursive: true })
  })

  it("give a program no more of the machine than it needs", () => {
    for (const unit of unitsIn(directory)) {
      const { stdout } = spawnSync("systemd-analyze", ["security", "--offline=yes", "--no-pager", unit], {
        encoding: "utf8"
      })
      const exposure = Number(/exposure level for .*: ([\d.]+)/.exec(stdout)?.[1])
      assert.isBelow(exposure, 2.5, `${path.basename(unit)}: ${stdout.slice(-200)}`)
    }
  })
})
