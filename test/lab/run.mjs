import * as path from "node:path"
import { runnerImport } from "vite"

const { module } = await runnerImport(path.join(import.meta.dirname, "Main.ts"), { logLevel: "error" })
module.main(process.argv.slice(2))
