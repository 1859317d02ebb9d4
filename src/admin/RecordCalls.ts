import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { FeedControl, type FeedView } from "../ingest/FeedControl.ts"
import { HistoryControl } from "../ingest/HistoryControl.ts"
import { JournalControl } from "../ingest/JournalControl.ts"
import type { Reprocessed } from "../ingest/Reprocess.ts"
import type { KalshiRestError } from "../kalshi/KalshiRestError.ts"
import { KeyRotation } from "../kalshi/KeyRotation.ts"
import { fromMillis } from "../market/Timestamp.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Loops } from "../runtime/Loops.ts"
import type { SettingError } from "../runtime/SettingError.ts"
import { GapList, type GapState } from "../store/GapList.ts"
import { Quarantine } from "../store/Quarantine.ts"
import { AdminError } from "./AdminError.ts"
import { fromDatabase, instant, notHere, optionalInstant, wrongSetting } from "./Answer.ts"
import type * as Facts from "./Facts.ts"

const feedFact = (view: FeedView): Facts.Feed => ({
  connected: view.connected,
  sessions: view.sessions,
  lastFrameAt: fromMillis(view.lastFrameMillis),
  slots: view.slots,
  channels: view.channels.map(({ channel, leftOut, markets, sid }) => ({
    channel,
    sid: sid ?? null,
    markets,
    leftOut
  }))
})

/** A feed that does not come back within this time is told of. */
const alignedWithin = "30 seconds"

const exchange = (error: KalshiRestError) =>
  new AdminError({ reason: "Unavailable", problem: `the exchange: ${error.message}`, fix: "try again later" })

const keyRefused = (error: SettingError | KalshiRestError) => {
  if (error._tag === "SettingError") return wrongSetting(error)
  return error.reason._tag === "Unauthorized"
    ? new AdminError({
        reason: "Invalid",
        problem: "the exchange refuses the new key (401); the one before is still in use",
        fix: "check that the id belongs to the key file, and that both are of this environment"
      })
    : exchange(error)
}

interface Span {
  readonly from?: string
  readonly to?: string
}

