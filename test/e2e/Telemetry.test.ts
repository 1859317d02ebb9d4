import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Collector from "../support/Collector.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Exchange from "../support/Exchange.ts"
import * as Programs from "../support/Programs.ts"

interface Span {
  readonly name: string
  readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: unknown }>
}

const spansOf = (bodies: ReadonlyArray<Collector.Received>): ReadonlyArray<Span> =>
  bodies
    .filter((request) => request.path === "/v1/traces")
    .flatMap(({ body }) => JSON.parse(body).resourceSpans)
    .flatMap((resource) => resource.scopeSpans)
    .flatMap((scope) => scope.spans)

describe("programs with OTEL_EXPORTER_OTLP_ENDPOINT", () => {
  it.live(
    "send spans of REST calls and log lines under their names, nothing for each frame, and no secret",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase
        const sql = yield* PgClient.PgClient
        const home = yield* Programs.folder
        const { endpoint, received } = yield* Collector.start
        const exchange = yield* Exchange.start(path.join(home, "keys"), ["--speed=60", "--rate=500"])
        const env = {
          DATABASE_URL: Redacted.value(url),
          DATA_DIR: home,
          ...exchange.settings,
          BACKFILL_FIRST_DAYS: "0.02",
          OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
          OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20hunter2"
        }
        const rest = yield* Programs.running("rest", env)
        const ws = yield* Programs.running("ws", env)
        const frames = 3000
        yield* sql<{ n: number }>`select count(*)::int as n from ticks`.pipe(
          Effect.repeat({ schedule: Schedule.spaced("200 millis"), until: (rows) => rows[0]!.n > frames }),
          Effect.timeoutOrElse({
            duration: "50 seconds",
            orElse: () => Effect.die(new Error(`too few ticks\nrest: ${rest.stderr()}\nws: ${ws.stderr()}`))
          })
        )
        assert.strictEqual(yield* ws.end("SIGTERM"), 0, ws.stderr())
        assert.strictEqual(yield* rest.end("SIGTERM"), 0, rest.stderr())

        const requests = yield* Queue.takeAll(received)
        const from = (service: string) =>
          requests.filter(({ body }) => body.includes(`{"key":"service.name","value":{"stringValue":"${service}"}}`))
        const [ofRest, ofWs] = [from("kalshi-ingestor-rest"), from("kalshi-ingestor-ws")]
        const call = spansOf(ofRest).find(({ name }) => name === "RestCall.get")
        assert.isTrue(call?.attributes.some(({ key }) => key === "route"))
        const logs = (of: ReadonlyArray<Collector.Received>) =>
          of
            .filter((request) => request.path === "/v1/logs")
            .map(({ body }) => body)
            .join("")
        assert.include(logs(ofRest), "discovery pass complete")
        assert.include(logs(ofWs), "recording the live feed")
        assert.isTrue(ofWs.some((request) => request.path === "/v1/metrics" && request.body.includes("ticks_stored")))

        const counts = new Map<string, number>()
        for (const { name } of spansOf(ofWs)) counts.set(name, (counts.get(name) ?? 0) + 1)
        for (const [name, count] of counts) assert.isBelow(count, frames / 2, name)

        const all = requests.map(({ body }) => body).join("")
        assert.notInclude(all, "hunter2")
        assert.notInclude(all, exchange.settings["KALSHI_API_KEY_ID"] ?? "?")
        assert.notInclude(all, new URL(Redacted.value(url)).password || "\u0000")
        const signature = /kalshi-access-signature[^}]*?"stringValue":"([^"]*)"/gi
        for (const [, value] of all.matchAll(signature)) assert.strictEqual(value, "<redacted>")
      }).pipe(Effect.provide(Layer.mergeAll(TestDatabase.layer, NodeHttpClient.layerNodeHttp))),
    120_000
  )
})
