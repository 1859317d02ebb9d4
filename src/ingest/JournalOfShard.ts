import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { databaseSettings } from "../store/Database.ts"
import * as IngestConfig from "./IngestConfig.ts"
import { Journal } from "./Journal.ts"

/** Appended frames are on disk within 200 ms: this, and the time the disk takes. */
const syncMillis = 100

/** The journal of one shard, where the settings want it. */
export const JournalOfShard = (shard: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { dataDir } = yield* Setting.read({ dataDir: databaseSettings.dataDir })
      const { journalDirectory, journalSegmentMegabytes } = yield* Setting.read(IngestConfig.capture)
      const directory = path.join(journalDirectory ?? path.join(dataDir, "journal"), `shard-${shard}`)
      return Journal.layer({ directory, segmentBytes: journalSegmentMegabytes * 1024 * 1024, syncMillis }).pipe(
        Layer.catch(({ message }) =>
          Layer.effect(
            Journal,
            Effect.fail(
              new SettingError({
                setting: "JOURNAL_DIR",
                problem: `${directory} cannot be written (${message})`,
                fix: "name a directory on a local disk that this user may write to"
              })
            )
          )
        )
      )
    })
  )
