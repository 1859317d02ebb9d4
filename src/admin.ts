#!/usr/bin/env node
import { adminCommand } from "./admin/AdminCommand.ts"
import { runProgram } from "./runtime/Program.ts"

runProgram("admin", adminCommand)
