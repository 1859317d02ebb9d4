import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** What of the live feed is subscribed. Times are wall milliseconds. */
export interface FeedView {
  readonly connected: boolean
  readonly sessions: number
  readonly lastFrameMillis: number
  readonly slots: ReadonlyArray<number>
  readonly channels: ReadonlyArray<{
    readonly channel: string
    readonly sid: number | undefined
    readonly markets: ReadonlyArray<string>
    readonly leftOut: ReadonlyArray<string>
  }>
}

/** The live feed of this process, from outside. */
export class FeedControl extends Context.Service<
  FeedControl,
  {
    readonly view: Effect.Effect<FeedView>
    /**
     * Follows the markets as they are wanted now, those that the feed refused included; a market that is subscribed is not disturbed.
     * `reconnect`: on a new connection, and the hole is a gap. Succeeds once all of it is subscribed.
     */
    align(reconnect: boolean): Effect.Effect<void>
  }
>()("kalshi-ingestor/ingest/FeedControl") {}
