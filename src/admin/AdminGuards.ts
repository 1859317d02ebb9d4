import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import { Instance } from "../runtime/Instance.ts"
import { AdminAudit, type AuditedCall, type AuditOutcome } from "../store/AdminAudit.ts"
import { untilDatabaseAnswers } from "../store/Retry.ts"
import { AdminGuard, Mutates } from "./AdminRpcs.ts"

/** The header in which a client says who runs it. */
export const actorHeader = "x-admin-actor"

const longestActor = 100

/** A call is not held up longer by the audit; then it is entered when the database answers again. */
const auditWithin = "2 seconds"

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): AuditOutcome => {
  if (Exit.isSuccess(exit)) return { outcome: "done", detail: undefined }
  if (Cause.hasInterruptsOnly(exit.cause)) return { outcome: "interrupted", detail: undefined }
  const error = Cause.squash(exit.cause)
  return { outcome: "failed", detail: error instanceof Error ? error.message : String(error) }
}

/** Writes down every call that changes something, in a program of this service. Who may call was decided before. */
export const layer = (service: string, via: AuditedCall["via"]) =>
  Layer.effect(
    AdminGuard,
    Effect.gen(function* () {
      const audit = yield* AdminAudit
      const instance = yield* Instance
      const late = yield* FiberSet.make<void>()

      const begin = (call: AuditedCall) =>
        audit.begin(call).pipe(
          Effect.timeout(auditWithin),
          Effect.catch((error) =>
            Effect.as(
              Effect.logWarning("the audit cannot be written now, it will be when the database answers", {
                reason: error.message
              }),
              undefined
            )
          )
        )

      const end = Effect.fnUntraced(function* (
        call: AuditedCall,
        id: string | undefined,
        began: number,
        exit: Exit.Exit<unknown, unknown>
      ) {
        const outcome = outcomeOf(exit)
        const written =
          id === undefined
            ? Effect.flatMap(Clock.currentTimeMillis, (now) => audit.enter(call, outcome, (now - began) / 1000))
            : audit.end(id, outcome)
        if (id !== undefined) {
          const isWritten = yield* written.pipe(Effect.timeoutOption(auditWithin), Effect.isSuccess)
          if (isWritten) return
        }
        yield* FiberSet.run(late, Effect.orDie(untilDatabaseAnswers(written)))
      })

      return AdminGuard.of((effect, { headers, payload, rpc }) => {
        if (!Context.get(rpc.annotations, Mutates)) return effect
        const call: AuditedCall = {
          actor: (headers[actorHeader] ?? "unknown").slice(0, longestActor),
          via,
          host: instance.host,
          service,
          instance: instance.id,
          call: rpc._tag,
          payload
        }
        return Effect.gen(function* () {
          const began = yield* Clock.currentTimeMillis
          yield* Effect.logInfo("admin call", { call: call.call, actor: call.actor, via })
          const id = yield* begin(call)
          return yield* Effect.onExit(effect, (exit) => end(call, id, began, exit))
        })
      })
    })
  )
