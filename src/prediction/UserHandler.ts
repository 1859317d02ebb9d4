import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { Worker } from "node:worker_threads"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { SettingError } from "../runtime/SettingError.ts"
import { sha256 } from "../runtime/Sha256.ts"
import type { Forecast } from "./Forecast.ts"
import { type ForecastRequest, failed, type Handler, type HandlerError } from "./Handler.ts"
import * as UserTypes from "./UserTypes.ts"

const Answer = Schema.Array(
  Schema.Struct({
    market_ticker: Schema.String,
    yes_prob: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
    confidence: Schema.optional(Schema.NullOr(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })))),
    rationale: Schema.optional(Schema.NullOr(Schema.String)),
    raw: Schema.optional(Schema.Json)
  })
)
const decodeAnswer = Schema.decodeUnknownResult(Answer)

const longestRaw = 65_536

type Message =
  | { readonly kind: "ready" }
  | { readonly kind: "unloadable"; readonly problem: string }
  | { readonly kind: "answer"; readonly id: number; readonly answer: string }
  | { readonly kind: "threw"; readonly id: number; readonly problem: string }

/** Runs in a thread of its own, so that a function that never returns can be ended. */
const program = `
const { parentPort, workerData } = require("node:worker_threads")
const said = (error) => String(error instanceof Error ? error.message : error).slice(0, 500)
import(workerData.url).then(
  (module) => {
    const predict = module[workerData.name]
    if (typeof predict !== "function")
      return parentPort.postMessage({ kind: "unloadable", problem: "it exports no function " + workerData.name })
    parentPort.on("message", async ({ id, args }) => {
      try {
        const answer = JSON.stringify(await predict(...args))
        parentPort.postMessage({ kind: "answer", id, answer: answer === undefined ? "null" : answer })
      } catch (error) {
        parentPort.postMessage({ kind: "threw", id, problem: said(error) })
      }
    })
    parentPort.postMessage({ kind: "ready" })
  },
  (error) => parentPort.postMessage({ kind: "unloadable", problem: said(error) })
)`

interface Thread {
  readonly worker: Worker
  readonly pending: Map<number, Deferred.Deferred<string, HandlerError>>
  readonly loaded: Deferred.Deferred<void, string>
  retired: boolean
}

const open = (url: string, name: string): Thread => {
  const worker = new Worker(program, { eval: true, workerData: { url, name }, name: "prediction-handler" })
  const thread: Thread = { worker, pending: new Map(), loaded: Deferred.makeUnsafe(), retired: false }
  const settle = (id: number, result: Effect.Effect<string, HandlerError>) => {
    const waiting = thread.pending.get(id)
    thread.pending.delete(id)
    if (waiting !== undefined) Deferred.doneUnsafe(waiting, result)
    if (thread.retired && thread.pending.size === 0) void worker.terminate()
  }
  worker.on("message", (message: Message) => {
    if (message.kind === "ready") Deferred.doneUnsafe(thread.loaded, Effect.void)
    else if (message.kind === "unloadable") Deferred.doneUnsafe(thread.loaded, Effect.fail(message.problem))
    else if (message.kind === "answer") settle(message.id, Effect.succeed(message.answer))
    else settle(message.id, Effect.fail(failed(`the function threw: ${message.problem}`)))
  })
  const ended = (problem: string) => {
    thread.retired = true
    Deferred.doneUnsafe(thread.loaded, Effect.fail(problem))
    for (const id of [...thread.pending.keys()])
      settle(id, Effect.fail(failed(`the function's thread ended: ${problem}`)))
  }
  worker.on("error", (error) => ended(String(error instanceof Error ? error.message : error).slice(0, 500)))
  worker.on("exit", () => ended("it exited"))
  worker.unref()
  return thread
}

export interface UserHandlerOptions {
  /** `./my-handler.js#predictEvent`, relative to the working directory. */
  readonly reference: string
  readonly model: string | undefined
  readonly instructions: string
  readonly seconds: number
}

