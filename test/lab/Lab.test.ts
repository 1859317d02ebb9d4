import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { repository } from "./Place.ts"
import { blocks, commandsOf, steps } from "./Walk.ts"

const scripts = fs.readdirSync(path.join(repository, "slurm")).filter((name) => /\.(sh|sbatch)$/.test(name))
const hasShellcheck = spawnSync("shellcheck", ["--version"]).status === 0

describe("docs/cluster.md", () => {
  it("has no command that the lab does not run, and the lab runs them all", () => {
    assert.deepStrictEqual(
      blocks().map(({ name }) => name),
      [...steps]
    )
    const source = fs.readFileSync(path.join(repository, "test/lab/Recording.ts"), "utf8")
    for (const step of steps) {
      assert.match(source, new RegExp(`(walk|commandsOf)\\("${step}"[,)]`), step)
      assert.notStrictEqual(commandsOf(step).trim(), "")
    }
  })

  it("would be found out with a command more", () => {
    assert.deepStrictEqual(blocks("text\n```bash\nrm -rf /\n```\n"), [{ name: undefined, text: "rm -rf /\n" }])
  })

  it("names only files that exist", () => {
    const text = fs.readFileSync(path.join(repository, "docs/cluster.md"), "utf8")
    for (const [, file = ""] of text.matchAll(/\b((?:slurm|apptainer|docs)\/[\w.]+\.\w+)/g))
      assert.isTrue(fs.existsSync(path.join(repository, file)), file)
  })
})

describe("the scripts of slurm/", () => {
  it.skipIf(!hasShellcheck)(`pass shellcheck${hasShellcheck ? "" : " (skipped: install Debian's shellcheck)"}`, () => {
    const { status, stdout } = spawnSync("shellcheck", ["-x", "-P", "SCRIPTDIR", ...scripts], {
      cwd: path.join(repository, "slurm"),
      encoding: "utf8"
    })
    assert.strictEqual(status, 0, stdout)
  })

  it("read settings from the environment first, then from .env, and run nothing that stands there", () => {
    const home = fs.mkdtempSync("/tmp/settings-")
    try {
      fs.writeFileSync(
        path.join(home, ".env"),
        [
          'PGDATA_HOST="/data/with space"',
          "POSTGRES_PORT=6000 # a remark",
          "WORK_QUEUE_WORKERS=3",
          "WORK_QUEUE_WORKERS=4",
          "export INGESTOR_MODE='ws'",
          `APPLY_ROLES=$(touch ${home}/ran)`,
          "POSTGRES_LISTEN="
        ].join("\n")
      )
      const { stderr, stdout } = spawnSync(
        "bash",
        [
          "-euc",
          'source "$1"; printf "%s|" "$PGDATA_HOST" "$POSTGRES_PORT" "$WORK_QUEUE_WORKERS" "$INGESTOR_MODE" "$APPLY_ROLES" "$POSTGRES_LISTEN" "$DATA_DIR" "$HANDOVER"',
          "-",
          path.join(repository, "slurm/settings.sh")
        ],
        {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "pipe"],
          env: { PATH: "/usr/bin:/bin", KALSHI_HOME: home, HANDOVER: "none" }
        }
      )
      assert.strictEqual(stderr, "")
      assert.strictEqual(stdout, `/data/with space|6000|4|ws|$(touch ${home}/ran)|127.0.0.1|/data/with space|none|`)
      assert.isFalse(fs.existsSync(path.join(home, "ran")))
    } finally {
      fs.rmSync(home, { recursive: true })
    }
  })
})
