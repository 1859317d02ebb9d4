import { backupCommand } from "./local/BackupCommand.ts"
import { runProgram } from "./runtime/Program.ts"

runProgram("backup", backupCommand)
