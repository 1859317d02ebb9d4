import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it, layer, type Vitest } from "@effect/vitest"
import * as EmbeddingModel from "effect/ai/EmbeddingModel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import { embedAll, ingest } from "../../src/prediction/Ingest.ts"
import { Retrieval } from "../../src/prediction/Retrieval.ts"
import { sha256 } from "../../src/runtime/Sha256.ts"
import { RagDocuments } from "../../src/store/RagDocuments.ts"
import { TestDatabase } from "../support/Database.ts"
import * as Pgvector from "../support/Pgvector.ts"

const at = Date.parse("2026-08-24T15:30:00Z")

/** Directions by what a text is about, so that nearness can be told without a model. */
const topics = ["bitcoin", "rain", "temperature", "election"]
const embeddings = Layer.effect(
  EmbeddingModel.EmbeddingModel,
  EmbeddingModel.make({
    embedMany: ({ inputs }) =>
      Effect.succeed({
        results: inputs.map((text) => [
          ...topics.map((topic) => 3 * (text.toLowerCase().split(topic).length - 1)),
          0.1 + (text.length % 7) / 100
        ]),
        usage: { inputTokens: undefined }
      })
  })
)

const write = (name: string, text: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), "documents-"))
      const file = path.join(directory, name)
      fs.writeFileSync(file, text)
      return file
    }),
    (file) => Effect.sync(() => fs.rmSync(path.dirname(file), { recursive: true }))
  )

const jsonl = (documents: ReadonlyArray<object>) => documents.map((document) => JSON.stringify(document)).join("\n")

type Suite = Layer.Layer<
  Retrieval | RagDocuments | EmbeddingModel.EmbeddingModel | PgClient.PgClient | SqlClient.SqlClient,
  unknown
>

/** What every way to search must do. */
const conforms = (
  name: string,
  suite: Suite,
  embeds: boolean,
  more: (it: Vitest.MethodsNonLive<Layer.Success<Suite>>) => void = () => {}
) =>
  layer(Layer.merge(suite, NodeFileSystem.layer), { timeout: "60 seconds", excludeTestServices: true })(
    `retrieval ${name}`,
    (it) => {
      const find = Effect.fnUntraced(function* (subject: string, limit = 10, when = at) {
        const retrieval = yield* Retrieval
        return yield* retrieval.search(subject, when, limit)
      })
      const store = Effect.fnUntraced(function* (documents: ReadonlyArray<object>) {
        const file = yield* write("documents.jsonl", jsonl(documents))
        yield* ingest([file])
        if (embeds) yield* embedAll("topics")
      })
      const run = <A, E, R>(test: Effect.Effect<A, E, R>) =>
        Effect.andThen(
          PgClient.PgClient.use((sql) => sql`truncate rag_documents`),
          test
        )

      it.effect("finds the nearest first, no more than asked for", () =>
        run(
          Effect.gen(function* () {
            yield* store([
              { text: "Rain and more rain, bitcoin aside, says the weather service", source: "wet" },
              { text: "Bitcoin and bitcoin again: bitcoin rises", source: "coins" },
              { text: "The temperature in the city", source: "warm" }
            ])
            const found = yield* find("Where will bitcoin close?")
            assert.deepStrictEqual(
              found.slice(0, 2).map(({ source }) => source),
              ["coins", "wet"]
            )
            assert.isAbove(found[0]!.score, found[1]!.score)
            assert.strictEqual((yield* find("Where will bitcoin close?", 1)).length, 1)
            assert.deepStrictEqual(yield* find("Where will bitcoin close?", 0), [])
          })
        )
      )

      it.effect("never shows what was published after the instant in question", () =>
        run(
          Effect.gen(function* () {
            yield* store([
              { text: "bitcoin closed at 90,000", source: "late", published_at: "2026-08-24T16:00:01Z" },
              { text: "bitcoin opened", source: "early", published_at: "2026-08-24T15:00:00Z" },
              { text: "bitcoin explained", source: "ever" }
            ])
            assert.deepStrictEqual((yield* find("bitcoin")).map(({ source }) => source).sort(), ["early", "ever"])
            assert.strictEqual((yield* find("bitcoin", 10, at + 3_600_000)).length, 3)
          })
        )
      )

      it.effect("does not show what its source has no more, but keeps it for audits", () =>
        run(
          Effect.gen(function* () {
            yield* store([{ text: "bitcoin falls", source: "news" }])
            const [old] = yield* find("bitcoin")
            yield* store([{ text: "bitcoin recovers", source: "news" }])
            assert.deepStrictEqual(
              (yield* find("bitcoin")).map(({ content }) => content),
              ["bitcoin recovers"]
            )
            const documents = yield* RagDocuments
            assert.strictEqual((yield* documents.contents([old!.id])).get(old!.id), "bitcoin falls")
          })
        )
      )

      it.effect("takes any subject: empty, quotes, operators, another script", () =>
        run(
          Effect.gen(function* () {
            yield* store([{ text: "bitcoin rises", source: "a" }])
            for (const subject of ["", "'; drop table rag_documents; --", "& | ! ( ) :*", "天気 \\ \" '", "the of and"])
              assert.isAtMost((yield* find(subject)).length, 1)
            assert.strictEqual((yield* find("bitcoin")).length, 1)
          })
        )
      )
      more(it)
    }
  )

