// One pass of the archive, by the programs of dist/, that ends with SIGKILL at the first step of this name.
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Archive, ArchiveProgress } from "../../dist/ingest/Archive.js"
import { Retention } from "../../dist/ingest/Retention.js"
import { ExchangeTime } from "../../dist/runtime/ExchangeTime.js"
import { ArchiveLedger } from "../../dist/store/ArchiveLedger.js"
import { ArchiveSource } from "../../dist/store/ArchiveSource.js"

const [url, directory, nowMillis, deadly] = process.argv.slice(2)
const options = { tables: ["ticks"], closedHours: 0, ticksDays: 1, booksDays: 0, rollUp: true, lockMillis: 200 }
const clock = { wallMillis: 0, exchangeMillis: Number(nowMillis), speed: 0, simulated: true }
const store = Layer.merge(ArchiveLedger.layer, ArchiveSource.layer).pipe(
  Layer.provideMerge(PgClient.layer({ url: Redacted.make(url), startupParameters: { timezone: "UTC" } }))
)
const layer = Retention.layerWith(options).pipe(
  Layer.provide(Archive.layerWith({ directory, memoryMegabytes: 128 })),
  Layer.provide([store, ExchangeTime.layerLinear(clock)]),
  Layer.provide(
    Layer.succeed(ArchiveProgress, ({ step }) =>
      Effect.sync(() => {
        if (step === deadly) process.kill(process.pid, "SIGKILL")
      })
    )
  )
)
await Effect.runPromise(Retention.use(({ pass }) => pass).pipe(Effect.provide(layer)))
