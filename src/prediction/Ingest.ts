import * as path from "node:path"
import * as EmbeddingModel from "effect/ai/EmbeddingModel"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { fromMillis } from "../market/Timestamp.ts"
import { SettingError } from "../runtime/SettingError.ts"
import { sha256 } from "../runtime/Sha256.ts"
import { type NewPiece, RagDocuments } from "../store/RagDocuments.ts"
import { chunks } from "./Chunks.ts"

export interface Ingested {
  readonly files: number
  readonly sources: number
  readonly added: number
  readonly known: number
  readonly superseded: number
}

interface Source {
  readonly name: string
  readonly pieces: ReadonlyArray<NewPiece>
}

/** One line of a JSONL file. */
const Line = Schema.fromJsonString(
  Schema.Struct({
    text: Schema.String,
    title: Schema.optional(Schema.NullOr(Schema.String)),
    source: Schema.optional(Schema.NullOr(Schema.String)),
    url: Schema.optional(Schema.NullOr(Schema.String)),
    published_at: Schema.optional(Schema.NullOr(Schema.DateTimeUtcFromString)),
    metadata: Schema.optional(Schema.Json)
  })
)
const decodeLine = Schema.decodeUnknownResult(Line)

const largestFile = 200_000_000

const mistake = (file: string, problem: string, fix: string) => new SettingError({ setting: file, problem, fix })

/**
 * Stores the text of files, each cut into pieces: a `.jsonl` file holds one document a line, `{"text", "title"?, "source"?, "url"?,
 * "published_at"?, "metadata"?}`, any other file is one document. A file that cannot be read as text is refused as a whole.
 */
export const ingest = Effect.fn("Ingest.ingest")(function* (files: ReadonlyArray<string>) {
  const documents = yield* RagDocuments
  const total = { files: 0, sources: 0, added: 0, known: 0, superseded: 0 }
  for (const file of files) {
    for (const { name, pieces } of yield* read(file)) {
      const saved = yield* documents.save(name, pieces)
      total.sources += 1
      total.added += saved.added
      total.known += saved.known
      total.superseded += saved.superseded
    }
    total.files += 1
  }
  return total satisfies Ingested
})

/** Embeds every piece that this model has not embedded yet. Gives how many. */
export const embedAll = Effect.fn("Ingest.embedAll")(function* (model: string) {
  const documents = yield* RagDocuments
  const embeddings = yield* EmbeddingModel.EmbeddingModel
  let embedded = 0
  while (true) {
    const batch = yield* documents.unembedded(model, 64)
    if (batch.length === 0) return embedded
    const answer = yield* embeddings.embedMany(batch.map(({ text }) => text))
    yield* documents.embed(
      model,
      answer.embeddings.map(({ vector }, index) => ({ id: batch[index]!.id, vector }))
    )
    embedded += batch.length
  }
})

const read = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const info = yield* fs.stat(file).pipe(Effect.mapError(() => unreadable(file)))
  if (info.type !== "File") return yield* mistake(file, "it is not a file", "name files, like docs/*.md")
  if (Number(info.size) > largestFile)
    return yield* mistake(file, `it is larger than ${largestFile / 1e6} MB`, "split it into smaller files")
  const bytes = yield* fs.readFile(file).pipe(Effect.mapError(() => unreadable(file)))
  const text = Result.getOrUndefined(
    Result.try(() => new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes))
  )
  if (text === undefined || text.includes("\u0000"))
    return yield* mistake(file, "it is not UTF-8 text", "save its text as .txt, .md or .jsonl")
  return /\.(jsonl|ndjson)$/i.test(file) ? yield* lines(file, text) : [whole(file, text)]
})

const unreadable = (file: string) => mistake(file, "it cannot be read", "name a readable file")

const whole = (file: string, text: string): Source => ({
  name: file,
  pieces: piecesOf(text, {
    source: file,
    title: /^#\s+(.+)$/m.exec(text)?.[1]?.trim() ?? path.basename(file),
    publishedAt: undefined,
    metadata: undefined
  })
})

const piecesOf = (text: string, about: Omit<NewPiece, "content" | "contentHash">): ReadonlyArray<NewPiece> =>
  chunks(text).map((content) => ({ ...about, content, contentHash: sha256(content) }))

const lines = Effect.fnUntraced(function* (file: string, text: string) {
  const sources = new Map<string, Array<NewPiece>>()
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue
    const decoded = decodeLine(line)
    if (Result.isFailure(decoded) || line.includes("\\u0000"))
      return yield* mistake(
        `${file}, line ${index + 1}`,
        "it is not a document",
        'write {"text": "…"}, with "title", "source", "published_at" (RFC 3339) and "metadata" where known'
      )
    const { metadata, published_at, source, text, title, url } = decoded.success
    const name = source ?? url ?? `${file}#${index + 1}`
    const pieces = piecesOf(text, {
      source: name,
      title: title ?? undefined,
      publishedAt: published_at == null ? undefined : fromMillis(published_at.epochMilliseconds),
      metadata
    })
    sources.set(name, [...(sources.get(name) ?? []), ...pieces])
  }
  return [...sources].map(([name, pieces]): Source => ({ name, pieces }))
})
