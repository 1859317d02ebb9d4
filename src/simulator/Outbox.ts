import type { Duplex } from "node:stream"

/** What a frame is counted as once it is in the socket's hands. */
export interface Entry {
  readonly type: string
  readonly ticker?: string
  readonly key?: number | string
}

const socketHighWater = 1024 * 1024
const chunkBytes = 256 * 1024

const writeFrame = (target: Buffer, at: number, text: string, bytes: number): number => {
  target[at] = 0x81
  let body = at + 2
  if (bytes < 126) target[at + 1] = bytes
  else if (bytes < 65536) {
    target[at + 1] = 126
    target.writeUInt16BE(bytes, at + 2)
    body = at + 4
  } else {
    target[at + 1] = 127
    target.writeBigUInt64BE(BigInt(bytes), at + 2)
    body = at + 10
  }
  if (bytes === text.length) target.write(text, body, bytes, "latin1")
  else target.write(text, body, bytes, "utf8")
  return body + bytes
}

/**
 * Frames on their way to one socket. Many are packed into one write (they are unmasked and uncompressed, and leave whole,
 * so they mix with the control frames that the WebSocket library writes). Frames wait here while the socket is full.
 */
export class Outbox {
  readonly #socket: Duplex
  readonly #sent: (entry: Entry) => void
  readonly #lost: (entry: Entry, waited: boolean) => void
  #muted = false
  #texts: Array<string> = []
  #entries: Array<Entry> = []
  #from = 0
  waitingBytes = 0

  /** `sent` is told of every frame that is in the socket's hands, `lost` of every one that never will be: `waited` if it was to be sent. */
  constructor(socket: Duplex, sent: (entry: Entry) => void, lost: (entry: Entry, waited: boolean) => void) {
    this.#socket = socket
    this.#sent = sent
    this.#lost = lost
  }

  get blocked(): boolean {
    return !this.#muted && this.#socket.writableLength > socketHighWater
  }

  /** Whatever comes is lost. */
  get muted(): boolean {
    return this.#muted
  }

  get empty(): boolean {
    return this.#from >= this.#texts.length
  }

  push(text: string, entry: Entry): void {
    if (this.#muted) {
      this.#lost(entry, false)
      return
    }
    this.#texts.push(text)
    this.#entries.push(entry)
    this.waitingBytes += text.length
  }

  /** Loses what waits. */
  discard(): void {
    for (let i = this.#from; i < this.#entries.length; i++) this.#lost(this.#entries[i]!, true)
    this.#reset()
  }

  /** Loses what waits and all that comes. */
  mute(): void {
    this.discard()
    this.#muted = true
  }

  #reset(): void {
    this.#texts = []
    this.#entries = []
    this.#from = 0
    this.waitingBytes = 0
  }

  /** Hands as much to the socket as it takes. */
  flush(): void {
    while (!this.empty && !this.blocked && this.#socket.writable) this.#writeChunk()
    if (this.empty && this.#texts.length > 0) this.#reset()
  }

  #writeChunk(): void {
    const texts = this.#texts
    let bytes = 0
    let end = this.#from
    const lengths: Array<number> = []
    while (end < texts.length && bytes < chunkBytes) {
      const length = Buffer.byteLength(texts[end]!)
      lengths.push(length)
      bytes += length + 10
      end += 1
    }
    const chunk = Buffer.allocUnsafe(bytes)
    let at = 0
    for (let i = this.#from; i < end; i++) {
      const text = texts[i]!
      at = writeFrame(chunk, at, text, lengths[i - this.#from]!)
      this.waitingBytes -= text.length
      this.#sent(this.#entries[i]!)
    }
    this.#from = end
    this.#socket.write(chunk.subarray(0, at))
  }
}
