import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const Sequence = Schema.Struct({ channel: Schema.String, seq: Schema.Int, atMillis: Schema.Finite })

/** Frames of one connection may come this much out of the order of their stamps. */
const disorderMillis = 100

/** A stamp further behind than this says something about the stamp, not about the way here. */
const longestWayMillis = 3_600_000

const Stored = Schema.Struct({
  lastAliveMillis: Schema.optionalKey(Schema.Finite),
  wayMillis: Schema.optionalKey(Schema.Finite),
  connection: Schema.Int,
  slots: Schema.Array(Schema.Int),
  sequences: Schema.Array(Schema.Tuple([Schema.Int, Sequence]))
})

const decodeStored = Schema.decodeUnknownOption(Stored)

/** What became of a sequence number: the next one, one heard before, or one beyond `missing` others since `sinceMillis`. */
export type Sequenced =
  | { readonly _tag: "Next" }
  | { readonly _tag: "Repeated" }
  | { readonly _tag: "Missing"; readonly frames: number; readonly sinceMillis: number }

const next: Sequenced = { _tag: "Next" }
const repeated: Sequenced = { _tag: "Repeated" }

/**
 * What the frames so far say about the feed. It is stored with the journal's position, so that a reader that starts in the middle of
 * a connection knows what one that came all the way would know. Instants are exchange time.
 */
export class FeedState {
  /** What the exchange stamped until then has been heard; absent before the first sign of life. */
  lastAliveMillis: number | undefined
  connection: number
  /** The slots of markets this journal records. */
  slots: ReadonlyArray<number>
  /** How long the newest stamped frame was on its way: what is lost with a link was sent so much before we noticed. */
  #wayMillis: number
  readonly #sequences: Map<number, typeof Sequence.Type>

  private constructor(stored: typeof Stored.Type) {
    this.lastAliveMillis = stored.lastAliveMillis
    this.#wayMillis = stored.wayMillis ?? 0
    this.connection = stored.connection
    this.slots = stored.slots
    this.#sequences = new Map(stored.sequences)
  }

  static get initial(): FeedState {
    return new FeedState({ connection: 0, slots: [], sequences: [] })
  }

  static fromStored(stored: unknown): FeedState | undefined {
    return Option.getOrUndefined(Option.map(decodeStored(stored), (state) => new FeedState(state)))
  }

  toJSON(): typeof Stored.Encoded {
    return {
      ...(this.lastAliveMillis === undefined ? {} : { lastAliveMillis: this.lastAliveMillis }),
      wayMillis: this.#wayMillis,
      connection: this.connection,
      slots: this.slots,
      sequences: [...this.#sequences]
    }
  }

  clone(): FeedState {
    return new FeedState(this.toJSON())
  }

  /** A connection numbers its subscriptions and their frames anew. */
  opened(connection: number): void {
    this.connection = connection
    this.#wayMillis = 0
    this.#sequences.clear()
  }

  /** A sign of life arrived; `stampMillis` is the exchange's own time of it, where it has one. Gives the instant until which all is heard. */
  heard(atMillis: number, stampMillis?: number): number {
    if (stampMillis !== undefined) {
      const way = atMillis - stampMillis
      if (way < longestWayMillis) this.#wayMillis = Math.max(0, way)
    }
    this.lastAliveMillis = this.heardBy(atMillis)
    return this.lastAliveMillis
  }

  /** Until which instant all is heard when the newest frame arrived then. */
  heardBy(atMillis: number): number {
    return atMillis - this.#wayMillis - disorderMillis
  }

  subscribed(sid: number, channel: string, atMillis: number): void {
    this.#sequences.set(sid, { channel, seq: 0, atMillis })
  }

  channelOf(sid: number): string | undefined {
    return this.#sequences.get(sid)?.channel
  }

  /** Frames of one subscription are numbered without holes; a number that starts again at 1 is a new beginning. */
  sequence(sid: number, seq: number, channel: string, atMillis: number): Sequenced {
    const before = this.#sequences.get(sid)
    const restarted = seq === 1 && before !== undefined && before.seq > 1
    if (before !== undefined && seq <= before.seq && !restarted) return repeated
    this.#sequences.set(sid, { channel: before?.channel ?? channel, seq, atMillis })
    if (before === undefined || seq === before.seq + 1 || restarted) return next
    return { _tag: "Missing", frames: seq - before.seq - 1, sinceMillis: before.atMillis }
  }
}
