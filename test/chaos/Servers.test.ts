import { describe, it } from "@effect/vitest"
import { plays } from "./Play.ts"
import { canMount, fullDisk, postgresDown, restartPostgres } from "./scenarios/Servers.ts"

describe("chaos of the database and the disk", () => {
  plays(restartPostgres)
  plays(postgresDown)
  if (canMount) plays(fullDisk)
  else it.skip(`${fullDisk.name}: ${fullDisk.about} (only root may mount a small disk)`, () => {})
})