/**
 * A function of the user's, `(event, markets, context, prompt) → predictions`, in a thread of its own; see docs/predictions.md. A call
 * that takes too long fails, and the thread that it hangs in is given up.
 */
export const userHandler = Effect.fn("userHandler")(function* ({
  instructions,
  model,
  reference,
  seconds
}: UserHandlerOptions) {
  const at = reference.lastIndexOf("#")
  const url = pathToFileURL(path.resolve(reference.slice(0, at))).href
  const name = reference.slice(at + 1) || "default"
  let thread = open(url, name)
  let calls = 0
  yield* Effect.addFinalizer(() => Effect.promise(() => thread.worker.terminate()))
  yield* Deferred.await(thread.loaded).pipe(
    Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => Effect.fail("it did not load within 30 s") }),
    Effect.mapError(
      (problem) =>
        new SettingError({
          setting: "PREDICTION_HANDLER",
          problem: `${reference} cannot be used (${problem.replace(/\s+/g, " ")})`,
          fix: "name a JavaScript module and a function that it exports, like ./my-handler.js#predictEvent"
        })
    )
  )

  const ask = Effect.fnUntraced(function* (args: ReadonlyArray<unknown>) {
    if (thread.retired) thread = open(url, name)
    const mine = thread
    const id = calls++
    const waiting = yield* Deferred.make<string, HandlerError>()
    mine.pending.set(id, waiting)
    mine.worker.postMessage({ id, args })
    const giveUp = Effect.sync(() => {
      mine.pending.delete(id)
      mine.retired = true
      if (mine.pending.size === 0) void mine.worker.terminate()
    })
    return yield* Deferred.await(waiting).pipe(
      Effect.timeoutOrElse({
        duration: Duration.seconds(seconds),
        orElse: () => Effect.andThen(giveUp, Effect.fail(failed(`the function took longer than ${seconds} s`)))
      }),
      Effect.onInterrupt(() => giveUp)
    )
  })

  const handler: Handler = {
    name: `user:${path.basename(reference)}`,
    model,
    ready: Effect.succeed(true),
    predict: Effect.fn("user.predict")(function* (request, notes) {
      const documents = yield* request.documents
      notes.prompt = instructions
      notes.promptHash = sha256(instructions)
      notes.documents = documents.map(({ id }) => id)
      const answer = yield* ask(argumentsOf(request, documents, instructions))
      return yield* checked(answer)
    })
  }
  return handler
})

const argumentsOf = (
  request: ForecastRequest,
  documents: Effect.Success<ForecastRequest["documents"]>,
  instructions: string
) => [
  UserTypes.eventOf(request.event),
  request.markets.map(UserTypes.marketOf),
  UserTypes.contextOf(request, documents),
  instructions
]

const checked = (text: string): Effect.Effect<ReadonlyArray<Forecast>, HandlerError> => {
  const decoded = Result.flatMap(Result.try({ try: (): unknown => JSON.parse(text), catch: () => "no JSON" }), (json) =>
    Result.mapError(decodeAnswer(json), (error) => String(error))
  )
  if (Result.isFailure(decoded))
    return Effect.fail(failed("the function's answer is not a list of { market_ticker, yes_prob from 0 to 1, … }"))
  if (decoded.success.some(({ raw }) => JSON.stringify(raw ?? null).length > longestRaw))
    return Effect.fail(failed(`a "raw" of the function's answer is longer than ${longestRaw} characters`))
  return Effect.succeed(
    decoded.success.map(({ confidence, market_ticker, rationale, raw, yes_prob }) => ({
      marketTicker: market_ticker,
      yesProb: yes_prob,
      ...(confidence == null ? {} : { confidence }),
      ...(rationale == null ? {} : { rationale }),
      ...(raw === undefined ? {} : { raw })
    }))
  )
}
