import { generateKeyPair, randomUUID } from "node:crypto"
import { promisify } from "node:util"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { MarketSpec } from "./Catalog.ts"
import { type ClockMap, Engine, type Stats } from "./Engine.ts"
import { type PartialOptions, withDefaults } from "./Options.ts"
import { startServer } from "./Server.ts"

export class SimulatorError extends Schema.TaggedError<SimulatorError>()("SimulatorError", {
  reason: Schema.Literals(["Listen", "UnknownMarket", "Setting"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.reason === "Listen" ? "cannot listen" : this.reason === "Setting" ? "wrong setting" : "unknown market"}: ${this.detail}`
  }
}

const notListening = (cause: unknown) =>
  new SimulatorError({ reason: "Listen", detail: cause instanceof Error ? cause.message : "unknown cause" })

/** What the experimenter may do to a running exchange. Times are epoch milliseconds of the exchange. */
export interface SimulatorControl {
  readonly stats: Effect.Effect<Stats>
  /** Done when everything generated so far is with the sockets. Resuming sends what happened in between. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  /** Moves a clock that stands still (speed 0). */
  readonly advance: (millis: number) => Effect.Effect<void>
  /** Lines `market_ticker<TAB>ts_ms or event_type<TAB>count` of the frames sent. */
  readonly sent: (channel: "ticker" | "lifecycle") => Effect.Effect<string>
  /** How many were dropped; 1006 cuts without a close frame. */
  readonly dropConnections: (code: number) => Effect.Effect<number>
  readonly moveCutoff: (settledMillis: number) => Effect.Effect<void>
  readonly deactivate: (ticker: string) => Effect.Effect<void, SimulatorError>
  readonly activate: (ticker: string) => Effect.Effect<void, SimulatorError>
  readonly moveClose: (ticker: string, closeMillis: number) => Effect.Effect<void, SimulatorError>
  /** Sends an error to every connection; 10 and 25 end the channel's subscription. */
  readonly fail: (code: number, channel?: string) => Effect.Effect<void>
}

/** A key pair that the exchange accepts. */
export interface SigningKey {
  readonly keyId: string
  readonly privateKeyPem: string
  readonly publicKeyPem: string
}

const generate = promisify(generateKeyPair)

export const makeSigningKey: Effect.Effect<SigningKey> = Effect.promise(async () => {
  const { privateKey, publicKey } = await generate("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" }
  })
  return { keyId: randomUUID(), privateKeyPem: privateKey, publicKeyPem: publicKey }
})

// @effect-diagnostics-next-line globalDate:off signatures and pings are of the machine's time, also under a test clock
const wallMillis = (): number => Date.now()

const controlOf = (engine: Engine): SimulatorControl => {
  const withMarket = (ticker: string, act: (market: MarketSpec) => void) =>
    Effect.suspend(() => {
      const market = engine.world.market(ticker)
      return market === undefined
        ? Effect.fail(new SimulatorError({ reason: "UnknownMarket", detail: ticker }))
        : Effect.sync(() => act(market))
    })
  return {
    stats: Effect.sync(() => engine.stats()),
    pause: Effect.promise(() => engine.pause()),
    resume: Effect.sync(() => engine.resume()),
    advance: (millis) => Effect.sync(() => engine.advance(millis)),
    sent: (channel) => Effect.sync(() => engine.sent(channel)),
    dropConnections: (code) => Effect.sync(() => engine.dropConnections(code)),
    moveCutoff: (settledMillis) =>
      Effect.sync(() => {
        engine.world.marketCutoffMs = settledMillis
        engine.world.tradeCutoffMs = settledMillis
      }),
    deactivate: (ticker) => withMarket(ticker, (market) => engine.feed.deactivate(market)),
    activate: (ticker) => withMarket(ticker, (market) => engine.feed.activate(market)),
    moveClose: (ticker, closeMillis) => withMarket(ticker, (market) => engine.feed.moveClose(market, closeMillis)),
    fail: (code, channel) =>
      Effect.sync(() => {
        for (const { session } of engine.connections) session.fail(code, channel)
      })
  }
}

/** A simulated exchange listening on a port of this machine, with a key that it accepts. Runs on the machine's clock. */
export class Simulator extends Context.Service<
  Simulator,
  {
    readonly port: number
    readonly restUrl: string
    readonly wsUrl: string
    readonly controlUrl: string
    readonly keyId: string
    readonly privateKeyPem: string
    readonly publicKeyPem: string
    readonly clock: ClockMap
    readonly control: SimulatorControl
  }
>()("kalshi-ingestor/simulator/Simulator") {
  /** `key` is the accepted key; one is made when it is absent. */
  static readonly layer = (options: PartialOptions = {}, key?: SigningKey): Layer.Layer<Simulator, SimulatorError> =>
    Layer.effect(
      Simulator,
      Effect.gen(function* () {
        const settings = withDefaults(options)
        const signing = key ?? (yield* makeSigningKey)
        const engine = yield* Effect.try({
          try: () => new Engine(settings, [...settings.keys, signing], wallMillis),
          catch: notListening
        })
        const server = yield* Effect.acquireRelease(
          Effect.tryPromise({
            try: () => startServer(engine, settings, wallMillis),
            catch: notListening
          }),
          (running) => Effect.promise(() => running.close())
        )
        const host = `${settings.host}:${server.port}`
        return Simulator.of({
          port: server.port,
          restUrl: `http://${host}/trade-api/v2`,
          wsUrl: `ws://${host}/trade-api/ws/v2`,
          controlUrl: `http://${host}/sim`,
          keyId: signing.keyId,
          privateKeyPem: signing.privateKeyPem,
          publicKeyPem: signing.publicKeyPem,
          clock: engine.clock,
          control: controlOf(engine)
        })
      })
    )
}