const documentsAnd = <E>(
  retrieval: Layer.Layer<Retrieval, never, RagDocuments | EmbeddingModel.EmbeddingModel>,
  vectors: "auto" | "scan",
  database: <A, E1, R>(
    services: Layer.Layer<A, E1, R>
  ) => Layer.Layer<
    A | PgClient.PgClient | SqlClient.SqlClient,
    E | E1,
    Exclude<R, PgClient.PgClient | SqlClient.SqlClient>
  >
): Suite => retrieval.pipe(Layer.provideMerge(Layer.merge(RagDocuments.layerWith({ vectors }), embeddings)), database)

const vectors = Retrieval.layerVectors("topics")

conforms("by words", documentsAnd(Retrieval.layerWords, "auto", TestDatabase.under("predictor")), false)
conforms("by vectors, every one compared", documentsAnd(vectors, "auto", TestDatabase.under("predictor")), true)

const pgvector = Layer.effectDiscard(PgClient.PgClient.use((sql) => sql`create extension vector`)).pipe(
  Layer.provideMerge(Pgvector.layer)
)
conforms("by vectors, with pgvector", documentsAnd(vectors, "auto", Layer.provideMerge(pgvector)), true, (it) => {
  it.effect("finds in the same order, with the same scores, as the comparison of every vector", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`truncate rag_documents`
      yield* sql`
        insert into rag_documents (source, sources, piece, pieces, content, content_hash, embedding_model, embedding)
        select 's', '{s}', 0, 1, i::text, i::text, 'm', (
          select array_agg(sin(i * 12.9898 + j * 78.233 + i % 7)::float4) from generate_series(1, case when i % 9 = 0 then 3 else 16 end) as j)
        from generate_series(1, 300) as i`
      const stored = yield* sql<{
        id: bigint
        embedding: ReadonlyArray<number>
      }>`select id, embedding from rag_documents`
      const search = (mode: "auto" | "scan") =>
        RagDocuments.use((documents) =>
          Effect.andThen(
            documents.embed(
              "m",
              stored.map(({ embedding, id }) => ({ id: Number(id), vector: embedding }))
            ),
            documents.byVector(
              "m",
              Array.from({ length: 16 }, (_, i) => Math.cos(i)),
              at,
              20
            )
          )
        ).pipe(Effect.provide(Layer.fresh(RagDocuments.layerWith({ vectors: mode }))))
      assert.isTrue(yield* RagDocuments.use((documents) => documents.hasPgvector))
      const byOperator = yield* search("auto")
      const byScan = yield* search("scan")
      assert.strictEqual(byOperator.length, 20)
      assert.deepStrictEqual(
        byOperator.map(({ id }) => id),
        byScan.map(({ id }) => id)
      )
      for (const [i, { score }] of byOperator.entries()) assert.closeTo(score, byScan[i]!.score, 1e-5)
    })
  )
})

