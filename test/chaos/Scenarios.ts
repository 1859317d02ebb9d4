import type { Scenario } from "./Scenario.ts"
import { killWs, termWs } from "./scenarios/Processes.ts"

export const scenarios: ReadonlyArray<Scenario> = [killWs, termWs]
