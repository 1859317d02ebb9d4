import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { fromMillis } from "../market/Timestamp.ts"
import { uuid } from "../simulator/Random.ts"
import { GapSpans } from "../store/GapSpans.ts"
import { type RecordedRow, RecordedRows } from "../store/RecordedRows.ts"
import { FrameSource, isChosen, ReplayError } from "./FrameSource.ts"
import type { Recorded } from "./Recorded.ts"

/** Rows are read by the exchange's stamp, an hour at a time. */
const windowMillis = 3_600_000

/** An exact number with at least so many decimals, as the exchange writes it. */
export const padded = (text: string, decimals: number): string => {
  const [whole = "", fraction = ""] = text.split(".")
  const kept = fraction.replace(/0+$/, "").padEnd(decimals, "0")
  return kept === "" ? whole : `${whole}.${kept}`
}

const dollars = (text: string) => padded(text, 4)
const contracts = (text: string) => padded(text, 2)

/** The exchange's id of a market is not stored: this one is made of its ticker, always the same. */
export const marketIdOf = (ticker: string): string => uuid(ticker)

const optional = (name: string, value: string | null | undefined, write: (text: string) => string) =>
  value === null || value === undefined ? "" : `,"${name}":"${write(value)}"`
const whole = (name: string, value: string | null | undefined) =>
  value === null || value === undefined ? "" : `,"${name}":${padded(value, 0)}`

const tickerMessage = ({ cells, ts }: RecordedRow, ticker: string): string => {
  const [price, bid, ask, volume, interest, dollarVolume, dollarInterest, bidSize, askSize, lastSize] = cells
  return (
    `{"market_id":"${marketIdOf(ticker)}","market_ticker":${JSON.stringify(ticker)}` +
    optional("price_dollars", price, dollars) +
    optional("yes_bid_dollars", bid, dollars) +
    optional("yes_ask_dollars", ask, dollars) +
    optional("volume_fp", volume, contracts) +
    optional("open_interest_fp", interest, contracts) +
    whole("dollar_volume", dollarVolume) +
    whole("dollar_open_interest", dollarInterest) +
    optional("yes_bid_size_fp", bidSize, contracts) +
    optional("yes_ask_size_fp", askSize, contracts) +
    optional("last_trade_size_fp", lastSize, contracts) +
    `,"ts":${Math.floor(ts / 1000)},"ts_ms":${ts},"time":"${fromMillis(ts)}"}`
  )
}

const tradeMessage = ({ cells, ts }: RecordedRow, ticker: string): string => {
  const [id, yes, no, count, taker, block] = cells
  return JSON.stringify({
    trade_id: id,
    market_ticker: ticker,
    yes_price_dollars: dollars(yes!),
    no_price_dollars: dollars(no!),
    count_fp: contracts(count!),
    ...(taker === null
      ? {}
      : { taker_side: taker, taker_outcome_side: taker, taker_book_side: taker === "yes" ? "bid" : "ask" }),
    is_block_trade: block === "true",
    ts: Math.floor(ts / 1000),
    ts_ms: ts
  })
}

const deltaMessage = ({ cells, ts }: RecordedRow, ticker: string): string => {
  const [side, price, delta] = cells
  return JSON.stringify({
    market_ticker: ticker,
    market_id: marketIdOf(ticker),
    price_dollars: dollars(price!),
    delta_fp: contracts(delta!),
    side,
    ts: fromMillis(ts),
    ts_ms: ts
  })
}

const levels = (prices: string | null | undefined, sizes: string | null | undefined) => {
  if (prices === null || prices === undefined || prices === "") return []
  const all = (sizes ?? "").split(",")
  return prices.split(",").map((price, at) => [dollars(price), contracts(all[at] ?? "0")])
}

const snapshotMessage = ({ cells }: RecordedRow, ticker: string): string => {
  const yes = levels(cells[0], cells[1])
  const no = levels(cells[2], cells[3])
  return JSON.stringify({
    market_ticker: ticker,
    market_id: marketIdOf(ticker),
    ...(yes.length === 0 ? {} : { yes_dollars_fp: yes }),
    ...(no.length === 0 ? {} : { no_dollars_fp: no })
  })
}