describe("ingest", () => {
  const Store = Layer.mergeAll(RagDocuments.layer, NodeFileSystem.layer).pipe(TestDatabase.under("predictor"))
  const contents = PgClient.PgClient.use(
    (sql) => sql<{
      source: string
      sources: ReadonlyArray<string>
      title: string
      piece: number
      pieces: number
      content: string
      live: boolean
      content_hash: string
    }>`
      select source, sources, title, piece, pieces, content, content_hash, superseded_at is null as live from rag_documents order by piece, id`
  )

  it.live("cuts files into pieces, keeps a text once, and adds nothing when it is run again", () =>
    Effect.gen(function* () {
      const long = `# Weather outlook\n\n${"Rain is likely in the north. ".repeat(80)}`
      const markdown = yield* write("outlook.md", long)
      const copy = yield* write("copy.txt", long)
      const first = yield* ingest([markdown, copy])
      assert.strictEqual(first.files, 2)
      assert.isAbove(first.added, 1)
      assert.strictEqual(first.known, first.added)
      assert.deepStrictEqual(yield* ingest([markdown]), {
        files: 1,
        sources: 1,
        added: 0,
        known: first.added,
        superseded: 0
      })
      const rows = yield* contents
      assert.strictEqual(rows.length, first.added)
      assert.strictEqual(rows[0]!.title, "Weather outlook")
      assert.deepStrictEqual(
        rows.map(({ piece }) => piece),
        rows.map((_, i) => i)
      )
      for (const row of rows) assert.strictEqual(row.content_hash, sha256(row.content))

      fs.writeFileSync(markdown, "Sun.")
      assert.deepStrictEqual(yield* ingest([markdown]), { files: 1, sources: 1, added: 1, known: 0, superseded: 0 })
      fs.writeFileSync(copy, "")
      assert.deepStrictEqual(yield* ingest([copy]), {
        files: 1,
        sources: 1,
        added: 0,
        known: 0,
        superseded: first.added
      })
      assert.deepStrictEqual(
        (yield* contents).filter(({ live }) => live).map(({ content }) => content),
        ["Sun."]
      )
      fs.writeFileSync(copy, long)
      assert.deepStrictEqual(yield* ingest([copy]), {
        files: 1,
        sources: 1,
        added: 0,
        known: first.added,
        superseded: 0
      })
    }).pipe(Effect.scoped, Effect.provide(Store))
  )

  it.live("refuses what is no text or no document, and stores nothing of that file", () =>
    Effect.gen(function* () {
      const binary = yield* write("a.txt", "ok \u0000 not")
      const latin = yield* write("b.txt", "")
      fs.writeFileSync(latin, Buffer.from([0x63, 0xe9]))
      const broken = yield* write("c.jsonl", `${jsonl([{ text: "good" }])}\n{"txt": "no"}\n`)
      const instant = yield* write("d.jsonl", jsonl([{ text: "x", published_at: "yesterday" }]))
      for (const [file, says] of [
        [binary, "UTF-8"],
        [latin, "UTF-8"],
        [broken, "line 2"],
        [instant, "line 1"],
        ["/nowhere/at-all.md", "cannot be read"],
        [os.tmpdir(), "not a file"]
      ] as const) {
        const error = yield* Effect.flip(ingest([file]))
        assert.include(error.message, says)
        assert.notInclude(error.message, "\n")
      }
      assert.deepStrictEqual(yield* contents, [])
    }).pipe(Effect.scoped, Effect.provide(Store))
  )
})
