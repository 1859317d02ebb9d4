import { createReadStream, createWriteStream } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { pipeline } from "node:stream/promises"
import { createGunzip, createGzip } from "node:zlib"

/** A finished segment is compressed to this; offsets stay those of the plain data. */
const compressedName = (segment: number) => `${plainName(segment)}.gz`
const plainName = (segment: number) => `${String(segment).padStart(12, "0")}.journal`
const partial = ".part"

const segmentOf = (name: string): number | undefined => {
  const match = /^(\d{12})\.journal(?:\.gz)?$/.exec(name)
  return match === null ? undefined : Number(match[1])
}

export const isMissing = (error: unknown) => error instanceof Error && "code" in error && error.code === "ENOENT"

const syncDirectory = async (directory: string) => {
  const parent = await fs.open(directory, "r")
  try {
    await parent.sync()
  } finally {
    await parent.close()
  }
}

/** Reads a compressed segment from front to back. */
interface Unpacking {
  readonly segment: number
  readonly chunks: AsyncIterator<Buffer>
  readonly close: () => void
  /** Of the first byte in `waiting`, in the plain data. */
  offset: number
  waiting: Buffer
}

/** The numbered files of one journal. Files of other names are left alone. */
export class JournalSegments {
  readonly #directory: string
  #unpacking: Unpacking | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  #path(name: string): string {
    return path.join(this.#directory, name)
  }

  /** Removes what an interrupted compression left. */
  async tidy(): Promise<void> {
    for (const name of await fs.readdir(this.#directory))
      if (name.endsWith(partial)) await fs.rm(this.#path(name), { force: true })
  }

  /** Ascending. */
  async list(): Promise<ReadonlyArray<number>> {
    const found = new Set((await fs.readdir(this.#directory)).flatMap((name) => segmentOf(name) ?? []))
    return [...found].sort((a, b) => a - b)
  }

  /** Makes a new segment; its name is on disk when this resolves. */
  async create(segment: number): Promise<fs.FileHandle> {
    const file = await fs.open(this.#path(plainName(segment)), "wx")
    await syncDirectory(this.#directory)
    return file
  }

  /** At most `bytes` from an offset on; fewer at the end, none when there is no such segment. */
  async read(segment: number, offset: number, bytes: number): Promise<Buffer> {
    try {
      const file = await fs.open(this.#path(plainName(segment)), "r")
      try {
        const buffer = Buffer.allocUnsafe(bytes)
        const { bytesRead } = await file.read(buffer, 0, bytes, offset)
        return buffer.subarray(0, bytesRead)
      } finally {
        await file.close()
      }
    } catch (error) {
      if (!isMissing(error)) throw error
      return this.#unpack(segment, offset, bytes)
    }
  }

  async #unpack(segment: number, offset: number, bytes: number): Promise<Buffer> {
    if (this.#unpacking?.segment !== segment || this.#unpacking.offset > offset) {
      this.#unpacking?.close()
      const file = createReadStream(this.#path(compressedName(segment)))
      const plain = createGunzip()
      file.on("error", (error) => plain.destroy(error))
      file.pipe(plain)
      const close = () => {
        file.destroy()
        plain.destroy()
      }
      this.#unpacking = { segment, chunks: plain[Symbol.asyncIterator](), close, offset: 0, waiting: Buffer.alloc(0) }
    }
    const from = this.#unpacking
    const pieces: Array<Buffer> = []
    let wanted = bytes
    try {
      while (wanted > 0) {
        if (from.waiting.length === 0) {
          const next = await from.chunks.next()
          if (next.done === true) break
          from.waiting = next.value
        }
        const skipped = Math.min(from.waiting.length, offset - from.offset)
        if (skipped > 0) {
          from.offset += skipped
          from.waiting = from.waiting.subarray(skipped)
          continue
        }
        const taken = Math.min(wanted, from.waiting.length)
        pieces.push(from.waiting.subarray(0, taken))
        from.offset += taken
        offset += taken
        wanted -= taken
        from.waiting = from.waiting.subarray(taken)
      }
    } catch (error) {
      this.#unpacking = undefined
      if (!isMissing(error)) throw error
    }
    return Buffer.concat(pieces)
  }

  /** Wall milliseconds of the last change of a segment; nothing when it is gone. */
  async changedAt(segment: number): Promise<number | undefined> {
    for (const name of [plainName(segment), compressedName(segment)])
      try {
        return (await fs.stat(this.#path(name))).mtimeMs
      } catch (error) {
        if (!isMissing(error)) throw error
      }
    return undefined
  }

  async remove(segment: number): Promise<void> {
    await fs.rm(this.#path(plainName(segment)), { force: true })
    await fs.rm(this.#path(compressedName(segment)), { force: true })
  }

  /** Compresses a finished segment. Whatever interrupts it, one whole copy remains. Resolves false when there is nothing to do. */
  async compress(segment: number): Promise<boolean> {
    const plain = this.#path(plainName(segment))
    const compressed = this.#path(compressedName(segment))
    const stat = await fs.stat(plain).catch((error) => {
      if (isMissing(error)) return undefined
      throw error
    })
    if (stat === undefined) return false
    await pipeline(createReadStream(plain), createGzip({ level: 1 }), createWriteStream(compressed + partial))
    const file = await fs.open(compressed + partial, "r+")
    try {
      await file.utimes(stat.atime, stat.mtime)
      await file.sync()
    } finally {
      await file.close()
    }
    await fs.rename(compressed + partial, compressed)
    await syncDirectory(this.#directory)
    await fs.rm(plain)
    return true
  }
}
