import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { coverageCommand } from "./admin/CoverageCommand.ts"
import { runProgram } from "./runtime/Program.ts"

runProgram("coverage", coverageCommand.pipe(Effect.provide(NodeServices.layer)))
