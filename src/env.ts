import * as EnvExample from "./local/EnvExample.ts"

process.stdout.write(EnvExample.text())
