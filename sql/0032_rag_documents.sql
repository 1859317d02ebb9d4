-- Pieces of documents that forecasts may be given. A piece is never changed: a newer text of its source is other pieces.
create table rag_documents (
  id bigint generated always as identity primary key,
  source text not null,
  sources text[] not null,
  title text,
  piece integer not null,
  pieces integer not null,
  content text not null,
  content_hash text not null unique,
  published_at timestamptz,
  metadata jsonb,
  embedding float4[],
  embedding_model text,
  ingested_at timestamptz not null default clock_timestamp(),
  superseded_at timestamptz,
  words tsvector generated always as (
    setweight(to_tsvector('english'::regconfig, coalesce(title, '')), 'A') || to_tsvector('english'::regconfig, content)
  ) stored,
  check ((embedding is null) = (embedding_model is null))
);
comment on column rag_documents.source is 'where the text was read first';
comment on column rag_documents.sources is 'all that have the text now';
comment on column rag_documents.content_hash is 'SHA-256 of content, hexadecimal: the same text is kept once';
comment on column rag_documents.published_at is 'forecasts of an earlier instant are not given the piece; null: known at any instant';
comment on column rag_documents.embedding is 'of length 1, so that an inner product is the cosine';
comment on column rag_documents.superseded_at is 'when the last of its sources was read again without it; such a piece is kept for audits only';
create index rag_documents_sources on rag_documents using gin (sources);
create index rag_documents_words on rag_documents using gin (words) where superseded_at is null;
create index rag_documents_embedded on rag_documents (embedding_model) where superseded_at is null;

create function inner_product(a float4[], b float4[]) returns double precision
  language sql immutable strict parallel safe
  return (select sum(x::float8 * y::float8) from unnest(a, b) as t (x, y));
