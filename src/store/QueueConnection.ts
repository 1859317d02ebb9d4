import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Reactivity from "effect/reactivity/Reactivity"
import { Guardrails } from "../runtime/Guardrails.ts"
import { Database } from "./Database.ts"
import { QueueJobs } from "./QueueJobs.ts"

/** At once: a claim, a completion, a heartbeat and the upkeep. */
const connections = 4

/**
 * The queue's rows over connections that nothing else uses: a worker whose jobs hold every connection of its pool still renews its
 * lease, claims and completes.
 */
export class QueueConnection extends Context.Service<QueueConnection, { readonly jobs: QueueJobs["Service"] }>()(
  "kalshi-ingestor/store/QueueConnection"
) {
  static readonly layerFrom = (url: Redacted.Redacted<string>) =>
    Layer.effect(
      QueueConnection,
      Effect.gen(function* () {
        const sql = yield* PgClient.make({
          url,
          applicationName: "kalshi-ingestor queue",
          maxConnections: connections,
          connectTimeout: "2 seconds",
          startupParameters: { timezone: "UTC" }
        })
        return QueueConnection.of({ jobs: QueueJobs.make(sql, yield* Guardrails) })
      })
    ).pipe(Layer.provide(Reactivity.layer))

  /** To the database of this process. */
  static readonly layer = Layer.unwrap(Database.use(({ url }) => Effect.succeed(QueueConnection.layerFrom(url))))
}
