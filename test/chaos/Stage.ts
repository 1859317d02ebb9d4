import * as path from "node:path"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Ports from "../../src/local/Ports.ts"
import * as Exchange from "../support/Exchange.ts"
import * as Programs from "../support/Programs.ts"
import * as Evidence from "./Evidence.ts"

/** How a scenario is played: `forSeconds` is about the length of the trouble, `rate` the extra ticker frames a second. */
export interface Play {
  readonly seed: number
  readonly rate: number
  readonly forSeconds: number
  /** How often it happens, where it happens several times. */
  readonly times?: number
}

/** A PostgreSQL with the tables in it. `control`: of our own, to be stopped. */
export interface Database {
  readonly url: Redacted.Redacted<string>
  /** DATABASE_URL and each program's login. */
  readonly env: Readonly<Record<string, string>>
  readonly control?: {
    /** Sends every backend home and stops. */
    readonly stop: Effect.Effect<void>
    /** Leaves it no time for anything: SIGKILL. */
    readonly kill: Effect.Effect<void>
    /** On the same port. */
    readonly start: Effect.Effect<void>
  }
}

export interface Ws extends Programs.Running {
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** A metric's value, all labels summed; nothing when it does not answer. */
  readonly metric: (name: string) => Effect.Effect<number | undefined>
  /** Cumulative counts of a histogram, by upper bound. */
  readonly buckets: (name: string) => Effect.Effect<ReadonlyArray<readonly [bound: number, count: number]>>
}

export interface Stage {
  readonly play: Play
  readonly exchange: Exchange.Exchange
  readonly rest: Programs.Running
  readonly database: Database
  readonly query: <A extends object>(statement: string) => Effect.Effect<ReadonlyArray<A>>
  /** Where the processes keep their journals. */
  readonly journals: string
  /** Starts one ws process with settings over ours. */
  readonly startWs: (settings?: Readonly<Record<string, string>>) => Effect.Effect<Ws>
  /** Lays faults over those that are on; null: none. */
  readonly faults: (change: unknown) => Effect.Effect<void>
  /** Waits until frames are stored, `more` of them since the call. */
  readonly recording: (more?: number) => Effect.Effect<void>
  /** Waits for a condition that must come. */
  readonly until: <E, R>(
    what: string,
    condition: Effect.Effect<boolean, E, R>,
    seconds?: number
  ) => Effect.Effect<void, E, R>
  /** Ends the flow, waits until all of it is stored, stops the processes; each must have ended well. */
  readonly settle: Effect.Effect<void>
}

export interface StageOptions {
  readonly play: Play
  readonly database: Database
  readonly exchangeArgs?: ReadonlyArray<string>
  readonly settings?: Readonly<Record<string, string>>
  /** Below the stage's folder by default. */
  readonly journals?: string
}

const everyChannel = "ticker,trade,orderbook_delta,market_lifecycle_v2"

