import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as JournalDirectory from "../ingest/JournalDirectory.ts"
import type { LeaseHolder } from "../store/DataLease.ts"
import { readText, thisHost } from "../store/OwnerLock.ts"

/**
 * A job that provably ended on another node has left its journals held in that node's name: they are let go, so that the next `ws`
 * stores what they still hold.
 */
export const release = Effect.fn("LeftJournals.release")(function* (over: LeaseHolder | undefined) {
  if (over === undefined || over.host === thisHost) return
  const root = yield* JournalDirectory.root
  if (!fs.existsSync(root)) return
  for (const name of fs.readdirSync(root)) {
    const file = path.join(root, name, "owner.lock")
    if (readText(file)?.includes(`"hostname":${JSON.stringify(over.host)}`) !== true) continue
    fs.rmSync(file, { force: true })
    yield* Effect.logInfo("a journal of the last job is free again", { journal: name, host: over.host })
  }
})
