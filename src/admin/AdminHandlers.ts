import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Setting } from "../runtime/Setting.ts"
import { AdminAudit } from "../store/AdminAudit.ts"
import { ArchiveLedger } from "../store/ArchiveLedger.ts"
import { ArchiveSource } from "../store/ArchiveSource.ts"
import { GapList } from "../store/GapList.ts"
import { HealthReads } from "../store/HealthReads.ts"
import { JobList } from "../store/JobList.ts"
import { PartitionList } from "../store/PartitionList.ts"
import { Quarantine } from "../store/Quarantine.ts"
import { QueueJobs } from "../store/QueueJobs.ts"
import { AdminRpcs } from "./AdminRpcs.ts"
import * as ProcessCalls from "./ProcessCalls.ts"
import * as RecordCalls from "./RecordCalls.ts"
import * as StoreCalls from "./StoreCalls.ts"

/** Answers every admin call; what a program has nothing to do with it refuses, and says who has. */
export const layer = (service: string, settings: { readonly [key: string]: Setting<unknown> }) =>
  AdminRpcs.toLayer(
    Effect.gen(function* () {
      return AdminRpcs.of({
        ...(yield* ProcessCalls.make(service, settings)),
        ...(yield* RecordCalls.make(service)),
        ...(yield* StoreCalls.make)
      })
    })
  ).pipe(
    Layer.provideMerge(AdminAudit.layer),
    Layer.provide([
      ArchiveLedger.layer,
      ArchiveSource.layer,
      GapList.layer,
      HealthReads.layer,
      JobList.layer,
      PartitionList.layer,
      Quarantine.layer,
      QueueJobs.layer
    ])
  )