/** Exchange, rest and the means to start ws processes, over a database with tables. */
export const make = Effect.fnUntraced(function* (home: string, options: StageOptions) {
  const { database, play } = options
  const http = yield* HttpClient.HttpClient
  const scope = yield* Effect.scope
  const exchange = yield* Exchange.start(path.join(home, "keys"), [
    "--speed=1",
    `--rate=${play.rate}`,
    `--seed=${play.seed}`,
    ...(options.exchangeArgs ?? [])
  ])
  const env = {
    ...database.env,
    DATA_DIR: home,
    ...exchange.settings,
    KALSHI_WS_CHANNELS: everyChannel,
    // A hole that is filled behind our back would not be seen.
    TRADE_RECONCILE_SECONDS: "0",
    REPAIR_SECONDS: "0",
    LOG_LEVEL: "Warn",
    ...options.settings
  }
  const journals = options.journals ?? path.join(home, "journal")
  const query = <A extends object>(statement: string) => Effect.orDie(Evidence.query<A>(database.url, statement))

  const until: Stage["until"] = (what, condition, seconds = 60) =>
    condition.pipe(
      Effect.repeat({ schedule: Schedule.spaced("100 millis"), until: (met) => met }),
      Effect.timeoutOrElse({
        duration: `${seconds} seconds`,
        orElse: () =>
          Effect.die(
            new Error([`waited ${seconds} s in vain: ${what}`, ...started.map(({ stderr }) => stderr())].join("\n"))
          )
      }),
      Effect.asVoid
    )

  const started: Array<Ws> = []
  const rest = yield* Programs.running("rest", env)
  const startWs = Effect.fnUntraced(
    function* (settings: Readonly<Record<string, string>> = {}) {
      const port = yield* Ports.free()
      const running = yield* Programs.running("ws", {
        ...env,
        JOURNAL_DIR: journals,
        SERVICE_HEALTH_PORT: String(port),
        ...settings
      })
      const scrape = Effect.flatMap(http.get(`http://127.0.0.1:${port}/metrics`), ({ text }) => text)
      const ws: Ws = {
        ...running,
        end: (signal) =>
          Effect.suspend(() => {
            started.splice(started.indexOf(ws), 1)
            return running.end(signal)
          }),
        signal: (signal) => Effect.sync(() => process.kill(running.pid, signal)),
        metric: (name) =>
          scrape.pipe(
            Effect.map((text) => {
              const found = [
                ...text.matchAll(new RegExp(`^kalshi_ingestor_${name}(?:_total)?(?:\\{[^}]*\\})? (\\S+)$`, "gm"))
              ]
              return found.length === 0 ? undefined : found.reduce((sum, [, value]) => sum + Number(value), 0)
            }),
            Effect.orElseSucceed(() => undefined)
          ),
        buckets: (name) =>
          scrape.pipe(
            Effect.map((text) =>
              [...text.matchAll(new RegExp(`^kalshi_ingestor_${name}_bucket\\{le="([^"]+)"\\} (\\d+)`, "gm"))].map(
                ([, bound, count]) =>
                  [bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound), Number(count)] as const
              )
            ),
            Effect.orElseSucceed(() => [])
          )
      }
      started.push(ws)
      return ws
    },
    Effect.provideService(Scope.Scope, scope)
  )

  const storedFrames = query<{ n: number }>("select coalesce(sum(frames), 0)::float8 as n from journal_positions").pipe(
    Effect.map((rows) => rows[0]?.n ?? 0)
  )
  const recording: Stage["recording"] = Effect.fnUntraced(function* (more = 1) {
    const before = yield* storedFrames
    yield* until(
      `${more} more frames are stored`,
      Effect.map(storedFrames, (now) => now >= before + more)
    )
  })

  const settle = Effect.gen(function* () {
    yield* exchange.post("pause")
    let last = -1
    let still = 0
    yield* until(
      "everything is stored",
      Effect.gen(function* () {
        const now = yield* storedFrames
        const waiting = yield* Effect.forEach(started, (ws) => ws.metric("journal_backlog_bytes"))
        still = now === last && waiting.every((bytes) => bytes === 0) ? still + 1 : 0
        last = now
        return still >= 12
      }),
      300
    )
    // All at once: one that stays would take the markets of those that leave.
    yield* Effect.forEach(
      [...started],
      (ws) =>
        Effect.flatMap(ws.end("SIGTERM"), (code) =>
          code === 0 ? Effect.void : Effect.die(new Error(`ws ended with ${code}\n${ws.stderr()}`))
        ),
      { concurrency: "unbounded", discard: true }
    )
    const code = yield* rest.end("SIGTERM")
    if (code !== 0) return yield* Effect.die(new Error(`rest ended with ${code}\n${rest.stderr()}`))
  })

  yield* until(
    "markets are known",
    query<{ n: number }>("select count(*)::int as n from active_markets").pipe(Effect.map((rows) => rows[0]!.n > 0))
  )
  const stage: Stage = {
    play,
    exchange,
    rest,
    database,
    query,
    journals,
    startWs,
    faults: (change) => exchange.post("faults", change),
    recording,
    until,
    settle
  }
  return stage
})

/** Seconds that something took, with what it gave. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const began = yield* Clock.currentTimeMillis
    const value = yield* effect
    return { value, seconds: ((yield* Clock.currentTimeMillis) - began) / 1000 }
  })
