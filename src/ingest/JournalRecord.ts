import { crc32 } from "node:zlib"

/**
 * What one journal record says. Frames are kept as received; a `snapshot` is the first frame of a market that its subscription
 * asked for. The others (`JournalMark`) tell the life of the link, so that gaps are found from the journal alone: the process
 * `started` or is `stopping`; a connection was `opened`, is `live` (subscriptions acknowledged), still `alive` (the server's ping),
 * or `closed`; a part of the markets was `handed` to another process.
 */
export const kinds = [
  "frame",
  "started",
  "live",
  "alive",
  "closed",
  "stopping",
  "snapshot",
  "opened",
  "handed"
] as const
export type JournalKind = (typeof kinds)[number]

/** `receivedMillis` is our wall clock, `monotonicMillis` never runs backwards within one process. */
export interface JournalEntry {
  readonly kind: JournalKind
  readonly receivedMillis: number
  readonly monotonicMillis: number
  readonly payload: string
}

/** A place between two records: everything before `offset` in `segment`, and every earlier segment, lies behind it. */
export interface JournalPosition {
  readonly segment: number
  readonly offset: number
}

/** An entry as read back; `end` is the position just after it. */
export interface JournalRecord extends JournalEntry {
  readonly end: JournalPosition
}

/** length u32, crc u32 over what follows, kind u8, received f64, monotonic f64, payload UTF-8. */
const headerBytes = 25

/** No frame of the exchange comes near this; a larger length is a damaged header. */
const maxPayloadBytes = 64 * 1024 * 1024

/** Records and their bytes, as they follow `start` in a segment. */
export const encode = (
  entries: ReadonlyArray<JournalEntry>,
  start: JournalPosition
): { readonly buffer: Buffer; readonly records: ReadonlyArray<JournalRecord> } => {
  let size = 0
  for (const { payload } of entries) size += headerBytes + Buffer.byteLength(payload)
  const buffer = Buffer.allocUnsafe(size)
  const records: Array<JournalRecord> = []
  let at = 0
  for (const { kind, monotonicMillis, payload, receivedMillis } of entries) {
    const length = buffer.write(payload, at + headerBytes)
    buffer.writeUInt32LE(length, at)
    buffer.writeUInt8(kinds.indexOf(kind), at + 8)
    buffer.writeDoubleLE(receivedMillis, at + 9)
    buffer.writeDoubleLE(monotonicMillis, at + 17)
    buffer.writeUInt32LE(crc32(buffer.subarray(at + 8, at + headerBytes + length)), at + 4)
    at += headerBytes + length
    records.push({
      kind,
      receivedMillis,
      monotonicMillis,
      payload,
      end: { segment: start.segment, offset: start.offset + at }
    })
  }
  return { buffer, records }
}

export interface Decoded {
  readonly records: ReadonlyArray<JournalRecord>
  /** Bytes of the buffer that whole records took. */
  readonly consumed: number
  /** `more`: the next record may continue beyond the buffer. `damaged`: the bytes at `consumed` are no record. */
  readonly tail: "none" | "more" | "damaged"
  /** How many bytes, from `consumed` on, the next record needs at least. */
  readonly needed: number
}

/** Reads at most `limit` whole records from a buffer that begins at `start`. */
export const decode = (buffer: Buffer, start: JournalPosition, limit: number): Decoded => {
  const records: Array<JournalRecord> = []
  let at = 0
  while (records.length < limit && at < buffer.length) {
    if (at + headerBytes > buffer.length) return { records, consumed: at, tail: "more", needed: headerBytes }
    const length = buffer.readUInt32LE(at)
    const kind = kinds[buffer.readUInt8(at + 8)]
    if (length > maxPayloadBytes || kind === undefined) return { records, consumed: at, tail: "damaged", needed: 0 }
    const end = at + headerBytes + length
    if (end > buffer.length) return { records, consumed: at, tail: "more", needed: headerBytes + length }
    if (crc32(buffer.subarray(at + 8, end)) !== buffer.readUInt32LE(at + 4))
      return { records, consumed: at, tail: "damaged", needed: 0 }
    records.push({
      kind,
      receivedMillis: buffer.readDoubleLE(at + 9),
      monotonicMillis: buffer.readDoubleLE(at + 17),
      payload: buffer.toString("utf8", at + headerBytes, end),
      end: { segment: start.segment, offset: start.offset + end }
    })
    at = end
  }
  return { records, consumed: at, tail: "none", needed: 0 }
}

const earliestMillis = 1_500_000_000_000
const latestMillis = 4_100_000_000_000

/** The first place after the beginning of a damaged stretch at which a whole record begins; nothing when there is none. */
export const resume = (buffer: Buffer): number | undefined => {
  for (let at = 1; at + headerBytes <= buffer.length; at++) {
    if (buffer[at + 8]! >= kinds.length) continue
    const end = at + headerBytes + buffer.readUInt32LE(at)
    if (end > buffer.length) continue
    const receivedMillis = buffer.readDoubleLE(at + 9)
    if (!(receivedMillis > earliestMillis && receivedMillis < latestMillis)) continue
    if (crc32(buffer.subarray(at + 8, end)) === buffer.readUInt32LE(at + 4)) return at
  }
  return undefined
}
