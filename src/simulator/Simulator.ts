import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { BurstStamp } from "./Burst.ts"
import type { MarketSpec } from "./Catalog.ts"
import { controlPrefix, handleControl } from "./Control.ts"
import { type ClockMap, Engine, type Stats } from "./Engine.ts"
import { type Faults, type PartialFaults, withFaults } from "./Faults.ts"
import type { Intervention } from "./Interventions.ts"
import * as Interventions from "./Interventions.ts"
import { type PartialOptions, withDefaults } from "./Options.ts"
import type { LedgerChannel } from "./SentLedger.ts"
import { startServer } from "./Server.ts"
import { makeSigningKey, type SigningKey } from "./SigningKey.ts"

const reasons = {
  Listen: "cannot listen",
  UnknownMarket: "unknown market",
  UnknownKey: "unknown key",
  WrongStatus: "not possible now",
  Setting: "wrong setting"
} as const

export class SimulatorError extends Schema.TaggedError<SimulatorError>()("SimulatorError", {
  reason: Schema.Literals(["Listen", "UnknownMarket", "UnknownKey", "WrongStatus", "Setting"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `${reasons[this.reason]}: ${this.detail}`
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
  /** Lines `market_ticker<TAB>key<TAB>count` of the frames sent; the key is ts_ms, event_type (lifecycle) or trade_id. */
  readonly sent: (channel: Exclude<LedgerChannel, "poison">) => Effect.Effect<string>
  /** The like of the frames that were never sent: dropped by a fault, or lost with a connection. */
  readonly dropped: (channel: Exclude<LedgerChannel, "poison">) => Effect.Effect<string>
  /** Lines `market_ticker<TAB>kind<TAB>count` of the frames that cannot be understood. */
  readonly poisoned: Effect.Effect<string>
  /** Lays a part over the faults that are on (null: no faults), with `forSeconds` for so many wall seconds only. */
  readonly faults: (
    change: (PartialFaults & { readonly forSeconds?: number }) | null
  ) => Effect.Effect<Faults, SimulatorError>
  readonly currentFaults: Effect.Effect<Faults>
  /** How many were dropped; 1006 cuts without a close frame. */
  readonly dropConnections: (code: number) => Effect.Effect<number>
  /** How many were left open without another word. */
  readonly halfOpen: Effect.Effect<number>
  /** New hourly markets (series KXXRPD): created over so many wall seconds, activated `leadSeconds` (5) later. */
  readonly burst: (markets: number, withinSeconds: number, leadSeconds?: number) => Effect.Effect<void>
  readonly burstStamps: Effect.Effect<ReadonlyArray<BurstStamp>>
  readonly moveCutoff: (settledMillis: number) => Effect.Effect<void>
  readonly deactivate: (ticker: string) => Effect.Effect<void, SimulatorError>
  readonly activate: (ticker: string) => Effect.Effect<void, SimulatorError>
  /** Also after the close, until the result is known: the market opens again. */
  readonly moveClose: (ticker: string, closeMillis: number) => Effect.Effect<void, SimulatorError>
  /** Holds the settlement of a determined market. */
  readonly dispute: (ticker: string) => Effect.Effect<void, SimulatorError>
  /** Turns the result round; the settlement timer starts again. */
  readonly amend: (ticker: string) => Effect.Effect<void, SimulatorError>
  /** Between whole and tenths of a cent. */
  readonly changePriceLevels: (ticker: string) => Effect.Effect<void, SimulatorError>
  readonly rename: (ticker: string, yesSubTitle: string) => Effect.Effect<void, SimulatorError>
  readonly changeFees: (
    eventTicker: string,
    type: string | undefined,
    multiplier: number | undefined
  ) => Effect.Effect<void, SimulatorError>
  /** Sends an error to every connection; 10 and 25 end the channel's subscription. */
  readonly fail: (code: number, channel?: string) => Effect.Effect<void>
  /** A further key, accepted from now on. */
  readonly issueKey: Effect.Effect<SigningKey>
  /** What is signed with it is refused from now on; connections that are open stay. */
  readonly revokeKey: (keyId: string) => Effect.Effect<void, SimulatorError>
}

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
  const intervene = (ticker: string, act: Intervention) =>
    Effect.suspend(() => {
      const market = engine.world.market(ticker)
      if (market === undefined) return Effect.fail(new SimulatorError({ reason: "UnknownMarket", detail: ticker }))
      const problem = act(engine, market)
      return problem === undefined
        ? Effect.void
        : Effect.fail(new SimulatorError({ reason: "WrongStatus", detail: `${ticker}: ${problem}` }))
    })
  return {
    stats: Effect.sync(() => engine.stats()),
    pause: Effect.promise(() => engine.pause()),
    resume: Effect.sync(() => engine.resume()),
    advance: (millis) => Effect.sync(() => engine.advance(millis)),
    sent: (channel) => Effect.sync(() => engine.sent(channel)),
    dropped: (channel) => Effect.sync(() => engine.dropped(channel)),
    poisoned: Effect.sync(() => engine.poisoned()),
    faults: (change) =>
      Effect.suspend(() => {
        const faults = engine.setFaults(change)
        return typeof faults === "string"
          ? Effect.fail(new SimulatorError({ reason: "Setting", detail: faults }))
          : Effect.succeed(faults)
      }),
    currentFaults: Effect.sync(() => engine.faults.faults),
    halfOpen: Effect.sync(() => engine.halfOpen()),
    burst: (markets, withinSeconds, leadSeconds = 5) =>
      Effect.sync(() => engine.burst(markets, withinSeconds, leadSeconds)),
    burstStamps: Effect.sync(() => engine.burstStamps),
    dropConnections: (code) => Effect.sync(() => engine.dropConnections(code)),
    moveCutoff: (settledMillis) =>
      Effect.sync(() => {
        engine.world.marketCutoffMs = settledMillis
        engine.world.tradeCutoffMs = settledMillis
      }),
    deactivate: (ticker) => withMarket(ticker, (market) => engine.feed.deactivate(market)),
    activate: (ticker) => withMarket(ticker, (market) => engine.feed.activate(market)),
    moveClose: (ticker, closeMillis) =>
      intervene(ticker, (_, market) => Interventions.moveClose(engine, market, closeMillis)),
    dispute: (ticker) => intervene(ticker, Interventions.dispute),
    amend: (ticker) => intervene(ticker, Interventions.amend),
    changePriceLevels: (ticker) => intervene(ticker, Interventions.changePriceLevels),
    rename: (ticker, yesSubTitle) => withMarket(ticker, (market) => engine.feed.rename(market, yesSubTitle)),
    changeFees: (eventTicker, type, multiplier) =>
      Effect.suspend(() => {
        const event = engine.world.catalog.event(eventTicker)
        return event === undefined
          ? Effect.fail(new SimulatorError({ reason: "UnknownMarket", detail: eventTicker }))
          : Effect.sync(() => engine.feed.changeFees(event, { type, multiplier }))
      }),
    fail: (code, channel) =>
      Effect.sync(() => {
        for (const { session } of engine.connections) session.fail(code, channel)
      }),
    issueKey: Effect.tap(makeSigningKey, (key) => Effect.sync(() => engine.verifier.accept(key))),
    revokeKey: (keyId) =>
      Effect.suspend(() =>
        engine.verifier.revoke(keyId)
          ? Effect.void
          : Effect.fail(new SimulatorError({ reason: "UnknownKey", detail: keyId }))
      )
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
        const faults = withFaults({}, settings.faults)
        if (Result.isFailure(faults))
          return yield* new SimulatorError({ reason: "Setting", detail: `faults: ${faults.failure}` })
        const signing = key ?? (yield* makeSigningKey)
        const engine = yield* Effect.try({
          try: () => new Engine(settings, [...settings.keys, signing], wallMillis),
          catch: notListening
        })
        const server = yield* Effect.acquireRelease(
          Effect.tryPromise({
            try: () =>
              startServer(
                engine,
                settings,
                {
                  prefix: controlPrefix,
                  handle: (method, target, body) => handleControl(engine, method, target, body)
                },
                wallMillis
              ),
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
