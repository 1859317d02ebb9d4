import * as os from "node:os"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Setting from "../runtime/Setting.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { Database, databaseSettings } from "../store/Database.ts"
import { InstanceReads } from "../store/InstanceReads.ts"

/** The programs that give signs of life; `rag` is what the original called the predictor. */
export const services = ["rest", "ws", "worker", "portal", "predictor", "rag"] as const
export type Service = (typeof services)[number]

export const settings = {
  allowMissing: Setting.boolean(
    "HEALTH_ALLOW_MISSING",
    "1: a health check that finds no instance of the service says well",
    false
  ),
  connectTimeout: Setting.number(
    "HEALTH_CONNECT_TIMEOUT",
    "seconds that a health check waits for the database or for the program",
    3,
    { min: 0.1, max: 300 }
  )
}

/** Four signs of life missed. */
const silentAfterSeconds = 20

const Part = Schema.Struct({
  ok: Schema.Boolean,
  detail: Schema.String,
  ageSeconds: Schema.optionalKey(Schema.UndefinedOr(Schema.Finite))
})
type Part = typeof Part.Type

const decodeAnswer = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({ ok: Schema.Boolean, service: Schema.String, parts: Schema.Record(Schema.String, Part) })
  )
)

/** One program as the check found it. */
export interface Instance {
  readonly instance: string
  readonly service: string
  readonly host?: string
  readonly pid?: number
  readonly startedAt?: string
  /** Since its last sign of life; absent where it was asked itself. */
  readonly silentSeconds?: number
  readonly ok: boolean
  readonly parts: Readonly<Record<string, Part>>
}

export interface Verdict {
  readonly ok: boolean
  /** One line: what is stale, or that all is well. */
  readonly said: string
  readonly service: string
  /** Round trip of the question to the database; absent where a program was asked itself. */
  readonly databaseMillis?: number
  readonly instances: ReadonlyArray<Instance>
}

export interface Question {
  readonly service: Service | undefined
  readonly instance: string | undefined
  readonly allHosts: boolean
  readonly url: string | undefined
}

const seconds = (value: number) => `${Math.round(value)} s`

const problemsOf = (found: Instance): ReadonlyArray<string> => {
  if (found.silentSeconds !== undefined && found.silentSeconds > silentAfterSeconds)
    return [
      `${found.instance} (${found.host}, pid ${found.pid}) gave no sign of life for ${seconds(found.silentSeconds)}`
    ]
  return Object.entries(found.parts)
    .filter(([, part]) => !part.ok)
    .map(
      ([name, { ageSeconds, detail }]) =>
        `${found.instance} ${name}: ${detail}${ageSeconds === undefined ? "" : ` (${seconds(ageSeconds)} old)`}`
    )
}

/** The verdict on what was found, in one line. */
export const judge = (
  question: Pick<Question, "service" | "instance" | "allHosts">,
  instances: ReadonlyArray<Instance>,
  options: { readonly allowMissing: boolean; readonly host: string; readonly databaseMillis?: number }
): Verdict => {
  const service = question.service ?? "all"
  const name = service === "all" ? "programs" : service
  const where = question.allHosts || question.instance !== undefined ? "any host" : options.host
  const problems = instances.flatMap(problemsOf)
  const missing = instances.length === 0
  const ok = problems.length === 0 && (!missing || options.allowMissing)
  const oldest = Math.max(
    0,
    ...instances.flatMap(({ parts }) => Object.values(parts).map((part) => part.ageSeconds ?? 0))
  )
  const said = missing
    ? `${name}: no instance${question.instance === undefined ? "" : ` ${question.instance}`} on ${where}${options.allowMissing ? " (allowed)" : ""}`
    : problems.length > 0
      ? `${name}: ${problems.join("; ")}`
      : `${name}: ${instances.length === 1 ? "1 instance" : `${instances.length} instances`} well, data at most ${seconds(oldest)} old${
          options.databaseMillis === undefined ? "" : `, database answers in ${options.databaseMillis.toFixed(1)} ms`
        }`
  return {
    ok,
    said: said.replace(/\s*\n\s*/g, " "),
    service,
    ...(options.databaseMillis === undefined ? {} : { databaseMillis: options.databaseMillis }),
    instances
  }
}

const fromDatabase = Effect.fnUntraced(function* (question: Question) {
  const { allowMissing, connectTimeout } = yield* Setting.read(settings)
  const { url } = yield* Setting.read({
    url: Setting.required(databaseSettings.url, "set it, or ask the program with --url http://127.0.0.1:9101")
  })
  const host = os.hostname()
  const asked = Effect.gen(function* () {
    const reads = yield* InstanceReads
    return yield* Effect.timed(
      reads.of({
        service: question.service === "rag" ? "predictor" : question.service,
        instance: question.instance,
        host: question.allHosts || question.instance !== undefined ? undefined : host
      })
    )
  }).pipe(
    Effect.provide(
      InstanceReads.layer.pipe(
        Layer.provide(
          Database.layerFrom({
            url,
            applicationName: "kalshi-ingestor healthcheck",
            maxConnections: 1,
            connectSeconds: connectTimeout
          })
        )
      )
    ),
    Effect.timeoutOrElse({
      duration: Duration.seconds(2 * connectTimeout),
      orElse: () =>
        Effect.fail(
          new SettingError({
            setting: "DATABASE_URL",
            problem: `the database did not answer within ${2 * connectTimeout} s`,
            fix: "look at its load and its locks, or raise HEALTH_CONNECT_TIMEOUT"
          })
        )
    })
  )
  const [took, instances] = yield* Effect.mapError(asked, (error) =>
    error._tag === "SqlError"
      ? new SettingError({
          setting: "DATABASE_URL",
          problem: `the database has no signs of life to read (${error.reason._tag})`,
          fix: "run the migrator (node dist/migrator.js)"
        })
      : error
  )
  return judge(question, instances, { allowMissing, host, databaseMillis: Duration.toMillis(took) })
})

const fromProcess = Effect.fnUntraced(function* (question: Question, url: string) {
  const { allowMissing, connectTimeout } = yield* Setting.read(settings)
  const http = yield* HttpClient.HttpClient
  const address = `${url.replace(/\/+$/, "").replace(/\/healthz$/, "")}/healthz`
  const body = yield* http.get(address).pipe(
    Effect.flatMap((response) => response.text),
    Effect.timeout(Duration.seconds(connectTimeout)),
    Effect.option
  )
  const answer = Option.flatMap(body, decodeAnswer)
  const service = question.service === "rag" ? "predictor" : question.service
  const unwell = (detail: string): ReadonlyArray<Instance> => [
    { instance: address, service: service ?? "all", ok: false, parts: { healthz: { ok: false, detail } } }
  ]
  const instances = Option.isNone(body)
    ? unwell(`did not answer within ${connectTimeout} s`)
    : Option.isNone(answer)
      ? unwell("it does not answer like a program of kalshi-ingestor")
      : service !== undefined && answer.value.service !== service
        ? unwell(`is ${answer.value.service}, not ${service}`)
        : [{ instance: address, ...answer.value }]
  return judge(question, instances, { allowMissing, host: os.hostname() })
})

/** Asks the program at `url` (or at SERVICE_HEALTH_PORT of this machine, where that is set), else the database for signs of life. */
export const ask = Effect.fn("Healthcheck.ask")(function* (question: Question, port: number | undefined) {
  const url =
    question.url ??
    (port === undefined || question.instance !== undefined || question.allHosts
      ? undefined
      : `http://127.0.0.1:${port}`)
  return yield* url === undefined ? fromDatabase(question) : fromProcess(question, url)
})
