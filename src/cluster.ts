import { clusterCommand } from "./local/ClusterCommand.ts"
import { runProgram } from "./runtime/Program.ts"

runProgram("cluster", clusterCommand, { drain: "100 seconds" })
