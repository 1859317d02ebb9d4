import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { presenter } from "../runtime/CommandLine.ts"
import { version } from "../runtime/Version.ts"
import { type PartialFaults, withFaults } from "./Faults.ts"
import { keysDirectory } from "./KeysDirectory.ts"
import { type AcceptedKey, defaultStrictness, type PartialOptions } from "./Options.ts"
import { type Scenario, scenarioNames, scenarios } from "./Scenarios.ts"
import { Simulator, SimulatorError } from "./Simulator.ts"

const int = (flag: string, variable: string, usual: number) =>
  Flag.Int(flag).pipe(Flag.withFallbackConfig(Config.Int(variable)), Flag.withDefault(usual))
const number = (flag: string, variable: string, usual: number) =>
  Flag.Finite(flag).pipe(Flag.withFallbackConfig(Config.Finite(variable)), Flag.withDefault(usual))
const text = (flag: string, variable: string) =>
  Flag.String(flag).pipe(Flag.withFallbackConfig(Config.String(variable)), Flag.optional)
const yes = (flag: string) => Flag.Boolean(flag).pipe(Flag.withDefault(false))

const flags = {
  port: int("port", "SIM_PORT", 0),
  host: Flag.String("host").pipe(Flag.withFallbackConfig(Config.String("SIM_HOST")), Flag.withDefault("127.0.0.1")),
  speed: number("speed", "SIM_SPEED", 60),
  seed: int("seed", "SIM_SEED", 1),
  start: text("start", "SIM_START"),
  rate: int("rate", "SIM_RATE", 0),
  keyId: Flag.String("key-id").pipe(Flag.atLeast(0)),
  publicKey: Flag.String("public-key").pipe(Flag.atLeast(0)),
  keysDir: text("keys-dir", "SIM_KEYS_DIR"),
  ledger: text("ledger", "SIM_LEDGER"),
  withoutLedger: yes("no-ledger"),
  refillRate: number("refill-rate", "SIM_REFILL_RATE", 200),
  capacity: number("capacity", "SIM_CAPACITY", 600),
  anonymousRate: number("anonymous-rate", "SIM_ANONYMOUS_RATE", 0),
  bufferBytes: int("buffer-bytes", "SIM_BUFFER_BYTES", 32 * 1024 * 1024),
  orderbookAuth: yes("orderbook-auth"),
  anySalt: yes("any-salt"),
  inactiveUnder: Flag.Literals("inactive-under", ["paused", "open"]).pipe(Flag.withDefault("paused")),
  lastCursor: Flag.Literals("last-cursor", ["empty", "null"]).pipe(Flag.withDefault("empty")),
  newestFirst: yes("newest-first"),
  nullPrices: yes("null-prices"),
  sendingTs: yes("sending-ts"),
  refusePrivateChannels: yes("refuse-private-channels"),
  clockSkewMs: int("clock-skew-ms", "SIM_CLOCK_SKEW_MS", defaultStrictness.clockSkewMs),
  maxMarketsPerSubscription: int("max-markets-per-subscription", "SIM_MAX_MARKETS", Number.MAX_SAFE_INTEGER),
  maxCommandsPerSecond: int("max-commands-per-second", "SIM_MAX_COMMANDS", defaultStrictness.maxCommandsPerSecond),
  unauthorizedCode: Flag.String("unauthorized-code").pipe(Flag.withDefault(defaultStrictness.unauthorizedCode)),
  shortPages: number("short-pages", "SIM_SHORT_PAGES", 0),
  keepDays: number("keep-days", "SIM_KEEP_DAYS", 7),
  faults: text("faults", "SIM_FAULTS"),
  scenario: text("scenario", "SIM_SCENARIO"),
  novelty: number("novelty", "SIM_NOVELTY", defaultStrictness.novelty)
}

const parseJson = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

const isScenario = (name: string): name is Scenario => scenarioNames.some((known) => known === name)

