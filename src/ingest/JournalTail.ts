import type { JournalPosition, JournalRecord } from "./JournalRecord.ts"

const compare = (a: JournalPosition, b: JournalPosition) => a.segment - b.segment || a.offset - b.offset

/**
 * The newest records of a journal, as they were appended: a reader that follows closely need not read them back from the file.
 * It holds a run without holes, bounded in size; what a reader has passed is let go.
 */
export class JournalTail {
  readonly #mostBytes: number
  #records: Array<JournalRecord> = []
  /** Records before this index were passed or evicted. */
  #head = 0
  #bytes = 0
  /** Where the first held record begins. */
  #start: JournalPosition | undefined

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** `start`: where the first of the records begins; they follow those that are held. */
  push(records: ReadonlyArray<JournalRecord>, start: JournalPosition): void {
    if (this.#start === undefined) this.#start = start
    for (const record of records) {
      this.#records.push(record)
      this.#bytes += record.payload.length
    }
    while (this.#bytes > this.#mostBytes && this.#head < this.#records.length) this.#drop()
  }

  /** At most `limit` records from a position on; nothing when the position is not within what is held. */
  from(position: JournalPosition, limit: number): ReadonlyArray<JournalRecord> | undefined {
    if (this.#start === undefined) return undefined
    if (compare(position, this.#start) !== 0) {
      const at = this.#endingAt(position)
      if (at === undefined) return undefined
      for (let passed = at - this.#head + 1; passed > 0; passed--) this.#drop()
    }
    return this.#records.slice(this.#head, this.#head + limit)
  }

  #endingAt(position: JournalPosition): number | undefined {
    let low = this.#head
    let high = this.#records.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const order = compare(this.#records[middle]!.end, position)
      if (order === 0) return middle
      if (order < 0) low = middle + 1
      else high = middle - 1
    }
    return undefined
  }

  #drop(): void {
    const record = this.#records[this.#head]!
    this.#bytes -= record.payload.length
    this.#start = record.end
    this.#head += 1
    if (this.#head === this.#records.length) {
      this.#records = []
      this.#head = 0
    } else if (this.#head > 4096 && this.#head * 2 > this.#records.length) {
      this.#records = this.#records.slice(this.#head)
      this.#head = 0
    }
  }
}
