import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { sha256 } from "../runtime/Sha256.ts"
import type { ImportedDocument } from "../store/ImportedDocuments.ts"
import type { Fault } from "../store/ImportFaults.ts"
import type { OriginalDocument } from "../store/OriginalRows.ts"
import { unit } from "../store/UnitVector.ts"
import { isPossible, type Judged } from "./OriginalTicks.ts"

/** A text's index of words may have 1 MiB, and takes up to twice the text. */
const mostBytes = 500_000

const text = (value: string | null): string | undefined => (value === null || value === "" ? undefined : value)

/** A row has a name of its own, so that its newer text takes the place of its older one. */
const nameOf = (row: OriginalDocument): string =>
  `${[text(row.source) ?? "imported", text(row.source_id)].filter((part) => part !== undefined).join("/")}#${row.id}`

const decodeVector = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Array(Schema.Finite)))

const hasLength = (vector: ReadonlyArray<number>): boolean => {
  const squares = vector.reduce((sum, x) => sum + x * x, 0)
  return squares > 0 && Number.isFinite(squares)
}

const leastHashed = 16

/** Counts of hashed words, of length 1 or not: every number is a whole multiple of the smallest. No model makes such a vector. */
const isHashed = (vector: ReadonlyArray<number>): boolean => {
  const sizes = vector.map(Math.abs).filter((size) => size > 0)
  const least = sizes.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  return vector.length >= leastHashed && sizes.every((size) => Math.abs(size / least - Math.round(size / least)) < 1e-6)
}

interface Embedding {
  readonly vector: ReadonlyArray<number> | undefined
  readonly model: string | undefined
  readonly faults: ReadonlyArray<Fault>
}

const embeddingOf = (row: OriginalDocument): Embedding => {
  const without = (faults: ReadonlyArray<Fault>): Embedding => ({ vector: undefined, model: undefined, faults })
  if (row.embedding === null || row.embedding === "null") return without([])
  const vector = Option.getOrUndefined(decodeVector(row.embedding))
  if (vector === undefined || !hasLength(vector))
    return without([{ kind: "embedding_broken", repaired: false, detail: { embedding: row.embedding.slice(0, 200) } }])
  const model = text(row.embedding_model) ?? "imported"
  if (!model.startsWith("hashing") && isHashed(vector)) return without([{ kind: "embedding_hashed", repaired: false }])
  return { vector: unit(vector), model, faults: [] }
}

/** One document, which is one piece here: where the original cut a text into several, each is a row of its own. */
export const judgeDocument = (row: OriginalDocument, nowMillis: number): Judged<ImportedDocument> => {
  if (row.content.trim() === "") return { row: undefined, faults: [{ kind: "document_empty", repaired: false }] }
  const bytes = Buffer.byteLength(row.content)
  if (bytes > mostBytes)
    return {
      row: undefined,
      faults: [{ kind: "document_too_long", repaired: false, detail: { name: nameOf(row), bytes } }]
    }
  const { faults, model, vector } = embeddingOf(row)
  const isStamped = isPossible(row.micros, nowMillis)
  return {
    row: {
      name: nameOf(row),
      content: row.content,
      contentHash: sha256(row.content),
      micros: isStamped ? row.micros : undefined,
      eventTicker: text(row.event_ticker),
      marketTicker: text(row.market_ticker),
      metadata: row.metadata ?? undefined,
      embedding: vector,
      embeddingModel: model
    },
    faults: isStamped ? faults : [...faults, { kind: "stamp_missing", repaired: false }]
  }
}
