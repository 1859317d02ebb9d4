import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { hints } from "./Hints.ts"

/** Tells when active_markets changed. */
export class MarketsChanged extends Context.Service<MarketsChanged, { readonly next: Effect.Effect<void> }>()(
  "kalshi-ingestor/ingest/MarketsChanged"
) {
  static readonly layer = Layer.effect(MarketsChanged, Effect.map(hints("markets_changed"), MarketsChanged.of))
}
