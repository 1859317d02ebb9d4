import type { Scenario } from "./Scenario.ts"
import { burst } from "./scenarios/Burst.ts"
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
import { shardTakeover } from "./scenarios/Takeover.ts"

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
  shardTakeover,
  clockJump,
  burst
]
