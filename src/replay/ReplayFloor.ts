import { add, compare, type Decimal, isDecimal, subtract } from "../market/Decimal.ts"
import type { Floor, Standing } from "../simulator/Floor.ts"
import type { Recorded } from "./Recorded.ts"

type Level = readonly [price: string, size: string]

interface BookMessage {
  readonly market_ticker?: string
  readonly market_id?: string
  readonly yes_dollars_fp?: ReadonlyArray<Level>
  readonly no_dollars_fp?: ReadonlyArray<Level>
  readonly side?: string
  readonly price_dollars?: string
  readonly delta_fp?: string
}

/** Changes are kept as they came until somebody asks for the book, or this many wait. */
const mostWaiting = 512

const parse = (msg: string): BookMessage => JSON.parse(msg)

const oneDollar = "1.0000" as Decimal
const complement = (price: string): string => (isDecimal(price) ? subtract(oneDollar, price) : price)

/** Prices of the no side told as prices of yes, as `use_yes_price` asks for. */
export const inYesPrices = (type: string, msg: string): string => {
  const fields = parse(msg)
  if (type === "orderbook_delta")
    return fields.side === "no" && fields.price_dollars !== undefined
      ? JSON.stringify({ ...fields, price_dollars: complement(fields.price_dollars) })
      : msg
  const { no_dollars_fp } = fields
  return no_dollars_fp === undefined
    ? msg
    : JSON.stringify({ ...fields, no_dollars_fp: no_dollars_fp.map(([price, size]) => [complement(price), size]) })
}

export interface Levels {
  readonly yes: ReadonlyArray<Level>
  readonly no: ReadonlyArray<Level>
}

class StandingBook {
  #marketId: string | undefined
  readonly #sides = { yes: new Map<string, Decimal>(), no: new Map<string, Decimal>() }
  #waiting: Array<string> = []

  constructor(snapshot: string) {
    const { market_id, no_dollars_fp, yes_dollars_fp } = parse(snapshot)
    this.#marketId = market_id
    this.#fill(this.#sides.yes, yes_dollars_fp)
    this.#fill(this.#sides.no, no_dollars_fp)
  }

  #fill(side: Map<string, Decimal>, levels: ReadonlyArray<Level> | undefined): void {
    for (const [price, size] of levels ?? []) if (isDecimal(size)) side.set(price, size)
  }

  change(msg: string): void {
    this.#waiting.push(msg)
    if (this.#waiting.length >= mostWaiting) this.#settle()
  }

  #settle(): void {
    for (const msg of this.#waiting) {
      const { delta_fp, price_dollars, side } = parse(msg)
      if (price_dollars === undefined || delta_fp === undefined || !isDecimal(delta_fp)) continue
      const levels = side === "no" ? this.#sides.no : this.#sides.yes
      const before = levels.get(price_dollars)
      const after = before === undefined ? delta_fp : add(before, delta_fp)
      if (compare(after, "0" as Decimal) > 0) levels.set(price_dollars, after)
      else levels.delete(price_dollars)
    }
    this.#waiting = []
  }

  /** Ascending by price. */
  get levels(): Levels {
    this.#settle()
    const sorted = (side: Map<string, Decimal>): ReadonlyArray<Level> =>
      [...side]
        .sort(([a], [b]) => (isDecimal(a) && isDecimal(b) ? compare(a, b) : 0))
        .map(([price, size]) => [price, inCents(size)])
    return { yes: sorted(this.#sides.yes), no: sorted(this.#sides.no) }
  }

  message(ticker: string): string {
    const { no, yes } = this.levels
    return JSON.stringify({
      market_ticker: ticker,
      ...(this.#marketId === undefined ? {} : { market_id: this.#marketId }),
      ...(yes.length === 0 ? {} : { yes_dollars_fp: yes }),
      ...(no.length === 0 ? {} : { no_dollars_fp: no })
    })
  }
}

/** Sizes are written with two decimals, unless they need more. */
const inCents = (size: string): string => size.replace(/(\.\d\d)0+$/, "$1")

const marketId = /"market_id":"([^"\\]+)"/

/** How the recorded markets stand: what the frames so far have said. */
export class ReplayFloor implements Floor {
  readonly #tickers = new Map<string, string>()
  readonly #books = new Map<string, StandingBook>()

  apply({ msg, ticker, type }: Recorded): void {
    if (type === "ticker") this.#tickers.set(ticker, msg)
    else if (type === "orderbook_delta") this.#books.get(ticker)?.change(msg)
    else if (type === "orderbook_snapshot") this.#books.set(ticker, new StandingBook(msg))
  }

  tickers(): Iterable<string> {
    return [...this.#tickers.keys()].sort()
  }

  tickersOfIds(ids: ReadonlySet<string>): ReadonlyArray<string> {
    return [...this.#tickers].flatMap(([ticker, msg]) => (ids.has(marketId.exec(msg)?.[1] ?? "") ? [ticker] : []))
  }

  ticker(ticker: string): Standing | undefined {
    const msg = this.#tickers.get(ticker)
    return msg === undefined ? undefined : { msg, entry: { type: "ticker" } }
  }

  book(ticker: string, useYesPrice: boolean): string | undefined {
    const msg = this.#books.get(ticker)?.message(ticker)
    return msg === undefined || !useYesPrice ? msg : inYesPrices("orderbook_snapshot", msg)
  }

  /** The fields of the last ticker message. */
  quote(ticker: string): Readonly<Record<string, unknown>> | undefined {
    const msg = this.#tickers.get(ticker)
    return msg === undefined ? undefined : JSON.parse(msg)
  }

  levels(ticker: string): Levels | undefined {
    return this.#books.get(ticker)?.levels
  }
}
