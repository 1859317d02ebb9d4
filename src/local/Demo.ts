import * as fs from "node:fs"
import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import * as Environment from "../runtime/Environment.ts"
import { Database } from "../store/Database.ts"
import { DatabaseRoles } from "../store/DatabaseRoles.ts"
import { EmbeddedPostgres } from "../store/EmbeddedPostgres.ts"
import { Children } from "./Children.ts"
import * as Logins from "./Logins.ts"
import * as RabbitBroker from "./RabbitBroker.ts"
import { Record } from "./Record.ts"
import * as Stack from "./Stack.ts"
import * as Status from "./Status.ts"
import * as Verdict from "./Verdict.ts"

export interface DemoOptions {
  readonly dataDir: string
  readonly fallbackDataDir: string
  /** Stops by itself after this long; runs until it is stopped when absent. */
  readonly duration: Duration.Duration | undefined
  readonly json: boolean
  readonly speed: number
  readonly seed: number
  /** Additional frames a second. */
  readonly rate: number
  readonly portalPort: number
  /** Processes that do the heavy pulls; 0: rest does them itself. */
  readonly workers: number
  /** Announce jobs by a RabbitMQ of our own. */
  readonly rabbitmq: boolean
}

const Announcement = Schema.fromJsonString(
  Schema.Struct({ rest: Schema.String, ws: Schema.String, control: Schema.String, clock: Schema.String })
)

const SimulatorStats = Schema.Struct({ frames: Schema.Record(Schema.String, Schema.Finite) })

/** The demonstration did not end as it must. */
export class DemoFailed extends Schema.TaggedError<DemoFailed>()("DemoFailed", { problem: Schema.String }) {
  override get message(): string {
    return this.problem
  }
}

/** Every run records into a database of its own, so that one history of the simulated exchange never meets another. */
const freshDatabase = Effect.fnUntraced(function* (server: Redacted.Redacted<string>, name: string) {
  const sql = yield* SqlClient.SqlClient
  const old = yield* sql<{ datname: string }>`select datname from pg_database where datname like 'demo\\_%'`
  yield* Effect.forEach(old, ({ datname }) => sql`drop database ${sql(datname)} with (force)`, { discard: true })
  yield* sql`create database ${sql(name)}`
  const url = new URL(Redacted.value(server))
  url.pathname = `/${name}`
  return Redacted.make(url.toString())
})

/** `rest http://127.0.0.1:40001/metrics, ws …` */
const metricsLine = (health: Stack.Stack["health"]) =>
  Object.entries(health)
    .map(([label, url]) => `${label} ${url}/metrics`)
    .join(", ")

