import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { ArchiveError } from "./ArchiveError.ts"

/** What fails on the way to a disk, as one line. */
export const failing = <A>(what: string, make: () => A) =>
  Effect.try({
    try: make,
    catch: (cause) =>
      new ArchiveError({
        problem: `${what} (${cause instanceof Error ? cause.message.split("\n")[0] : String(cause)})`
      })
  })

export const syncDirectory = (directory: string) => {
  const descriptor = fs.openSync(directory, "r")
  fs.fsyncSync(descriptor)
  fs.closeSync(descriptor)
}

const syncFile = (file: string) => {
  const descriptor = fs.openSync(file, "r+")
  fs.fsyncSync(descriptor)
  fs.closeSync(descriptor)
}

/** Makes a directory, and the entries that lead to it last. */
export const makeDirectory = (directory: string) => {
  const first = fs.mkdirSync(directory, { recursive: true })
  if (first === undefined) return
  for (let at = directory; ; at = path.dirname(at)) {
    syncDirectory(path.dirname(at))
    if (at === first) return
  }
}

/** Gives a finished file its final name. */
export const publish = Effect.fnUntraced(function* (directory: string, from: string, name: string) {
  yield* failing(`${name} cannot be written`, () => {
    const to = path.join(directory, name)
    syncFile(from)
    makeDirectory(path.resolve(path.dirname(to)))
    fs.renameSync(from, to)
    syncDirectory(path.dirname(to))
  })
})

const chunk = 1 << 20

/** Read from the start to the end, a megabyte at a time. */
export const digest = Effect.fn("ArchiveFiles.digest")(function* (file: string) {
  const read = Effect.acquireUseRelease(
    failing("a file cannot be read", () => fs.openSync(file, "r")),
    Effect.fnUntraced(function* (descriptor) {
      const hash = createHash("sha256")
      const buffer = Buffer.allocUnsafe(chunk)
      let bytes = 0
      for (;;) {
        const got = yield* failing(`${file} cannot be read`, () => fs.readSync(descriptor, buffer))
        if (got === 0) return { sha256: hash.digest("hex"), bytes }
        hash.update(buffer.subarray(0, got))
        bytes += got
        yield* Effect.yieldNow
      }
    }),
    (descriptor) => Effect.sync(() => fs.closeSync(descriptor))
  )
  return yield* read
})

/** What is wrong with a file; nothing when it is as the ledger says. */
export const fault = (directory: string, expected: { readonly path: string; readonly sha256: string }) =>
  Effect.suspend(() => {
    const file = path.join(directory, expected.path)
    if (!fs.existsSync(file)) return Effect.succeed(`${expected.path} is missing`)
    return Effect.map(digest(file), ({ sha256 }) =>
      sha256 === expected.sha256 ? undefined : `${expected.path} is not the file that was archived (its sha256 differs)`
    )
  })
