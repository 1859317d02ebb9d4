import { replayCommand } from "./replay/ReplayCommand.ts"
import { runProgram } from "./runtime/Program.ts"

runProgram("replay", replayCommand)