/** The named scenario with what `--faults` says laid over it. */
const faultsOf = Effect.fnUntraced(function* (scenario: Option.Option<string>, text: Option.Option<string>) {
  const name = Option.getOrUndefined(scenario)
  if (name !== undefined && !isScenario(name))
    return yield* new SimulatorError({
      reason: "Setting",
      detail: `--scenario ${name} is not one of ${scenarioNames.join(", ")}`
    })
  const base: PartialFaults = name === undefined ? {} : scenarios[name]
  if (Option.isNone(text)) return base
  const given = parseJson(text.value)
  if (Result.isFailure(given))
    return yield* new SimulatorError({
      reason: "Setting",
      detail: `--faults is a JSON object, e.g. {"drop":{"ticker":{"rate":0.01}}}`
    })
  const faults = withFaults(base, given.success)
  if (Result.isFailure(faults))
    return yield* new SimulatorError({ reason: "Setting", detail: `--faults: ${faults.failure}` })
  return faults.success
})

const command = Command.make(
  "exchange",
  flags,
  Effect.fnUntraced(function* (input) {
    const files = yield* FileSystem.FileSystem
    const keys: Array<AcceptedKey> = []
    for (const [at, keyId] of input.keyId.entries()) {
      const file = input.publicKey[at]
      if (file !== undefined) keys.push({ keyId, publicKeyPem: yield* files.readFileString(file) })
    }
    const key = Option.isSome(input.keysDir) ? yield* keysDirectory(input.keysDir.value) : undefined
    const start = Option.map(input.start, (iso) => Date.parse(iso))
    if (Option.isSome(start) && Number.isNaN(start.value))
      return yield* new SimulatorError({
        reason: "Setting",
        detail: "--start is an RFC 3339 time, e.g. 2026-08-24T15:50:00Z"
      })
    if (input.keyId.length !== input.publicKey.length)
      return yield* new SimulatorError({ reason: "Setting", detail: "every --key-id needs a --public-key" })
    const faults = yield* faultsOf(input.scenario, input.faults)
    const options: PartialOptions = {
      port: input.port,
      host: input.host,
      speed: input.speed,
      seed: input.seed,
      startMs: Option.getOrUndefined(start),
      rate: input.rate,
      keys,
      ledger: input.withoutLedger
        ? { _tag: "None" }
        : Option.isSome(input.ledger)
          ? { _tag: "File", path: input.ledger.value }
          : { _tag: "Memory" },
      tokens: { refillRate: input.refillRate, capacity: input.capacity },
      anonymousTokens:
        input.anonymousRate > 0 ? { refillRate: input.anonymousRate, capacity: input.anonymousRate * 3 } : undefined,
      bufferBytes: input.bufferBytes,
      keepDays: input.keepDays,
      faults,
      strictness: {
        orderbookAuth: input.orderbookAuth,
        strictSalt: !input.anySalt,
        inactiveUnder: input.inactiveUnder,
        lastCursor: input.lastCursor,
        newestFirst: input.newestFirst,
        nullPrices: input.nullPrices,
        sendingTs: input.sendingTs,
        refusePrivateChannels: input.refusePrivateChannels,
        clockSkewMs: input.clockSkewMs,
        maxMarketsPerSubscription: input.maxMarketsPerSubscription,
        maxCommandsPerSecond: input.maxCommandsPerSecond,
        unauthorizedCode: input.unauthorizedCode,
        shortPages: input.shortPages,
        novelty: input.novelty
      }
    }
    return yield* Effect.gen(function* () {
      const { clock, controlUrl, port, restUrl, wsUrl } = yield* Simulator
      yield* Console.log(
        JSON.stringify({
          listening: true,
          port,
          rest: restUrl,
          ws: wsUrl,
          control: controlUrl,
          clock: `${clock.wallMs}:${clock.exchangeMs}:${clock.speed}`
        })
      )
      return yield* Effect.never
    }).pipe(Effect.provide(Simulator.layer(options, key)))
  })
)

/** `node dist/exchange.js`: one JSON line when it listens, then serves until told to stop. */
export const exchangeCommand = Command.run(command, { version }).pipe(
  Effect.tapError((error) => (CliError.isCliError(error) ? Effect.void : Console.error(`exchange: ${error.message}`))),
  Effect.provide(presenter("exchange"))
)