/** The live feed, its journal, its gaps, and the history that makes up for them. */
export const make = Effect.fnUntraced(function* (service: string) {
  const feed = yield* Effect.serviceOption(FeedControl)
  const history = yield* Effect.serviceOption(HistoryControl)
  const journal = yield* Effect.serviceOption(JournalControl)
  const keys = yield* Effect.serviceOption(KeyRotation)
  const time = yield* ExchangeTime
  const loops = yield* Loops
  const gaps = yield* GapList
  const quarantine = yield* Quarantine

  const of = <A>(control: Option.Option<A>, call: string, programs: string): Effect.Effect<A, AdminError> =>
    Option.isSome(control) ? Effect.succeed(control.value) : Effect.fail(notHere(call, service, programs))
  const theFeed = of(feed, "the live feed", "ws")

  const stamps = Effect.fnUntraced(function* ({ from, to }: Span) {
    const start = yield* optionalInstant("from", from)
    const end = yield* optionalInstant("to", to)
    if (start !== undefined && end !== undefined && end <= start)
      return yield* new AdminError({ reason: "Invalid", problem: "to is not after from", fix: "swap the two" })
    return { start, end }
  })
  const listed = Effect.fnUntraced(function* (span: Span) {
    const { end, start } = yield* stamps(span)
    return {
      from: start === undefined ? undefined : fromMillis(start),
      to: end === undefined ? undefined : fromMillis(end)
    }
  })
  const wholeSpan = Effect.fnUntraced(function* (span: Span) {
    const { end, start } = yield* stamps(span)
    return { fromMillis: start ?? 0, toMillis: end ?? (yield* time.now) }
  })

  return {
    subscriptions: () => Effect.flatMap(theFeed, ({ view }) => Effect.map(view, feedFact)),
    resubscribe: ({ reconnect }: { readonly reconnect: boolean }) =>
      Effect.gen(function* () {
        const control = yield* theFeed
        yield* control.align(reconnect).pipe(
          Effect.timeoutOrElse({
            duration: alignedWithin,
            orElse: () =>
              Effect.fail(
                new AdminError({
                  reason: "Unavailable",
                  problem: "the feed is not connected; it will be aligned when it is",
                  fix: "see why with: node dist/admin.js tail --service ws"
                })
              )
          })
        )
        return feedFact(yield* control.view)
      }),
    rotateKey: ({ keyId, path }: { readonly keyId: string; readonly path: string }) =>
      of(keys, "the API key", "rest, ws or worker").pipe(
        Effect.flatMap(({ rotate }) => Effect.mapError(rotate(keyId, path), keyRefused)),
        Effect.map(({ keyId, previousKeyId }) => ({ keyId, previousKeyId: previousKeyId ?? null }))
      ),
    gaps: ({ limit, state, ...span }: Span & { readonly state: GapState; readonly limit: number }) =>
      Effect.flatMap(listed(span), ({ from, to }) => fromDatabase(gaps.list({ state, from, to, limit }))),
    repairGaps: ({ ids }: { readonly ids: ReadonlyArray<string> }) =>
      fromDatabase(gaps.tryAgain(ids)).pipe(
        Effect.tap(() => Effect.forkDetach(Effect.ignore(loops.runNow("gap-repair")))),
        Effect.map((count) => ({ count }))
      ),
    backfill: (selection: Span & { readonly series?: string; readonly event?: string; readonly market?: string }) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const control = yield* of(history, "history", "rest or worker")
          const { event, market, series } = selection
          if (series === undefined && event === undefined && market === undefined)
            return yield* new AdminError({
              reason: "Invalid",
              problem: "no markets are named",
              fix: "name a series, an event or a market"
            })
          return control.backfill({ series, event, market }, yield* wholeSpan(selection)).pipe(
            Stream.map(({ done, problem, total }): Facts.Progress => ({ done, total, note: problem ?? "" })),
            Stream.catch((error) =>
              error._tag === "KalshiRestError"
                ? Stream.fail(exchange(error))
                : Stream.fromEffect(fromDatabase(Effect.fail(error)))
            )
          )
        })
      ),
    reprocess: ({ from, to }: { readonly from: string; readonly to?: string }) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const control = yield* of(journal, "the journal", "ws")
          const fromMillis = yield* instant("from", from)
          const toMillis =
            to === undefined ? time.fromWall((yield* Clock.currentTimeMillis) + 1) : yield* instant("to", to)
          if (toMillis <= fromMillis)
            return yield* new AdminError({ reason: "Invalid", problem: "to is not after from", fix: "swap the two" })
          const told = (done: Reprocessed, total: number | null): Facts.Progress => ({
            done: done.frames,
            total,
            note: `${done.journals} journals, ${done.ticks} ticks, ${done.quarantined} quarantined`
          })
          return Stream.callback<Facts.Progress, AdminError>((steps) =>
            Effect.gen(function* () {
              yield* Queue.offer(steps, { done: 0, total: null, note: "" })
              const done = yield* control
                .reprocess({ fromMillis, toMillis }, (done) => Queue.offer(steps, told(done, null)))
                .pipe(
                  Effect.catchTags({
                    SettingError: (error) => Effect.fail(wrongSetting(error)),
                    JournalError: (error) =>
                      Effect.fail(
                        new AdminError({ reason: "Unavailable", problem: error.message, fix: "look at the disk" })
                      )
                  }),
                  fromDatabase
                )
              yield* Queue.offer(steps, told(done, done.frames))
              yield* Queue.end(steps)
            })
          )
        })
      ),
    quarantine: ({ limit, ...span }: Span & { readonly limit: number }) =>
      Effect.flatMap(listed(span), ({ from, to }) => fromDatabase(quarantine.list(from, to, limit))),
    retryQuarantined: ({ ids }: { readonly ids: ReadonlyArray<string> }) =>
      Effect.flatMap(of(journal, "frames", "ws"), ({ retry }) => fromDatabase(retry(ids))),
    dropQuarantined: ({ ids }: { readonly ids: ReadonlyArray<string> }) =>
      Effect.map(fromDatabase(quarantine.remove(ids)), (count) => ({ count }))
  }
})
