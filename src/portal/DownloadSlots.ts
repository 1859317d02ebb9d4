import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { CurrentVisitor, TooManyRequests } from "./ApiErrors.ts"

const atOnce = 8
const atOncePerVisitor = 2

/** Each download holds a database connection while it lasts: a few at once, fewer for one visitor. */
export class DownloadSlots extends Context.Service<
  DownloadSlots,
  {
    readonly limited: <A, E>(
      stream: Stream.Stream<A, E>
    ) => Effect.Effect<Stream.Stream<A, E>, TooManyRequests, CurrentVisitor>
    /** A slot of a visitor until the scope closes. */
    readonly hold: (visitor: string) => Effect.Effect<void, TooManyRequests, Scope.Scope>
  }
>()("kalshi-ingestor/portal/DownloadSlots") {
  static readonly layer = Layer.sync(DownloadSlots, () => {
    const running = new Map<string, number>()
    let total = 0
    const check = (id: string) =>
      total >= atOnce || (running.get(id) ?? 0) >= atOncePerVisitor
        ? Effect.fail(new TooManyRequests({ retryAfterSeconds: 5 }))
        : Effect.void
    const take = (id: string) => {
      total += 1
      running.set(id, (running.get(id) ?? 0) + 1)
    }
    const give = (id: string) => {
      total -= 1
      const left = (running.get(id) ?? 1) - 1
      if (left === 0) running.delete(id)
      else running.set(id, left)
    }
    return DownloadSlots.of({
      limited: Effect.fnUntraced(function* <A, E>(stream: Stream.Stream<A, E>) {
        const { id } = yield* CurrentVisitor
        yield* check(id)
        const taken = Effect.acquireRelease(
          Effect.sync(() => take(id)),
          () => Effect.sync(() => give(id))
        )
        return Stream.unwrap(Effect.as(taken, stream))
      }),
      hold: (id) =>
        Effect.acquireRelease(
          Effect.andThen(
            Effect.suspend(() => check(id)),
            Effect.sync(() => take(id))
          ),
          () => Effect.sync(() => give(id))
        )
    })
  })
}
