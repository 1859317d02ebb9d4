import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { useCallback, useEffect, useRef, useState } from "preact/hooks"
import { useSignedOut } from "./access.ts"
import { type Client, call, problemOf, saidOf } from "./client.ts"

export interface Asked<A> {
  readonly value: A | undefined
  readonly state: "loading" | "ready" | "failed" | "unknown"
  /** Why it failed, where the portal says so. */
  readonly problem: string | undefined
  readonly reload: () => void
}

/** What the API answers, asked again when `key` changes or `reload` is called; an old answer stays until the new one is there. */
export const useAsk = <A, E>(
  key: string,
  request: (client: Client) => Effect.Effect<A, E>,
  everySeconds?: number
): Asked<A> => {
  const onSignedOut = useSignedOut()
  const [shown, setShown] = useState<Omit<Asked<A>, "reload"> & { readonly key: string }>({
    key,
    value: undefined,
    state: "loading",
    problem: undefined
  })
  const turn = useRef(0)
  const asked = useRef(request)
  asked.current = request

  const reload = useCallback(async () => {
    turn.current += 1
    const mine = turn.current
    const answer = await call((client) => asked.current(client))
    if (mine !== turn.current) return
    if (Result.isSuccess(answer)) return setShown({ key, value: answer.success, state: "ready", problem: undefined })
    const problem = problemOf(answer.failure)
    if (problem === "SignInRequired") return onSignedOut()
    setShown((before) => ({
      key,
      value: before.key === key ? before.value : undefined,
      state: problem === "NotKnown" ? "unknown" : "failed",
      problem: problem === "ArchivedOnly" ? saidOf(answer.failure) : undefined
    }))
  }, [key])

  useEffect(() => {
    setShown((before) =>
      before.key === key ? before : { key, value: undefined, state: "loading", problem: undefined }
    )
    void reload()
    if (everySeconds === undefined) return
    const timer = setInterval(() => void reload(), everySeconds * 1000)
    return () => clearInterval(timer)
  }, [key, everySeconds])

  return {
    value: shown.key === key ? shown.value : undefined,
    state: shown.key === key ? shown.state : "loading",
    problem: shown.key === key ? shown.problem : undefined,
    reload: () => void reload()
  }
}

/** Calls at most once in `millis`, and once more at the end for whatever came meanwhile. */
export const useThrottled = (run: () => void, millis: number) => {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const current = useRef(run)
  current.current = run
  useEffect(() => () => clearTimeout(timer.current), [])
  return useCallback(() => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined
      current.current()
    }, millis)
  }, [millis])
}
