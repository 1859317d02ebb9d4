import { describe } from "@effect/vitest"
import { plays } from "./Play.ts"
import { killWs, termWs } from "./scenarios/Processes.ts"

describe("chaos of processes", () => {
  plays(killWs)
  plays(termWs)
})
