import * as path from "node:path"
import { runnerImport } from "vite"

const [name = "", ...args] = process.argv.slice(2)
const known = ["backfill", "export", "portal", "queue", "queue-rate", "replay", "storage", "ticks"]
if (!known.includes(name)) {
  process.stderr.write(
    `npm run bench -- NAME: "${name}" is not one of ${known.join(", ")}; write npm run bench -- ticks --json\n`
  )
  process.exit(1)
}
const { module } = await runnerImport(path.join(import.meta.dirname, `${name}.ts`), { logLevel: "error" })
module.main(args)
