import { describe } from "@effect/vitest"
import { plays } from "./Play.ts"
import {
  clockJump,
  duplicateFrames,
  exchangeDrops,
  poisonFrames,
  sequenceGaps,
  silentFeed
} from "./scenarios/Frames.ts"

describe("chaos of frames and links", () => {
  plays(sequenceGaps)
  plays(duplicateFrames)
  plays(poisonFrames)
  plays(clockJump)
  plays(silentFeed)
  plays(exchangeDrops)
})
