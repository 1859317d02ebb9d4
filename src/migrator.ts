import { migratorCommand } from "./local/MigratorCommand.ts"
import { runProgram } from "./runtime/Program.ts"

runProgram("migrator", migratorCommand)
