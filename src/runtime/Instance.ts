import { randomBytes } from "node:crypto"
import * as os from "node:os"
import * as Context from "effect/Context"

/** One running program. */
export interface Instance {
  /** Unlike any other's, also after a restart. */
  readonly id: string
  readonly host: string
  readonly pid: number
  /** Wall milliseconds. */
  readonly startedMillis: number
}

/** Which of all running programs this is. */
export const Instance = Context.Reference<Instance>("kalshi-ingestor/runtime/Instance", {
  defaultValue: () => ({
    id: randomBytes(5).toString("hex"),
    host: os.hostname(),
    pid: process.pid,
    startedMillis: Math.round(performance.timeOrigin)
  })
})
