import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { transaction } from "./Transaction.ts"
import { unit } from "./UnitVector.ts"

/** A piece of a document, as a search finds it; `score`: more is nearer. */
export interface Piece {
  readonly id: number
  readonly source: string
  readonly title: string | null
  readonly piece: number
  readonly publishedAt: string | null
  readonly content: string
  readonly score: number
}

export interface NewPiece {
  readonly source: string
  readonly title: string | undefined
  readonly content: string
  readonly contentHash: string
  /** RFC 3339. */
  readonly publishedAt: string | undefined
  readonly metadata: unknown
}

export interface Saved {
  readonly added: number
  /** Pieces whose text was there before, from whatever source. */
  readonly known: number
  /** Older pieces that no source has any more. */
  readonly superseded: number
}

export interface Embedded {
  readonly id: number
  readonly vector: ReadonlyArray<number>
}

/** Pieces of documents. Searches see what was published by `at`, epoch milliseconds, and is not superseded. */
export class RagDocuments extends Context.Service<
  RagDocuments,
  {
    /** All pieces of one source, in order: it now consists of these. */
    save(source: string, pieces: ReadonlyArray<NewPiece>): Effect.Effect<Saved, SqlError>
    /** Pieces that this model has not embedded yet, oldest first. */
    unembedded(
      model: string,
      limit: number
    ): Effect.Effect<ReadonlyArray<{ readonly id: number; readonly text: string }>, SqlError>
    /** Vectors of any length; they are stored with length 1. */
    embed(model: string, vectors: ReadonlyArray<Embedded>): Effect.Effect<void, SqlError>
    byWords(query: string, at: number, limit: number): Effect.Effect<ReadonlyArray<Piece>, SqlError>
    byVector(
      model: string,
      vector: ReadonlyArray<number>,
      at: number,
      limit: number
    ): Effect.Effect<ReadonlyArray<Piece>, SqlError>
    /** Whether the database has pgvector; without it every vector is compared. */
    readonly hasPgvector: Effect.Effect<boolean, SqlError>
    contents(ids: ReadonlyArray<number>): Effect.Effect<ReadonlyMap<number, string>, SqlError>
  }
