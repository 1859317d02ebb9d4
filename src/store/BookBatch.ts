import type { Book } from "../market/Book.ts"
import type { Decimal } from "../market/Decimal.ts"
import { Partitions } from "./Partitions.ts"
import { PgArray } from "./PgArray.ts"

/** The place of a message in the feed: connections grow, and within one the messages of the channel are numbered. */
export interface BookPlace {
  readonly connection: number
  readonly seq: number
}

/** `exchangeMillis` is absent where the message has no stamp; both instants are exchange time. */
export interface BookDelta extends BookPlace {
  readonly ticker: string
  readonly side: "yes" | "no"
  readonly price: Decimal
  /** Contracts, signed. */
  readonly delta: Decimal
  readonly exchangeMillis: number | undefined
  readonly receivedMillis: number
}

/** `requested`: asked for, not the first of a subscription. */
export interface BookSnapshot extends BookPlace {
  readonly book: Book
  readonly requested: boolean
  readonly receivedMillis: number
}

/** Changes of order books on their way into one statement, column by column; and whole books. */
export class BookBatch {
  readonly tickers: Array<string> = []
  readonly deltaDays = new Set<number>()
  readonly snapshots: Array<BookSnapshot> = []
  readonly ts = PgArray.instants()
  readonly receivedAt = PgArray.instants()
  readonly connection = PgArray.int8s()
  readonly seq = PgArray.int8s()
  readonly yes = PgArray.booleans()
  readonly price = PgArray.numerics()
  readonly delta = PgArray.numerics()

  /** How many changes. */
  get length(): number {
    return this.tickers.length
  }

  get snapshotDays(): ReadonlySet<number> {
    return new Set(this.snapshots.map(({ receivedMillis }) => Partitions.dayOf(receivedMillis)))
  }

  add(change: BookDelta): void {
    const millis = change.exchangeMillis ?? change.receivedMillis
    this.tickers.push(change.ticker)
    this.deltaDays.add(Partitions.dayOf(millis))
    this.ts.instant(millis)
    this.receivedAt.instant(change.receivedMillis)
    this.connection.int8(change.connection)
    this.seq.int8(change.seq)
    this.yes.boolean(change.side === "yes")
    this.price.decimal(change.price)
    this.delta.decimal(change.delta)
  }
}
