import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Gap, Recorded } from "./Recorded.ts"

/** What cannot be read of a recording, in one line. */
export class ReplayError extends Schema.TaggedError<ReplayError>()("ReplayError", { problem: Schema.String }) {
  override get message(): string {
    return this.problem
  }
}

/** Exchange clock, epoch milliseconds, by when frames were received; `toMillis` excluded. */
export interface Span {
  readonly fromMillis: number
  readonly toMillis: number
}

/** The markets that are replayed, and their events; everything when it is undefined. */
export interface Chosen {
  readonly tickers: ReadonlySet<string>
  readonly events: ReadonlySet<string>
}

/**
 * Where recorded frames come from. A source gives the same frames in the same order every time. It may begin with frames from
 * before the span: they are not sent, they make known how things stood when the span begins.
 */
export class FrameSource extends Context.Service<
  FrameSource,
  {
    /** For people: `journal`, `database`. */
    readonly name: string
    readonly frames: (span: Span, chosen: Chosen | undefined) => Stream.Stream<Recorded, ReplayError>
    /** Gaps that touch the span, by when they begin. */
    readonly gaps: (span: Span) => Effect.Effect<ReadonlyArray<Gap>, ReplayError>
    /** Frames that were recorded but cannot be replayed, being none that could be understood; so far. */
    readonly skipped: Effect.Effect<number>
  }
>()("kalshi-ingestor/replay/FrameSource") {}

const eventTicker = /"event_ticker":"([^"\\]+)"/

export const isChosen = (frame: Recorded, chosen: Chosen | undefined): boolean => {
  if (chosen === undefined) return true
  if (frame.ticker !== "") return chosen.tickers.has(frame.ticker)
  const event = eventTicker.exec(frame.msg)?.[1]
  return event === undefined || chosen.events.has(event)
}
