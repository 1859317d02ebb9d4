import * as EmbeddingModel from "effect/ai/EmbeddingModel"
import * as Cache from "effect/Cache"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Piece, RagDocuments } from "../store/RagDocuments.ts"
import { failed, type HandlerError } from "./Handler.ts"
import { describe } from "./ModelCalls.ts"

/** Finds what stored documents say about a subject. */
export class Retrieval extends Context.Service<
  Retrieval,
  {
    /** The nearest pieces, best first, of what was published by `at` (epoch milliseconds). */
    search(subject: string, at: number, limit: number): Effect.Effect<ReadonlyArray<Piece>, HandlerError>
  }
>()("kalshi-ingestor/prediction/Retrieval") {
  /** By the words that they share, PostgreSQL's full text search. */
  static readonly layerWords = Layer.effect(
    Retrieval,
    Effect.gen(function* () {
      const documents = yield* RagDocuments
      return Retrieval.of({
        search: Effect.fn("Retrieval.search")((subject: string, at: number, limit: number) =>
          Effect.mapError(documents.byWords(subject, at, limit), unsearchable)
        )
      })
    })
  )

  /** By the angle between embeddings of this model. */
  static readonly layerVectors = (model: string) =>
    Layer.effect(
      Retrieval,
      Effect.gen(function* () {
        const documents = yield* RagDocuments
        const embeddings = yield* EmbeddingModel.EmbeddingModel
        const vectors = yield* Cache.make({
          capacity: 2000,
          lookup: (subject: string) =>
            Effect.mapError(embeddings.embed(subject), (error) => failed(`documents: ${describe(error)}`))
        })
        return Retrieval.of({
          search: Effect.fn("Retrieval.search")(function* (subject: string, at: number, limit: number) {
            const { vector } = yield* Cache.get(vectors, subject).pipe(
              Effect.tapError(() => Cache.invalidate(vectors, subject))
            )
            return yield* Effect.mapError(documents.byVector(model, vector, at, limit), unsearchable)
          })
        })
      })
    )
}

const unsearchable = () => failed("the documents could not be searched")
