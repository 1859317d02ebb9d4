import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import { decodeFrame } from "../kalshi/SocketWire.ts"
import { ExchangeTime } from "../runtime/ExchangeTime.ts"
import { Quarantine } from "../store/Quarantine.ts"
import { isData, sqlState } from "../store/SqlState.ts"
import { transaction } from "../store/Transaction.ts"
import * as CaptureStep from "./CaptureStep.ts"
import { CaptureStore } from "./CaptureStore.ts"
import { FeedState } from "./FeedState.ts"

/**
 * Reads frames that were put aside once more, each in a transaction of its own: one that can be stored now leaves the quarantine, the
 * others stay with today's cause. Storing one twice changes nothing. The gap ledger is left alone. An order book's frame means something
 * only within its connection, which is not known here: that is for `reprocess`.
 */
export const retry = Effect.fn("QuarantineRetry.retry")(function* (ids: ReadonlyArray<string>) {
  const sql = yield* SqlClient.SqlClient
  const quarantine = yield* Quarantine
  const store = yield* CaptureStore
  const time = yield* ExchangeTime
  const done = { stored: 0, refused: 0, unknown: 0 }

  const one = Effect.fnUntraced(function* (id: string) {
    const [frame] = yield* quarantine.take([id])
    if (frame === undefined) {
      done.unknown += 1
      return
    }
    const at = { segment: frame.segment, offset: frame.offset }
    const record = {
      kind: "frame" as const,
      receivedMillis: frame.receivedMillis,
      monotonicMillis: 0,
      payload: frame.raw,
      end: { ...at, offset: at.offset + 1 }
    }
    const { batch } = CaptureStep.read([record], at, FeedState.initial, {
      decode: decodeFrame,
      fromWall: (millis) => millis,
      isRepeat: () => false,
      takenOver: new Map(),
      keepsFrames: false
    })
    const isBook = batch.books.length > 0 || batch.books.snapshots.length > 0
    const refusal = isBook ? "an order book's frame: read its span again with reprocess" : batch.quarantined[0]?.cause
    if (refusal !== undefined) {
      yield* quarantine.blame(id, refusal)
      done.refused += 1
      return
    }
    const lifecycle = yield* store.prepare(batch, time.fromWall(yield* Clock.currentTimeMillis))
    yield* store.remove(batch, lifecycle)
    yield* store.insert(frame.journal, batch, lifecycle)
    yield* quarantine.remove([id])
    done.stored += 1
  })

  for (const id of ids)
    yield* transaction(sql)(one(id)).pipe(
      Effect.catch((error) => {
        if (!isSqlError(error) || !isData(error)) return Effect.fail(error)
        done.refused += 1
        return quarantine.blame(id, `the database refuses it (${sqlState(error) ?? error.reason._tag})`)
      })
    )
  return done
})