>()("kalshi-ingestor/store/RagDocuments") {
  /** `vectors`: `auto` takes pgvector where the database has it. */
  static readonly layerWith = (options: { readonly vectors: "auto" | "scan" }) =>
    Layer.effect(
      RagDocuments,
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient

        const save = Effect.fn("RagDocuments.save")(function* (source: string, pieces: ReadonlyArray<NewPiece>) {
          yield* sql`select pg_advisory_xact_lock(hashtext(${`rag_documents:${source}`}))`
          const rows = pieces.map((piece, index) => ({
            title: piece.title,
            piece: index,
            content: piece.content,
            content_hash: piece.contentHash,
            published_at: piece.publishedAt,
            metadata: piece.metadata
          }))
          const superseded = yield* sql<{ superseded_at: Date | null }>`
            update rag_documents set
              sources = array_remove(sources, ${source}),
              superseded_at = case when sources <@ array[${source}]::text[] then clock_timestamp() end
            where sources @> array[${source}]::text[] and content_hash <> all (${pieces.map(({ contentHash }) => contentHash)}::text[])
            returning superseded_at`
          const touched = yield* sql<{ added: boolean }>`
            insert into rag_documents as d (source, sources, title, piece, pieces, content, content_hash, published_at, metadata)
            select distinct on (r.content_hash)
              ${source}, array[${source}]::text[], r.title, r.piece, ${pieces.length}::int, r.content, r.content_hash, r.published_at, r.metadata
            from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r (
              title text, piece integer, content text, content_hash text, published_at timestamptz, metadata jsonb)
            order by r.content_hash, r.piece
            on conflict (content_hash) do update set
              superseded_at = null, sources = array_remove(d.sources, ${source}) || array[${source}]::text[]
            returning xmax = 0 as added`
          const added = touched.filter((row) => row.added).length
          return {
            added,
            known: pieces.length - added,
            superseded: superseded.filter((row) => row.superseded_at !== null).length
          }
        }, transaction(sql))

        const unembedded = Effect.fn("RagDocuments.unembedded")((model: string, limit: number) =>
          sql<{ id: bigint; text: string }>`
            select id, concat_ws(chr(10), title, content) as text from rag_documents
            where superseded_at is null and embedding_model is distinct from ${model}
            order by id limit ${limit}`.pipe(
            Effect.map((rows) => rows.map(({ id, text }) => ({ id: Number(id), text })))
          )
        )
        const embed = Effect.fn("RagDocuments.embed")((model: string, vectors: ReadonlyArray<Embedded>) =>
          Effect.asVoid(sql`
            update rag_documents d set embedding_model = ${model}, embedding = r.vector
            from jsonb_to_recordset(${JSON.stringify(vectors.map(({ id, vector }) => ({ id, vector: unit(vector) })))}::text::jsonb)
              as r (id bigint, vector float4[])
            where d.id = r.id`)
        )
        const byWords = Effect.fn("RagDocuments.byWords")((query: string, at: number, limit: number) =>
          sql<PieceRow>`
            with q as (select replace(plainto_tsquery('english', ${query})::text, '&', '|')::tsquery as words)
            select id, source, title, piece, rfc3339(published_at) as "publishedAt", content, ts_rank_cd(d.words, q.words, 1)::float8 as score
            from rag_documents d, q
            where d.words @@ q.words and superseded_at is null
              and (published_at is null or published_at <= to_timestamp(${at}::float8 / 1000))
            order by score desc, published_at desc nulls last, id desc
            limit ${limit}`.pipe(Effect.map(toPieces))
        )

        const hasPgvector = sql<{ there: boolean }>`select to_regtype('vector') is not null as there`.pipe(
          Effect.map((rows) => rows[0]!.there)
        )
        const pgvector = options.vectors === "auto" ? yield* Effect.cached(hasPgvector) : Effect.succeed(false)
        const byVector = Effect.fn("RagDocuments.byVector")(function* (
          model: string,
          vector: ReadonlyArray<number>,
          at: number,
          limit: number
        ) {
          const literal = `{${unit(vector).join(",")}}`
          const score = (yield* pgvector)
            ? sql`(-(embedding::vector <#> ${literal}::float4[]::vector))::float8`
            : sql`inner_product(embedding, ${literal}::float4[])`
          return toPieces(
            yield* sql<PieceRow>`
              select id, source, title, piece, rfc3339(published_at) as "publishedAt", content, score
              from (
                select *, case when cardinality(embedding) = ${vector.length}::int then ${score} end as score
                from rag_documents
                where embedding_model = ${model} and superseded_at is null and cardinality(embedding) = ${vector.length}::int
                  and (published_at is null or published_at <= to_timestamp(${at}::float8 / 1000))
              ) scored
              order by score desc, published_at desc nulls last, id desc
              limit ${limit}`
          )
        })
        const contents = Effect.fn("RagDocuments.contents")((ids: ReadonlyArray<number>) =>
          sql<{ id: bigint; content: string }>`
            select id, content from rag_documents where id = any (${ids.map(BigInt)}::bigint[])`.pipe(
            Effect.map((rows) => new Map(rows.map(({ content, id }) => [Number(id), content])))
          )
        )
        return RagDocuments.of({ save, unembedded, embed, byWords, byVector, hasPgvector, contents })
      })
    )

  static readonly layer = this.layerWith({ vectors: "auto" })
}

interface PieceRow extends Omit<Piece, "id"> {
  readonly id: bigint
}

const toPieces = (rows: ReadonlyArray<PieceRow>): ReadonlyArray<Piece> =>
  rows.map((row) => ({ ...row, id: Number(row.id) }))