const lifecycleFrame = ({ at, cells, ticker }: RecordedRow): Recorded => {
  const [kind = "", raw] = cells
  const isOfEvent = kind === "event_lifecycle" || kind === "event_fee_update"
  const channel = ticker?.startsWith("KXMVE") === true ? "multivariate_market_lifecycle" : "market_lifecycle_v2"
  return {
    atMillis: at,
    channel,
    type: isOfEvent ? kind : channel,
    ticker: ticker ?? "",
    msg: JSON.stringify(JSON.parse(raw ?? "{}")),
    tail: ""
  }
}

/** The frame that a row was, with what is stored of it. */
export const frameOf = (row: RecordedRow): Recorded => {
  const ticker = row.ticker ?? ""
  const frame = (channel: string, type: string, msg: string): Recorded => ({
    atMillis: row.at,
    channel,
    type,
    ticker,
    msg,
    tail: ""
  })
  switch (row.kind) {
    case "ticker":
      return frame("ticker", "ticker", tickerMessage(row, ticker))
    case "trade":
      return frame("trade", "trade", tradeMessage(row, ticker))
    case "delta":
      return frame("orderbook_delta", "orderbook_delta", deltaMessage(row, ticker))
    case "snapshot":
      return frame("orderbook_delta", "orderbook_snapshot", snapshotMessage(row, ticker))
    case "lifecycle":
      return lifecycleFrame(row)
  }
}

/**
 * Puts frames of windows into one order: those that were received after the end of the window that their stamp is in wait for the
 * next one. Never before a frame that it already gave.
 */
export const inOrder = () => {
  let held: ReadonlyArray<Recorded> = []
  let waiting: Array<Recorded> = []
  const before = (atMillis: number): ReadonlyArray<Recorded> => {
    let n = 0
    while (n < held.length && held[n]!.atMillis <= atMillis) n++
    const due = held.slice(0, n)
    if (n > 0) held = held.slice(n)
    return due
  }
  return {
    take: (frames: ReadonlyArray<Recorded>, untilMillis: number): ReadonlyArray<Recorded> => {
      const out: Array<Recorded> = []
      for (const frame of frames) {
        if (frame.atMillis >= untilMillis) waiting.push(frame)
        else {
          out.push(...before(frame.atMillis), frame)
        }
      }
      return out
    },
    endWindow: (untilMillis: number): ReadonlyArray<Recorded> => {
      const due = before(untilMillis - 1)
      held = [...held, ...waiting].sort((a, b) => a.atMillis - b.atMillis)
      waiting = []
      return due
    },
    rest: (): ReadonlyArray<Recorded> => held
  }
}

const failed = (error: { readonly message: string }) => new ReplayError({ problem: error.message })

/** Rows of the database, each told as the frame it was. */
export const layerDatabase = Layer.effect(
  FrameSource,
  Effect.gen(function* () {
    const rows = yield* RecordedRows
    const gapSpans = yield* GapSpans
    return FrameSource.of({
      name: "database",
      skipped: Effect.succeed(0),
      gaps: ({ fromMillis, toMillis }) => gapSpans.within(fromMillis, toMillis).pipe(Effect.mapError(failed)),
      frames: ({ fromMillis, toMillis }, chosen) =>
        Stream.suspend(() => {
          const tickers = chosen === undefined ? undefined : [...chosen.tickers].sort()
          const order = inOrder()
          /** Stamped within the span, and so part of it, whatever our clock said. */
          const within = (row: RecordedRow) => {
            const frame = frameOf(row)
            return frame.atMillis < fromMillis ? { ...frame, atMillis: fromMillis } : frame
          }
          const window = (from: number) => {
            const until = Math.min(from + windowMillis, toMillis)
            return rows.stamped({ fromMillis: from, toMillis: until }, tickers).pipe(
              Stream.chunks,
              Stream.map((found) =>
                order.take(
                  found.map(within).filter((frame) => isChosen(frame, chosen)),
                  until
                )
              ),
              Stream.concat(Stream.sync(() => order.endWindow(until)))
            )
          }
          const windows = Stream.paginate(fromMillis, (from) =>
            Effect.succeed([
              [from],
              from + windowMillis < toMillis ? Option.some(from + windowMillis) : Option.none()
            ] as const)
          ).pipe(Stream.flatMap(window))
          const standing = rows
            .standing(fromMillis, tickers)
            .pipe(Stream.map((row) => [{ ...frameOf(row), atMillis: Math.min(row.at, fromMillis - 1) }]))
          return standing.pipe(
            Stream.concat(windows),
            Stream.concat(Stream.sync(order.rest)),
            Stream.flatMap((frames) => Stream.fromIterable(frames)),
            Stream.mapError(failed)
          )
        })
    })
  })
)
