import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as EmbeddingModel from "effect/ai/EmbeddingModel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import { embedAll, ingest } from "../../src/prediction/Ingest.ts"
import { sha256 } from "../../src/prediction/Prompt.ts"
import { Retrieval } from "../../src/prediction/Retrieval.ts"
import { RagDocuments } from "../../src/store/RagDocuments.ts"
import { TestDatabase } from "../support/Database.ts"

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

type Suite = Layer.Layer<Retrieval | RagDocuments | EmbeddingModel.EmbeddingModel | SqlClient.SqlClient, unknown>

/** What every way to search must do. */
const conforms = (name: string, suite: () => Suite, embeds: boolean, skip = false) =>
  describe.skipIf(skip)(`retrieval ${name}`, () => {
    const find = Effect.fnUntraced(function* (subject: string, limit = 10, when = at) {
      const retrieval = yield* Retrieval
      return yield* retrieval.search(subject, when, limit)
    })
    const store = Effect.fnUntraced(function* (documents: ReadonlyArray<object>) {
      const file = yield* write("documents.jsonl", jsonl(documents))
      yield* ingest([file])
      if (embeds) yield* embedAll("topics")
    })
    const run = <A, E>(
      test: Effect.Effect<A, E, Effect.Services<ReturnType<typeof find>> | Effect.Services<ReturnType<typeof store>>>
    ) => test.pipe(Effect.scoped, Effect.provide(Layer.merge(suite(), NodeFileSystem.layer)))

    it.live("finds the nearest first, no more than asked for", () =>
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

    it.live("never shows what was published after the instant in question", () =>
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

    it.live("does not show what its source has no more, but keeps it for audits", () =>
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

    it.live("takes any subject: empty, quotes, operators, another script", () =>
      run(
        Effect.gen(function* () {
          yield* store([{ text: "bitcoin rises", source: "a" }])
          for (const subject of ["", "'; drop table rag_documents; --", "& | ! ( ) :*", "天気 \\ \" '", "the of and"])
            assert.isAtMost((yield* find(subject)).length, 1)
          assert.strictEqual((yield* find("bitcoin")).length, 1)
        })
      )
    )
  })

const pgvector = Layer.effectDiscard(PgClient.PgClient.use((sql) => sql`create extension if not exists vector`))

const documentsAnd = (
  retrieval: Layer.Layer<Retrieval, never, RagDocuments | EmbeddingModel.EmbeddingModel>,
  vectors: "auto" | "scan",
  prepare: typeof pgvector | Layer.Layer<never> = Layer.empty
): Suite =>
  retrieval.pipe(
    Layer.provideMerge(Layer.merge(RagDocuments.layerWith({ vectors }), embeddings)),
    Layer.provideMerge(prepare.pipe(Layer.provideMerge(TestDatabase.layer)))
  )

conforms("by words", () => documentsAnd(Retrieval.layerWords, "auto"), false)
conforms("by vectors, every one compared", () => documentsAnd(Retrieval.layerVectors("topics"), "scan"), true)

/** Set when the server of TEST_DATABASE_URL has pgvector; the embedded one has not. */
// @effect-diagnostics-next-line processEnv:off a test run has no ConfigProvider of its own
const hasPgvector = process.env["TEST_PGVECTOR"] === "1"

conforms(
  "by vectors with pgvector (needs TEST_PGVECTOR=1 and a server that has it)",
  () => documentsAnd(Retrieval.layerVectors("topics"), "auto", pgvector),
  true,
  !hasPgvector
)

describe("ingest", () => {
  const Store = Layer.mergeAll(RagDocuments.layer, NodeFileSystem.layer).pipe(Layer.provideMerge(TestDatabase.layer))
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
