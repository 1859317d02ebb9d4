import type { PartialFaults } from "./Faults.ts"

/** A key that may sign requests. RSA keys sign PSS with SHA-256, Ed25519 keys plainly. */
export interface AcceptedKey {
  readonly keyId: string
  readonly publicKeyPem: string
}

/** How the exchange behaves where what is known of it disagrees or ends. */
export interface Strictness {
  /** Order books over REST need a signature. */
  readonly orderbookAuth: boolean
  /** Only salts as long as the digest; otherwise any salt length. */
  readonly strictSalt: boolean
  /** The status filter that finds `inactive` markets. */
  readonly inactiveUnder: "paused" | "open"
  /** The cursor of a last page. */
  readonly lastCursor: "empty" | "null"
  /** The order of `/events` and `/markets`. */
  readonly newestFirst: boolean
  /** Write `null` for a candle's prices when nothing traded, instead of leaving them out. */
  readonly nullPrices: boolean
  /** Add `sending_ts_ms` to every frame's envelope. */
  readonly sendingTs: boolean
  /** Refuse private channels with error 9. */
  readonly refusePrivateChannels: boolean
  /** Largest difference between a signature's time and ours, in wall milliseconds. */
  readonly clockSkewMs: number
  /** Markets that one subscription may name (error 26 above it). */
  readonly maxMarketsPerSubscription: number
  /** Commands a second and connection (error 27 above it). */
  readonly maxCommandsPerSecond: number
  /** Code of a 401 body. */
  readonly unauthorizedCode: string
  /** Share of pages, 0 to 1, that end early and still carry a cursor. */
  readonly shortPages: number
  /** Share of bodies and frames, 0 to 1, that carry something nobody has heard of. */
  readonly novelty: number
}

/** Everything that can be set about a simulated exchange; all of it has a default. */
export interface SimulatorOptions {
  readonly port: number
  readonly host: string
  readonly seed: number
  /** Exchange milliseconds for every wall millisecond. 0 stops the clock: `SimulatorControl.advance` moves it. */
  readonly speed: number
  /** Exchange time at the start, epoch ms; absent: ten minutes before the hour near the wall clock. */
  readonly startMs: number | undefined
  /** Extra size-only ticker frames a wall second. */
  readonly rate: number
  readonly tokens: { readonly refillRate: number; readonly capacity: number }
  /** Tokens of all unsigned requests together; absent: unlimited. */
  readonly anonymousTokens: { readonly refillRate: number; readonly capacity: number } | undefined
  readonly keys: ReadonlyArray<AcceptedKey>
  /** Where frames that were sent are counted. */
  readonly ledger:
    | { readonly _tag: "Memory" }
    | { readonly _tag: "None" }
    | { readonly _tag: "File"; readonly path: string }
  /** Bytes that may wait for a client that does not read, before its subscription overflows (error 25). */
  readonly bufferBytes: number
  readonly pingMillis: number
  /** Exchange days after settlement at which a market is forgotten altogether. */
  readonly keepDays: number
  readonly strictness: Strictness
  /** What goes wrong from the start. */
  readonly faults: PartialFaults
}

export type PartialOptions = Partial<Omit<SimulatorOptions, "strictness">> & {
  readonly strictness?: Partial<Strictness>
}

export const defaultStrictness: Strictness = {
  orderbookAuth: false,
  strictSalt: true,
  inactiveUnder: "paused",
  lastCursor: "empty",
  newestFirst: false,
  nullPrices: false,
  sendingTs: false,
  refusePrivateChannels: false,
  clockSkewMs: 30_000,
  maxMarketsPerSubscription: Number.POSITIVE_INFINITY,
  maxCommandsPerSecond: 10_000,
  unauthorizedCode: "authentication_error",
  shortPages: 0,
  novelty: 0.02
}

export const withDefaults = (options: PartialOptions): SimulatorOptions => ({
  port: 0,
  host: "127.0.0.1",
  seed: 1,
  speed: 60,
  startMs: undefined,
  rate: 0,
  tokens: { refillRate: 200, capacity: 600 },
  anonymousTokens: undefined,
  keys: [],
  ledger: { _tag: "Memory" },
  bufferBytes: 32 * 1024 * 1024,
  pingMillis: 10_000,
  keepDays: 7,
  faults: {},
  ...options,
  strictness: { ...defaultStrictness, ...options.strictness }
})
