import { describe } from "@effect/vitest"
import { plays } from "./Play.ts"
import { burst } from "./scenarios/Burst.ts"
import { shardTakeover } from "./scenarios/Takeover.ts"

describe("chaos of shares and markets", () => {
  plays(shardTakeover)
  plays(burst)
})
