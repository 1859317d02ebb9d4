import * as path from "node:path"
import { runnerImport } from "vite"

const { module } = await runnerImport(path.join(import.meta.dirname, "screenshots.ts"), { logLevel: "error" })
module.run(process.argv.slice(2))
