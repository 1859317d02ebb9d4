import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { fromMicros } from "../market/Timestamp.ts"

export interface ImportedDocument {
  /** Of the row in its source, the same in every import. */
  readonly name: string
  readonly content: string
  readonly contentHash: string
  /** When it was changed last, since 1970; undefined: known from now on. */
  readonly micros: number | undefined
  readonly eventTicker: string | undefined
  readonly marketTicker: string | undefined
  /** JSON text. */
  readonly metadata: string | undefined
  /** Of length 1. */
  readonly embedding: ReadonlyArray<number> | undefined
  readonly embeddingModel: string | undefined
}

/**
 * Documents of the Python original on their way into ours: each is one piece, and the same text is kept once. Writes join the caller's
 * transaction.
 */
export class ImportedDocuments extends Context.Service<
  ImportedDocuments,
  {
    /** Succeeds with which of the rows were new here, or have another text now, by their place. */
    save(rows: ReadonlyArray<ImportedDocument>): Effect.Effect<ReadonlySet<number>, SqlError>
  }
>()("kalshi-ingestor/store/ImportedDocuments") {
  static readonly layer = Layer.effect(
    ImportedDocuments,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient

      const save = Effect.fn("ImportedDocuments.save")(function* (rows: ReadonlyArray<ImportedDocument>) {
        if (rows.length === 0) return new Set<number>()
        const names = JSON.stringify(rows.map(({ contentHash, name }, at) => ({ at, name, content_hash: contentHash })))
        yield* sql`
          with newer as (
            select name, content_hash from jsonb_to_recordset(${names}::text::jsonb) as r (name text, content_hash text)
          ), touched as (
            select d.id, array(
              select s.name from unnest(d.sources) with ordinality as s (name, place)
              where not exists (select from newer n where n.name = s.name and n.content_hash <> d.content_hash)
              order by s.place) as sources
            from rag_documents d
            where d.sources && (select array_agg(name) from newer)
              and exists (select from newer n where n.name = any (d.sources) and n.content_hash <> d.content_hash)
          )
          update rag_documents d set
            sources = t.sources, superseded_at = case when cardinality(t.sources) = 0 then clock_timestamp() else d.superseded_at end
          from touched t where t.id = d.id`
        const here = yield* sql<{ at: number }>`
          select r.at from jsonb_to_recordset(${names}::text::jsonb) as r (at integer, name text, content_hash text)
          join rag_documents d on d.content_hash = r.content_hash and d.sources @> array[r.name]`
        const known = new Set(here.map(({ at }) => at))
        const fresh = new Set(rows.flatMap((_, at) => (known.has(at) ? [] : [at])))
        if (fresh.size === 0) return fresh
        yield* sql`
          with incoming as (
            select * from jsonb_to_recordset(${JSON.stringify(rows.map(toRow).filter(({ at }) => fresh.has(at)))}::text::jsonb) as r (
              at integer, name text, content text, content_hash text, published_at timestamptz, about jsonb, metadata text,
              embedding float4[], embedding_model text)
          )
          insert into rag_documents as d (
            source, sources, piece, pieces, content, content_hash, published_at, metadata, embedding, embedding_model)
          select distinct on (content_hash)
            name, array(select o.name from incoming o where o.content_hash = i.content_hash order by o.at), 0, 1, content, content_hash,
            coalesce(published_at, clock_timestamp()),
            case
              when coalesce(metadata, 'null') = 'null' then '{}'
              when jsonb_typeof(metadata::jsonb) = 'object' then metadata::jsonb
              else jsonb_build_object('metadata', metadata::jsonb)
            end || about,
            embedding, embedding_model
          from incoming i
          order by content_hash, embedding is null, at
          on conflict (content_hash) do update set
            sources = d.sources || excluded.sources, superseded_at = null,
            embedding = coalesce(d.embedding, excluded.embedding),
            embedding_model = case when d.embedding is null then excluded.embedding_model else d.embedding_model end`
        return fresh
      })

      return ImportedDocuments.of({ save })
    })
  )
}

const toRow = (row: ImportedDocument, at: number) => ({
  at,
  name: row.name,
  content: row.content,
  content_hash: row.contentHash,
  published_at: row.micros === undefined ? undefined : fromMicros(row.micros),
  about: { event_ticker: row.eventTicker, market_ticker: row.marketTicker },
  metadata: row.metadata,
  embedding: row.embedding,
  embedding_model: row.embeddingModel
})
