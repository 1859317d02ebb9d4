import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { useState } from "preact/hooks"
import { useSignedOut } from "./access.ts"
import { type Client, call, problemOf, saidOf } from "./client.ts"

const whyNot = (error: unknown) => `Not done: ${saidOf(error) ?? "try again later"}.`

/** Asks the portal to do something, and says what came of it. */
export const useAction = (onDone: () => void) => {
  const onSignedOut = useSignedOut()
  const [said, setSaid] = useState("")
  const [busy, setBusy] = useState(false)
  const act = async <E>(request: (client: Client) => Effect.Effect<{ readonly said: string }, E>) => {
    setBusy(true)
    const answer = await call(request)
    setBusy(false)
    if (Result.isFailure(answer) && problemOf(answer.failure) === "SignInRequired") return onSignedOut()
    setSaid(Result.isSuccess(answer) ? `Done: ${answer.success.said}.` : whyNot(answer.failure))
    onDone()
  }
  return { act, busy, said }
}
