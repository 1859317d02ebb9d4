import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

const byDefault = <S extends Schema.Constraint>(schema: S, value: S["Encoded"]) =>
  Schema.withDecodingDefaultKey<S>(Effect.succeed(value))(schema)

const Share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Amount = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/** How often: a share of the occasions (0 to 1), and exactly the `next` ones first. `next` counts down. */
export const Often = Schema.Struct({ rate: byDefault(Share, 0), next: Schema.mutableKey(byDefault(Count, 0)) })
export type Often = typeof Often.Type

const PerChannel = Schema.Struct({
  ticker: byDefault(Often, {}),
  trade: byDefault(Often, {}),
  orderbook_delta: byDefault(Often, {}),
  market_lifecycle_v2: byDefault(Often, {})
})
export type PerChannel = typeof PerChannel.Type
export type FaultyChannel = keyof PerChannel

/** A state that is `on`, or comes every so many wall seconds for so many, each start moved by up to `jitter` of the period. */
const spell = {
  on: byDefault(Schema.Boolean, false),
  everySeconds: byDefault(Amount, 0),
  forSeconds: byDefault(Amount, 0),
  jitter: byDefault(Share, 0)
}
export const Spell = Schema.Struct(spell)
export type Spell = typeof Spell.Type

export const poisonKinds = [
  "not-json",
  "no-market",
  "long-price",
  "nul-ticker",
  "unknown-type",
  "wrong-types",
  "nul-title",
  "huge-text"
] as const
export type PoisonKind = (typeof poisonKinds)[number]

export const disconnectKinds = ["1000", "1001", "1011", "cut", "half-open"] as const
export type DisconnectKind = (typeof disconnectKinds)[number]

/** What happens to REST replies below `/trade-api/v2`; `path` is `/events`, `/markets/*` and the like (`*`: anything). */
const RestRule = Schema.Struct({
  path: byDefault(Schema.String, "*"),
  kind: Schema.Literals(["status", "too-many", "delay", "malformed", "truncated", "repeated-cursor"]),
  rate: byDefault(Share, 0),
  next: Schema.mutableKey(byDefault(Count, 0)),
  /** Of kind `status`. */
  status: byDefault(Schema.Int.check(Schema.isBetween({ minimum: 400, maximum: 599 })), 500),
  /** Of kind `delay`, in wall milliseconds. */
  delayMs: byDefault(Count, 1000),
  /** Only requests that follow a cursor. */
  following: byDefault(Schema.Boolean, false)
})
export type RestRule = typeof RestRule.Type

/** Everything that can go wrong with the exchange. By default nothing does. Seconds and milliseconds are of the wall. */
export const Faults = Schema.Struct({
  /** Data frames that vanish. They use up their sequence number and are in the dropped ledger. */
  drop: byDefault(PerChannel, {}),
  /** Data frames that come twice, with one sequence number. */
  duplicate: byDefault(PerChannel, {}),
  /** Frames after which a frame comes that cannot be understood. */
  poison: byDefault(PerChannel, {}),
  poisonKinds: byDefault(Schema.NonEmptyArray(Schema.Literals(poisonKinds)), poisonKinds),
  /** Data frames after which the channel's subscription ends with `terminalCode`. */
  terminal: byDefault(PerChannel, {}),
  terminalCode: byDefault(Schema.Literals([10, 25]), 25),
  /** Commands answered with `refuseCode` and not done; done but not acknowledged; acknowledged late. */
  commands: byDefault(
    Schema.Struct({
      refuse: byDefault(Often, {}),
      refuseCode: byDefault(Schema.Literals([26, 27]), 27),
      loseAck: byDefault(Often, {}),
      ackDelayMs: byDefault(Count, 0)
    }),
    {}
  ),
  /** Ends every connection, time and again. `half-open` keeps the socket and sends nothing more, no pings either. */
  disconnect: byDefault(
    Schema.Struct({
      everySeconds: byDefault(Amount, 0),
      jitter: byDefault(Share, 0),
      kinds: byDefault(Schema.NonEmptyArray(Schema.Literals(disconnectKinds)), ["cut"])
    }),
    {}
  ),
  /** How long a lost connection's data frames still go to the dropped ledger. */
  missedSeconds: byDefault(Amount, 0),
  /** Pings and acknowledgements, but no data. */
  silent: byDefault(Spell, {}),
  /** Upgrades refused with `status`. */
  upgrades: byDefault(Schema.Struct({ ...spell, status: byDefault(Schema.Literals([401, 503]), 503) }), {}),
  /** The first rule that strikes decides; delays add to it. */
  rest: byDefault(Schema.Array(RestRule), []),
  /** Every REST request answered with 429. */
  storm: byDefault(Spell, {}),
  /** For how many exchange milliseconds after `created` a market and its event answer 404 when asked for by name. */
  hiddenAfterCreatedMs: byDefault(Count, 0),
  /** Exchange inactive, connections closed with 1001, upgrades refused with 503; `thursday`: 03:00 to 05:00 in New York. */
  maintenance: byDefault(Schema.Struct({ ...spell, thursday: byDefault(Schema.Boolean, false) }), {}),
  /** Stamps of ticker, trade and book frames are off by `jumpMs`. */
  clock: byDefault(Schema.Struct({ ...spell, jumpMs: byDefault(Schema.Int, 0) }), {})
})
export type Faults = typeof Faults.Type
/** Any part of it; what is left out stays as it is. */
export type PartialFaults = typeof Faults.Encoded

const decode = Schema.decodeUnknownResult(Faults, { onExcessProperty: "error" })

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const merged = (base: unknown, change: unknown): unknown => {
  if (!isFields(base) || !isFields(change)) return change
  const out: Record<string, unknown> = { ...base }
  for (const [name, value] of Object.entries(change)) {
    if (value === null) delete out[name]
    else out[name] = merged(base[name], value)
  }
  return out
}

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, " ")

export const noFaults: Faults = Result.getOrThrow(decode({}))

/** `change` laid over `base`: objects merge, lists replace, null puts back the default. */
export const withFaults = (base: unknown, change: unknown): Result.Result<Faults, string> =>
  change === null
    ? Result.succeed(Result.getOrThrow(decode({})))
    : isFields(change)
      ? Result.mapError(decode(merged(base, change)), (error) => oneLine(error.message))
      : Result.fail("faults are a JSON object")
