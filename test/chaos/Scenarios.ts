import type { Scenario } from "./Scenario.ts"
import {
  clockJump,
  duplicateFrames,
  exchangeDrops,
  poisonFrames,
  sequenceGaps,
  silentFeed
} from "./scenarios/Frames.ts"
import { killWs, termWs } from "./scenarios/Processes.ts"
import { fullDisk, postgresDown, restartPostgres } from "./scenarios/Servers.ts"

export const scenarios: ReadonlyArray<Scenario> = [
  killWs,
  termWs,
  restartPostgres,
  postgresDown,
  exchangeDrops,
  sequenceGaps,
  duplicateFrames,
  poisonFrames,
  silentFeed,
  fullDisk,
  clockJump
]
