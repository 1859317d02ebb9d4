import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { SettingError } from "../runtime/SettingError.ts"
import { Front } from "../simulator/Front.ts"
import { type AcceptedKey, defaultStrictness } from "../simulator/Options.ts"
import { json, notFound, type Reply } from "../simulator/Reply.ts"
import { startServer } from "../simulator/Server.ts"
import { Verifier } from "../simulator/Verifier.ts"
import { ReplayCatalog } from "../store/ReplayCatalog.ts"
import { type Chosen, FrameSource, ReplayError, type Span } from "./FrameSource.ts"
import { Player, type PlayerClock, type PlayerOptions, type PlayerStats } from "./Player.ts"
import type { Gap } from "./Recorded.ts"
import { ReplayFloor } from "./ReplayFloor.ts"
import { replayRoutes } from "./ReplayRoutes.ts"

export interface ReplayOptions {
  readonly port: number
  readonly host: string
  readonly span: Span
  /** The clock stands at the first frame, not at the beginning of the span, which is before every recording. */
  readonly isFromFirst: boolean
  readonly speed: PlayerOptions["speed"]
  readonly holdMillis: number | undefined
  readonly bufferBytes: number
  readonly keys: ReadonlyArray<AcceptedKey>
  readonly tokens: { readonly refillRate: number; readonly capacity: number }
  readonly choice: {
    readonly series: ReadonlyArray<string>
    readonly events: ReadonlyArray<string>
    readonly markets: ReadonlyArray<string>
  }
}

export interface ReplayStats extends PlayerStats {
  readonly source: string
  readonly gaps: number
  /** Recorded frames that cannot be replayed: they were no messages. */
  readonly skipped: number
  readonly requests: number
}

const pingMillis = 10_000
const prefix = "/replay"

// @effect-diagnostics-next-line globalDate:off signatures and pings are of the machine's time, also under a test clock
const wallMillis = (): number => Date.now()

const nothing = (chosen: Chosen | undefined) => chosen !== undefined && chosen.tickers.size === 0

const cannotListen = (host: string, port: number) => (cause: unknown) =>
  new SettingError({
    setting: "--port",
    problem: `${host}:${port} cannot be listened on (${cause instanceof Error ? cause.message : "unknown cause"})`,
    fix: "choose a free port, or 0 for any"
  })

/** A recording, served as the exchange would: on one port, until the scope closes. */
export class ReplayServer extends Context.Service<
  ReplayServer,
  {
    readonly port: number
    readonly restUrl: string
    readonly wsUrl: string
    readonly controlUrl: string
    /** Set once the clock runs; never at full speed. */
    readonly clock: () => PlayerClock | undefined
    readonly gaps: ReadonlyArray<Gap>
    readonly stats: Effect.Effect<ReplayStats>
    /** Starts the clock, whoever listens. */
    readonly start: Effect.Effect<void>
    /** Fails when the recording cannot be read on; never ends otherwise. */
    readonly failed: Effect.Effect<never, ReplayError>
  }
>()("kalshi-ingestor/replay/ReplayServer") {
  static readonly layer = (options: ReplayOptions) => Layer.effect(ReplayServer, make(options))
}

const chosenOf = Effect.fnUntraced(function* ({ events, markets, series }: ReplayOptions["choice"]) {
  if (series.length + events.length + markets.length === 0) return undefined
  const catalog = yield* ReplayCatalog
  const rows = yield* catalog.chosen(series, events, markets)
  return {
    tickers: new Set(rows.map(({ ticker }) => ticker)),
    events: new Set(rows.flatMap(({ event_ticker }) => event_ticker ?? []))
  } satisfies Chosen
})

const make = Effect.fnUntraced(function* (options: ReplayOptions) {
  const source = yield* FrameSource
  const catalog = yield* ReplayCatalog
  const { host, span } = options
  const chosen = yield* chosenOf(options.choice).pipe(
    Effect.mapError((error) => new ReplayError({ problem: error.message }))
  )
  if (nothing(chosen))
    return yield* new SettingError({
      setting: "--series, --event, --market",
      problem: "the database knows no such market",
      fix: "name one that was recorded, as the exchange writes it"
    })
  const gaps = yield* source.gaps(span)
  const floor = new ReplayFloor()
  const verifier = new Verifier(options.keys, defaultStrictness)
  const run = Effect.runPromiseWith(Context.empty())
  const isPaused = () =>
    gaps.some(
      ({ cause, fromMillis, toMillis }) =>
        cause === "exchange_maintenance" && fromMillis <= player.now && player.now < (toMillis ?? 0)
    )
  const routes = replayRoutes({
    catalog,
    chosen,
    now: () => player.now,
    quote: (ticker) => floor.quote(ticker),
    levels: (ticker) => floor.levels(ticker),
    isPaused,
    unauthorizedCode: defaultStrictness.unauthorizedCode
  })
  const front = new Front({
    verifier,
    wallMillis,
    tokens: options.tokens,
    anonymousTokens: undefined,
    unauthorizedCode: defaultStrictness.unauthorizedCode,
    dispatch: (path, query, caller) => run(routes(path, query, caller))
  })
  const player: Player = new Player(
    {
      speed: options.speed,
      fromMillis: options.isFromFirst ? undefined : span.fromMillis,
      holdMillis: options.holdMillis,
      bufferBytes: options.bufferBytes,
      strictness: defaultStrictness
    },
    floor,
    front,
    verifier,
    gaps,
    wallMillis
  )
  const stats = Effect.gen(function* () {
    return {
      source: source.name,
      ...player.stats(),
      gaps: gaps.length,
      skipped: yield* source.skipped,
      requests: front.requests
    } satisfies ReplayStats
  })
  const control = async (method: string, target: string): Promise<Reply> => {
    const path = new URL(target, "http://replay").pathname.slice(prefix.length + 1)
    if (method === "GET" && path === "stats") return json(await run(stats))
    if (method === "GET" && path === "gaps") return json({ gaps })
    if (method === "POST" && path === "start") {
      player.start()
      return json(await run(stats))
    }
    return notFound
  }
  const feeding = yield* source.frames(span, chosen).pipe(
    Stream.runForEachArray((frames) => Effect.promise(() => player.offer(frames))),
    Effect.andThen(Effect.sync(() => player.end())),
    Effect.forkScoped
  )
  yield* Effect.raceFirst(
    Effect.promise(() => player.ready),
    Fiber.join(feeding).pipe(Effect.andThen(Effect.never))
  )
  const server = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: () =>
        startServer(
          player,
          { port: options.port, host, pingMillis, strictness: defaultStrictness },
          { prefix, handle: control },
          wallMillis
        ),
      catch: cannotListen(host, options.port)
    }),
    (running) => Effect.promise(() => running.close())
  )
  const at = `${host}:${server.port}`
  return ReplayServer.of({
    port: server.port,
    restUrl: `http://${at}/trade-api/v2`,
    wsUrl: `ws://${at}/trade-api/ws/v2`,
    controlUrl: `http://${at}${prefix}`,
    clock: () => player.clock,
    gaps,
    stats,
    start: Effect.sync(() => player.start()),
    failed: Fiber.join(feeding).pipe(Effect.andThen(Effect.never))
  })
})