const session = Effect.fn("Demo.session")(function* (options: DemoOptions, home: string) {
  const children = yield* Children
  const http = yield* HttpClient.HttpClient
  const record = yield* Record
  const began = yield* Clock.currentTimeMillis

  yield* Console.log(`simulated exchange  speed ${options.speed}, seed ${options.seed}`)
  const exchange = yield* children.supervise({
    program: "exchange",
    args: [
      "--port=0",
      `--speed=${options.speed}`,
      `--seed=${options.seed}`,
      `--rate=${options.rate}`,
      `--keys-dir=${path.join(home, "keys")}`
    ],
    env: yield* Environment.ofChild("none", {}, false)
  })
  const announced = yield* Effect.flatMap(exchange.firstLine, Schema.decodeUnknownEffect(Announcement)).pipe(
    Effect.timeout("15 seconds")
  )
  const broker = options.rabbitmq ? yield* RabbitBroker.make : undefined
  if (broker !== undefined) yield* Console.log("RabbitMQ            of this demo's own, announces jobs")
  const stack = yield* Stack.start({
    portalPort: options.portalPort,
    workers: options.workers,
    withFile: false,
    addresses: Effect.provideService(Logins.made, DatabaseRoles, yield* DatabaseRoles),
    env: {
      DATA_DIR: home,
      JOURNAL_DIR: path.join(home, "journal"),
      KALSHI_API_KEY_ID: fs.readFileSync(path.join(home, "keys", "kalshi-key-id"), "utf8").trim(),
      KALSHI_PRIVATE_KEY_PEM_PATH: path.join(home, "keys", "kalshi-key.pem"),
      KALSHI_REST_URL: announced.rest,
      KALSHI_WS_URL: announced.ws,
      EXCHANGE_CLOCK: announced.clock,
      DISCOVERY_SECONDS: "10",
      BACKFILL_SECONDS: "30",
      BACKFILL_FIRST_DAYS: "0.1",
      CLOSED_CLEANUP_SECONDS: "60",
      ...(broker === undefined ? {} : { RABBITMQ_URL: Redacted.value(broker.url) })
    },
    predictor: { PREDICTION_ENABLE: "1", PREDICTION_HANDLER: "baseline:market_mid,statistical:diffusion" }
  })
  yield* Console.log(
    `recording           migrator, rest, ws, portal, predictor${options.workers > 0 ? `, ${options.workers} workers` : ""}`
  )
  yield* Console.log(`portal              ${stack.portal}  password ${stack.portalPassword}`)
  yield* Console.log(`metrics             ${metricsLine(stack.health)}`)
  yield* Console.log("THE EXCHANGE IS SIMULATED: none of this is market data.")

  const firstTick = yield* record.counts.pipe(
    Effect.repeat({ schedule: Schedule.spaced("250 millis"), until: ({ ticks }) => ticks > 0 }),
    Effect.timeoutOrElse({
      duration: "60 seconds",
      orElse: () => Effect.fail(new DemoFailed({ problem: `no tick stored in 60 s; see the logs in ${home}/logs` }))
    }),
    Effect.andThen(Clock.currentTimeMillis)
  )
  yield* Console.log(`first tick stored after ${((firstTick - began) / 1000).toFixed(1)} s`)
  const watching = Status.print.pipe(Effect.andThen(Effect.never))
  yield* options.duration === undefined ? watching : Effect.timeoutOption(watching, options.duration)
  yield* stack.ready.pipe(Effect.timeoutOption("5 seconds"))

  const control = (route: string) => http.execute(HttpClientRequest.post(`${announced.control}/${route}`))
  yield* control("pause")
  const stats = Effect.flatMap(http.get(`${announced.control}/stats`), (response) => response.json).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(SimulatorStats))
  )
  const { frames } = yield* stats
  const tickerFrames = frames["ticker"] ?? 0
  yield* record.counts.pipe(
    Effect.repeat({
      schedule: Schedule.spaced("200 millis"),
      until: (counts) => counts.ticks + counts.quarantined >= tickerFrames
    }),
    Effect.timeoutOption("15 seconds")
  )
  const sent = yield* Effect.flatMap(http.get(`${announced.control}/sent?channel=ticker`), (response) => response.text)
  const verdict = Verdict.compare(Verdict.parseSent(sent), yield* record.tickMultiset)
  const portalStatus = yield* stack.portalStatus
  const jobs = yield* record.jobs
  const codes = yield* children.stop
  const counts = yield* record.counts
  const dirty = [...codes].filter(([, code]) => code !== 0)
  const ok =
    verdict.lost === 0 &&
    verdict.duplicated === 0 &&
    counts.ticks > 0 &&
    counts.quarantined === 0 &&
    portalStatus === 200 &&
    jobs.failed === 0 &&
    (options.workers === 0 || jobs.done > 0) &&
    dirty.length === 0
  return {
    ok,
    events: counts.events,
    markets: counts.markets,
    activeMarkets: counts.activeMarkets,
    framesSent: verdict.sent,
    ticks: counts.ticks,
    lifecycleEvents: counts.lifecycleEvents,
    lost: verdict.lost,
    duplicated: verdict.duplicated,
    quarantined: counts.quarantined,
    settledMarkets: counts.settledMarkets,
    predictions: counts.predictions,
    scored: counts.scored,
    gaps: counts.gaps,
    ...(options.workers > 0 ? { jobsDone: jobs.done, jobsFailed: jobs.failed } : {}),
    portalStatus,
    firstTickSeconds: Number(((firstTick - began) / 1000).toFixed(1)),
    unclean: Object.fromEntries(dirty)
  }
})

/**
 * Records a simulated exchange with the programs of production, each a process of its own, and at the end compares what is stored
 * with what the exchange says it sent.
 */
export const run = Effect.fn("Demo.run")(function* (options: DemoOptions) {
  const began = yield* Clock.currentTimeMillis
  const result = yield* Effect.gen(function* () {
    const server = yield* EmbeddedPostgres
    yield* Console.log(`PostgreSQL          127.0.0.1:${server.port}, data in ${server.dataDir}`)
    const home = path.join(server.dataDir, "demo")
    fs.rmSync(home, { recursive: true, force: true })
    fs.mkdirSync(home, { recursive: true, mode: 0o700 })
    const connection = (url: Redacted.Redacted<string>) =>
      Database.layerFrom({ url, applicationName: "kalshi-ingestor demo", maxConnections: 3 })
    const database = yield* freshDatabase(server.url, `demo_${began}`).pipe(Effect.provide(connection(server.url)))
    return yield* session(options, home).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(
          Layer.merge(Record.layer, DatabaseRoles.layer).pipe(Layer.provideMerge(connection(database))),
          Children.layer({ logDirectory: path.join(home, "logs") })
        )
      )
    )
  }).pipe(
    Effect.provide(EmbeddedPostgres.layer({ dataDir: options.dataDir, fallbackDataDir: options.fallbackDataDir }))
  )
  yield* Console.log(options.json ? JSON.stringify(result) : Status.summary(result))
  if (!result.ok) return yield* new DemoFailed({ problem: "the demonstration found a fault: see the line above" })
})
