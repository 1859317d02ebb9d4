import { writeFileSync } from "node:fs"
import * as Generated from "./local/Generated.ts"

const root = new URL("../", import.meta.url)
for (const [file, text] of Generated.files(root)) writeFileSync(new URL(file, root), text)
